from __future__ import annotations

import email.policy
import re
from base64 import encodebytes
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from html import escape

import css_inline
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.mail.headers import encode_header, encode_mailbox, encode_structured
from newsletter.mail.template import Compiled, compile_message, marker

SHARED = [("Subject", "Hebdo : à la une"), encode_mailbox("From", "Ministère", "lettre@example.ma")]
OWN = encode_mailbox("To", "", "reader@example.org") + encode_structured("Message-ID", "<1@example.ma>")

blank_widths = st.dictionaries(st.from_regex(r"[a-z]{1,12}", fullmatch=True), st.integers(16, 120), max_size=4)
url_safe = st.sampled_from("ABCxyz019._~-")
fragments = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=80),
    st.text(st.sampled_from("ابتثجحخدذ \n\r👩🏽‍🚒🎉é.=-_"), max_size=80),
    st.sampled_from(["", "x" * 1200, ".", "\r\n.\r\n", "--=_", "\n", "\r", "https://example.ma/u/"]),
)


@dataclass(frozen=True)
class Case:
    text: str
    html: str
    widths: Mapping[str, int]
    values: Mapping[str, str]

    @property
    def octets(self) -> dict[str, bytes]:
        return {name: value.encode() for name, value in self.values.items()}

    def meant(self, body: str) -> bytes:
        """The obvious way: put each value where its marker stands, then normalise the line ends."""
        for name, width in self.widths.items():
            body = body.replace(marker(name, width), self.values[name])
        return "\r\n".join(body.replace("\r\n", "\n").replace("\r", "\n").split("\n")).encode()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    widths = draw(blank_widths)
    markers = [marker(name, width) for name, width in widths.items()]
    pieces = st.one_of(fragments, st.sampled_from(markers)) if markers else fragments
    text = "".join(draw(st.lists(pieces, max_size=12)))
    html = "".join(draw(st.lists(pieces, max_size=12)) + draw(st.permutations(markers)))
    values = {name: draw(st.text(url_safe, min_size=width, max_size=width)) for name, width in widths.items()}
    return Case(text, html, widths, values)


def written_slowly(case: Case, own: bytes, boundary: str) -> bytes:
    """Build the same message with nothing shared, from the text that is meant."""
    lines = [own, *(header if isinstance(header, bytes) else encode_header(*header) for header in SHARED)]
    lines += [
        b"MIME-Version: 1.0\r\n",
        b"Content-Type: multipart/alternative;\r\n",
        f' boundary="{boundary}"\r\n\r\n'.encode(),
    ]
    for kind, body in (("plain", case.text), ("html", case.html)):
        lines += [f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'.encode()]
        lines += [b"Content-Transfer-Encoding: base64\r\n\r\n", encodebytes(case.meant(body)).replace(b"\n", b"\r\n")]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()])


@given(cases())
def test_filling_gives_byte_for_byte_what_the_obvious_slow_way_gives(case: Case) -> None:
    compiled = compile_message(SHARED, case.text, case.html, case.widths)
    mail = b"".join(compiled.fill(OWN, case.octets))
    boundary = BytesParser(policy=email.policy.default).parsebytes(mail).get_boundary()
    assert mail == written_slowly(case, OWN, str(boundary))
    assert len(mail) == compiled.size + len(OWN)


@given(cases())
def test_a_reader_gets_back_exactly_the_text_and_the_html_that_were_meant(case: Case) -> None:
    mail = b"".join(compile_message(SHARED, case.text, case.html, case.widths).fill(OWN, case.octets))
    assert mail.endswith(b"\r\n")
    assert mail.count(b"\n") == mail.count(b"\r") == mail.count(b"\r\n")
    assert max(map(len, mail.split(b"\r\n"))) <= 76
    assert mail.isascii()
    assert b"\0" not in mail
    assert not mail.startswith(b".")
    assert b"\n." not in mail
    parsed = BytesParser(policy=email.policy.default).parsebytes(mail)
    assert not parsed.defects
    assert parsed.keys() == ["To", "Message-ID", "Subject", "From", "MIME-Version", "Content-Type"]
    assert parsed.get_content_type() == "multipart/alternative"
    text, html = parsed.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    assert text.get_payload(decode=True) == case.meant(case.text)
    assert html.get_payload(decode=True) == case.meant(case.html)


