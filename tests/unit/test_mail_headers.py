from __future__ import annotations

import email.header
import email.policy
import email.utils
import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.mail.headers import (
    check_header,
    date_header,
    encode_header,
    encode_list_id,
    encode_mailbox,
    encode_structured,
)

FRENCH = "abcdefghijklmnopqrstuvwxyzÀÂÇÉÈÊËÎÏÔÙÛŒàâçéèêëîïôùûœ «»’\u00a0\u202f—0123456789?=_()<>@,;:\"'"
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئىة \u064b\u064e\u0650\u0651\u0652،؛؟\u2066\u2067\u2069٠١٢"
TIFINAGH = "ⴰⴱⴳⴷⴹⴻⴼⴽⵀⵃⵄⵅⵇⵉⵊⵍⵎⵏⵓⵔⵕⵖⵙⵚⵛⵜⵟⵡⵢⵣⵥⵯ "
EMOJI = "👩🏽‍🚒👨‍👩‍👧‍👦🇲🇦❤️✅ 🎉a"

subjects = st.one_of(
    *(st.text(st.sampled_from(script), max_size=200) for script in (FRENCH, ARABIC, TIFINAGH, EMOJI)),
    st.text(st.sampled_from(FRENCH + ARABIC + TIFINAGH + EMOJI), max_size=200),
)
any_text = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=150)
header_names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,49}", fullmatch=True)
ENCODED_WORD = re.compile(rb"=\?utf-8\?b\?([A-Za-z0-9+/]*=*)\?=")


def parsed(*headers: bytes) -> EmailMessage:
    return BytesParser(policy=email.policy.default).parsebytes(b"".join(headers) + b"\r\nbody\r\n")


def assert_well_folded(header: bytes) -> None:
    check_header(header)
    assert b"?==?" not in header
    for line in header.removesuffix(b"\r\n").split(b"\r\n"):
        assert len(line) <= 76
        assert line.strip(b" ")
        assert line == line.rstrip(b" ")
    for word in header.split():
        if b"=?" in word:
            found = ENCODED_WORD.fullmatch(word)
            assert found
            assert len(word) <= 75
            b64decode(found[1], validate=True).decode("utf-8")  # alone


@given(subjects)
def test_a_subject_in_any_of_our_scripts_comes_back_exactly_from_short_lines(subject: str) -> None:
    header = encode_header("Subject", subject)
    assert parsed(header)["Subject"] == subject
    if subject:
        assert_well_folded(header)


def decoded(value: str) -> str:
    """Decode by the other reader of the standard library, which drops blanks between encoded-words in phrases, too."""
    pieces: list[tuple[str | bytes, str | None]] = email.header.decode_header(value.replace("\r\n", ""))
    return "".join(piece if isinstance(piece, str) else piece.decode(charset or "ascii") for piece, charset in pieces)


@given(header_names, any_text)
def test_any_text_comes_back_exactly_under_any_name(name: str, value: str) -> None:
    header = encode_header(name, value)
    if value:
        assert_well_folded(header)
    assert decoded(header.decode().partition(":")[2].strip()) == value


def test_plain_ascii_stays_readable_and_folds_at_blanks() -> None:
    assert encode_header("Subject", "Weekly news") == b"Subject: Weekly news\r\n"
    long = encode_header("Subject", "word " * 29 + "end")
    assert b"=?" not in long
    assert_well_folded(long)


@pytest.mark.parametrize(
    "value", ["=?utf-8?q?a=0ABcc:_e=40x.y?= x", "a =?utf-8?b?", " leading", "two  blanks", "x" * 80]
)
def test_ascii_that_could_be_misread_is_encoded(value: str) -> None:
    header = encode_header("Subject", value)
    assert value.encode() not in header
    message = parsed(header)
    assert message.keys() == ["Subject"]
    assert message["Subject"] == value


@pytest.mark.parametrize("cluster", ["👨‍👩‍👧‍👦", "👩🏽‍🚒", "e\u0301", "ب\u064e\u0651"])
def test_what_is_seen_as_one_character_is_in_one_encoded_word(cluster: str) -> None:
    for before in range(60):
        words = ENCODED_WORD.findall(encode_header("Subject", "é" * before + cluster + "é" * 20))
        assert any(cluster in b64decode(word).decode() for word in words)


