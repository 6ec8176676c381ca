"""From bytes to rows: every row is read or told, whatever wrote the file, and a broken one spoils no other."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.subscriptions.exchange.rows import LONGEST_ROW, Reader, Row

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
BYTES = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from([b'"', b",", b";", b"\t", b"\r", b"\n", b"\0", b"a@b.ma", b"\xe9", b"email"])).map(
        b"".join
    ),
)


def read(data: bytes) -> list[Row]:
    return list(Reader().rows(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]


def cells(data: bytes) -> list[list[str]]:
    rows = read(data)
    assert not [row.trouble for row in rows if row.trouble]
    return [list(row.cells) for row in rows]


@given(BYTES)
def test_any_bytes_are_rows_or_told(data: bytes) -> None:
    try:
        rows = read(data)
    except InvalidInput:
        return
    assert all(row.cells or row.trouble for row in rows)
    assert [row.line for row in rows] == sorted({row.line for row in rows})


@given(
    st.lists(st.lists(TEXT, min_size=3, max_size=3).filter(lambda row: any(map(str.strip, row))), max_size=8),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_what_a_csv_writer_wrote_is_read_the_same(
    rows: list[list[str]], delimiter: str, end: str, has_mark: bool
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    data = (b"\xef\xbb\xbf" if has_mark else b"") + out.getvalue().encode()
    assert cells(data) == [["a", "b", "c"], *rows]


@pytest.mark.parametrize(("data", "delimiter"), [(b"email,name", ","), (b"email;name", ";"), (b"email\tname", "\t")])
def test_the_first_row_says_what_parts_cells(data: bytes, delimiter: str) -> None:
    assert cells(data + b"\nx@y.ma" + delimiter.encode() + b"a") == [["email", "name"], ["x@y.ma", "a"]]


def test_excel_may_say_what_parts_cells() -> None:
    assert cells(b"sep=;\r\nemail;name, first\r\n") == [["email", "name, first"]]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8"), ("cp1252", "windows-1252"), ("utf-16", "utf-16"), ("utf-8-sig", "utf-8")],
)
def test_french_names_are_read_in_the_encodings_of_spreadsheets(encoding: str, found: str) -> None:
    reader = Reader()
    stream = io.BufferedReader(io.BytesIO("email;prénom\nx@y.ma;Loïc\n".encode(encoding)))  # type: ignore[arg-type]
    assert [list(row.cells) for row in reader.rows(stream)] == [["email", "prénom"], ["x@y.ma", "Loïc"]]
    assert reader.encodings == {found}


def test_arabic_names_are_read_in_windows_1256_and_are_a_guess() -> None:
    [_, row] = read("email,name\nx@y.ma,سلمى الإدريسي\n".encode("cp1256"))
    assert list(row.cells) == ["x@y.ma", "سلمى الإدريسي"]
    assert row.is_guessed


def test_lines_are_counted_as_an_editor_does() -> None:
    rows = read(b'email,notes\n\nx@y.ma,"two\nlines"\nz@y.ma,\n')
    assert [(row.line, row.cells[0]) for row in rows] == [(1, "email"), (3, "x@y.ma"), (5, "z@y.ma")]


def test_a_quote_that_never_ends_costs_its_own_row_and_no_other() -> None:
    later = b"".join(b"r%d@y.ma,x\n" % number for number in range(500))
    rows = read(b'email,notes\na@y.ma,"open\n' + later)
    assert [(row.line, row.trouble) for row in rows if row.trouble] == [(2, "a quoted cell in it does not end")]
    assert [row.cells[0] for row in rows if row.line > 2] == [f"r{number}@y.ma" for number in range(500)]


def test_a_line_that_is_too_long_is_told_and_the_next_is_read() -> None:
    rows = read(b"email\n" + b"x" * (3 * LONGEST_ROW) + b"\r\nz@y.ma\n")
    assert [(row.line, row.trouble, list(row.cells)) for row in rows] == [
        (1, None, ["email"]),
        (2, "longer than 64 kB", []),
        (3, None, ["z@y.ma"]),
    ]


def test_a_nul_is_told() -> None:
    assert [row.trouble for row in read(b"email\na\0@y.ma\nb@y.ma\n")] == [
        None,
        "it holds a NUL, which no text does",
        None,
    ]


@pytest.mark.parametrize("data", [b"PK\x03\x04rest", b"\x1f\x8brest", b"\xd0\xcf\x11\xe0rest"])
def test_archives_and_workbooks_are_told_for_what_they_are(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"unpack|save the sheet"):
        read(data)
