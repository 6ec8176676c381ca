from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.providers.smtp.parsing import LONGEST_LINE, LONGEST_REPLY, Answer, ReplyParser
from newsletter.mail.providers.smtp.replies import GARBAGE

codes = st.integers(200, 599)
texts = st.binary(max_size=60).filter(lambda text: b"\n" not in text and not text.endswith(b"\r"))
replies = st.tuples(codes, st.lists(texts, min_size=1, max_size=4))


def written(code: int, lines: list[bytes]) -> bytes:
    marks = [b"-"] * (len(lines) - 1) + [b" "]
    return b"".join(b"%d%s%s\r\n" % (code, mark, line) for mark, line in zip(marks, lines, strict=True))


def parse(pieces: list[bytes]) -> tuple[list[Answer], ReplyParser]:
    parser, found = ReplyParser(), []
    for piece in pieces:
        rest = piece
        while rest:
            room = parser.room()
            assert len(room) > 0
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            parser.filled(count)
            rest = rest[count:]
            while (answer := parser.take()) is not None:
                found.append(answer)
    return found, parser


@st.composite
def pieces(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@given(st.data(), st.lists(replies, max_size=8))
def test_replies_are_read_however_they_are_cut(data: st.DataObject, said: list[tuple[int, list[bytes]]]) -> None:
    whole = b"".join(written(code, lines) for code, lines in said)
    found, parser = parse(data.draw(pieces(whole)))
    assert [(each.code, each.octets) for each in found] == [(code, b"\n".join(lines)) for code, lines in said]
    assert parser.is_empty


@given(st.data(), st.binary(max_size=400))
def test_whatever_comes_is_read_the_same_however_it_is_cut(data: st.DataObject, whole: bytes) -> None:
    found, _ = parse(data.draw(pieces(whole)))
    assert found == parse([whole])[0]
    for each in found:
        assert each.code == GARBAGE or 200 <= each.code < 600
        assert each.text.isprintable()


def test_what_is_no_reply_is_garbage() -> None:
    for line in (b"", b"wat", b"25 ok", b"2500 ok", b"199 ok", b"600 ok", b"250_ok", b"\x00250 ok", b" 250 ok"):
        (answer,) = parse([line + b"\r\n"])[0]
        assert answer.code == GARBAGE
        assert answer.text
    (mixed,) = parse([b"250-yes\r\n550 no\r\n"])[0]
    assert mixed.code == GARBAGE


def test_a_reply_may_be_bare_or_end_in_lf_alone() -> None:
    found, _ = parse([b"250\r\n354 go\n250-\r\n250\r\n"])
    assert [(each.code, each.octets) for each in found] == [(250, b""), (354, b"go"), (250, b"\n")]


def test_an_endless_line_and_an_endless_reply_end() -> None:
    assert parse([b"2" * (3 * LONGEST_LINE)])[0][0].code == GARBAGE
    endless, _ = parse([b"250-x\r\n" * (LONGEST_REPLY // 7 + 1)])
    assert [each.code for each in endless] == [GARBAGE]


def test_half_a_reply_is_noticed() -> None:
    for half in (b"250", b"250-more\r\n", b"250 ok\r\n2"):
        assert not parse([half])[1].is_empty
    assert re.match(b"250", parse([b"250 ok\r\n"])[1].room().tobytes()) is not None  # the buffer is used again