@pytest.mark.parametrize("bad", ["a\r\nBcc: e@x.y", "a\n", "\0", "a\tb", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
def test_a_control_character_or_line_end_is_refused_in_every_value(bad: str) -> None:
    for attempt in (
        lambda: encode_header("Subject", f"é{bad}"),
        lambda: encode_mailbox("From", f"é{bad}", "a@example.org"),
        lambda: encode_mailbox("From", "", f"{bad}@example.org"),
        lambda: encode_list_id(bad, "weekly.list-id.example.org"),
        lambda: encode_list_id("", f"weekly.{bad}.example.org"),
        lambda: encode_structured("Message-ID", f"<{bad}@example.org>"),
        lambda: encode_header(f"Subject{bad}", "x"),
    ):
        with pytest.raises(InvalidInput):
            attempt()


@given(st.one_of(subjects, any_text))
def test_a_display_name_comes_back_exactly_beside_its_address(name: str) -> None:
    header = encode_mailbox("From", name, "lettre@xn--mgbaabbb0a8dqbnr.example.ma")
    assert_well_folded(header)
    found = parsed(header)["From"]
    assert isinstance(found, AddressHeader)
    assert [mailbox.addr_spec for mailbox in found.addresses] == ["lettre@xn--mgbaabbb0a8dqbnr.example.ma"]
    if b"=?" in header:
        assert decoded(header.decode().partition(": ")[2].rpartition("<")[0].rstrip()) == name
    else:
        assert found.addresses[0].display_name == name


def test_a_mailbox_without_a_name_is_the_bare_address() -> None:
    assert encode_mailbox("To", "", "reader@example.org") == b"To: reader@example.org\r\n"


@pytest.mark.parametrize(
    "address", ["é@example.org", "a@éxample.org", "a b@c.org", "<a@b.c>", "a@b@c", "@b.c", "a@", "a"]
)
def test_an_address_that_would_need_quoting_or_encoding_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        encode_mailbox("To", "", address)


@given(any_text)
def test_a_list_id_keeps_its_identifier_whole(name: str) -> None:
    header = encode_list_id(name, "hebdo-ar.list-id.example.ma")
    assert_well_folded(header)
    assert header.endswith(b"<hebdo-ar.list-id.example.ma>\r\n")


urls = st.from_regex(r"<https://[a-z]{1,20}/[a-zA-Z0-9_.-]{1,300}>", fullmatch=True)


@given(st.lists(urls, min_size=1, max_size=6))
def test_a_structured_header_folds_between_its_parts_and_leaves_long_urls_whole(parts: list[str]) -> None:
    header = encode_structured("List-Unsubscribe", ", ".join(parts))
    check_header(header)
    assert all(part.encode() in header for part in parts)
    assert all(len(line) <= 998 for line in header.split(b"\r\n"))
    assert header.replace(b"\r\n", b"") == b"List-Unsubscribe: " + ", ".join(parts).encode()
    assert all(len(line) <= 76 or line.count(b" ") <= 2 for line in header.split(b"\r\n"))


def test_a_structured_header_is_not_folded_inside_quotes() -> None:
    header = encode_structured("List-Id", f'"{"weekly news " * 8}end" <weekly.list-id.example.org>')
    assert header.count(b"\r\n") == 2
    assert header.endswith(b"\r\n <weekly.list-id.example.org>\r\n")


@pytest.mark.parametrize("value", ["", " x", "a  b", "é", "=?utf-8?q?x?=", '"open', "x" * 990])
def test_a_structured_value_that_cannot_stand_as_it_is_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput):
        encode_structured("List-Unsubscribe", value)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001
def test_the_date_header_names_the_moment_in_utc(naive: datetime, minutes: int) -> None:
    moment = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    header = date_header(moment)
    assert header.endswith(b" +0000\r\n")
    assert parsed(header)["Date"].datetime == moment
    assert header.decode() == f"Date: {email.utils.format_datetime(moment.astimezone(UTC))}\r\n"


def test_a_date_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInput):
        date_header(datetime(2026, 11, 23))  # noqa: DTZ001


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r\n",
        b"X: a",
        b"X: a\n",
        b"X: a\r\nBcc: b\r\n",
        b"X: a\r\n\r\n",
        b" X: a\r\n",
        b": a\r\n",
        b"X: a\rb\r\n",
    ],
)
def test_bytes_that_are_not_one_header_are_found(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        check_header(line)