def compiled_with_one_blank() -> Compiled:
    return compile_message(SHARED, "text", f"<a href='https://example.ma/u/{marker('u', 20)}'>x</a>", {"u": 20})


def test_the_same_bodies_give_the_same_bytes_and_others_another_boundary() -> None:
    first, second = compiled_with_one_blank(), compiled_with_one_blank()
    assert first.fill(OWN, {"u": b"a" * 20}) == second.fill(OWN, {"u": b"a" * 20})
    boundaries = {
        BytesParser().parsebytes(b"".join(compile_message([], text, html, {}).fill(b"", {}))).get_boundary()
        for text, html in (("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"))
    }
    assert len(boundaries) == 4


@pytest.mark.parametrize(
    "blanks",
    [
        {},
        {"u": b"a" * 20, "v": b"a" * 20},
        {"v": b"a" * 20},
        {"u": b"a" * 19},
        {"u": b"a" * 21},
        {"u": "é".encode() * 10},
        {"u": b"a" * 19 + b"\n"},
        {"u": b"a" * 18 + "\u0661".encode()},
        {"u": b"a" * 19 + b"'"},
        {"u": b"a" * 19 + b"/"},
        {"u": b"a" * 19 + b"\0"},
    ],
)
def test_a_value_that_does_not_fit_its_blank_is_refused(blanks: dict[str, bytes]) -> None:
    with pytest.raises(InvalidInput):
        compiled_with_one_blank().fill(OWN, blanks)


@pytest.mark.parametrize(
    "header",
    [
        b"To: a@b.c",
        b"To: a@b.c\r\nBcc: e@x.y\r\n",
        b"To: a\r\n\r\nbody\r\n",
        b"\r\n",
        b".To: a@b.c\r\n",
        "To: é@b.c\r\n".encode(),
        b"To: a\0@b.c\r\n",
        b"To: " + b"a" * 995 + b"\r\n",
    ],
)
def test_bytes_that_are_not_one_header_are_refused_among_the_shared(header: bytes) -> None:
    with pytest.raises(InvalidInput):
        compile_message([header], "", "", {})


def test_what_all_readers_share_is_the_same_object_in_every_mail() -> None:
    compiled = compiled_with_one_blank()
    one, other = compiled.fill(OWN, {"u": b"a" * 20}), compiled.fill(OWN, {"u": b"b" * 20})
    assert [first is second for first, second in zip(one[1:], other[1:], strict=True)] == [True, False, True]


def test_a_blank_without_a_place_is_refused_because_its_link_would_be_missing() -> None:
    with pytest.raises(InvalidInput, match="leave"):
        compile_message([], "text", marker("u", 20), {"u": 20, "leave": 20})


def test_half_a_character_in_a_body_is_refused() -> None:
    with pytest.raises(InvalidInput):
        compile_message([], "\ud800", "", {})


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), st.integers(16, 300))
def test_a_marker_has_its_width_and_is_always_the_same(name: str, width: int) -> None:
    made = marker(name, width)
    assert len(made) == width
    assert re.fullmatch("[a-z0-9]*", made)
    assert made == marker(name, width) != marker(f"{name}x", width)
    assert marker(name, width + 1)[:width] != made


def test_a_narrow_marker_is_refused_because_a_text_could_hold_it_by_chance() -> None:
    with pytest.raises(InvalidInput):
        marker("u", 15)


def test_a_marker_passes_escaping_and_css_inlining_unchanged() -> None:
    made = marker("unsubscribe", 64)
    page = f"<html><head><style>a {{color: red}}</style></head><body><a href='https://example.ma/u/{escape(made)}'>x</a></body></html>"
    inlined = css_inline.CSSInliner(load_remote_stylesheets=False).inline(page)
    assert f'"https://example.ma/u/{made}"' in inlined
