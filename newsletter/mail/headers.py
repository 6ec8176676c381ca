"""Header lines, encoded and folded by ourselves (RFC 5322, RFC 2047); each ends in CRLF.

The standard library glues encoded-words together, writes lines of 77 characters, and lets an encoded line end through.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from newsletter.base.errors import InvalidInput
from newsletter.mail.envelope import address_problem

LINE = 76  # characters, CRLF not counted: RFC 2047 section 2
LONGEST_LINE = 998  # octets, RFC 5322 section 2.1.1
_WORD_START, _WORD_END = "=?utf-8?b?", "?="
_WORD_OCTETS = 45  # whose base64, 60 characters, makes an encoded-word of 72
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,49}")
_TOKEN = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^" ])+')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")  # categories Cc, Cs, Zl and Zp
_JOINER = "\u200d"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def encode_header(name: str, value: str) -> bytes:
    """Write an unstructured header such as Subject: any text, in lines of at most 76 characters.

    :raises InvalidInput: if the value holds a line end or another control character
    """
    start = _start(name)
    _refuse_controls(name, value)
    if not value:
        return _lines([start])
    lines = _fold(start, value.split(" "))
    if not _is_plain(value) or any(len(line) > LINE for line in lines):
        lines = _fold(start, _encoded_words(value, LINE - len(start) - 1))
    return _lines(lines)


def encode_mailbox(name: str, display_name: str, address: str) -> bytes:
    """Write a header with one mailbox, such as From, To, Reply-To; the address is ASCII, its domain in A-labels.

    :raises InvalidInput: if the name holds a control character, or the address is none
    """
    if problem := address_problem(address):
        raise InvalidInput(f"{name}: {problem}", code="address_invalid")
    if not display_name:
        return _lines([f"{_start(name)} {address}"])
    return _phrase_and_angle(name, display_name, f"<{address}>")


def encode_list_id(display_name: str, identifier: str) -> bytes:
    """Write List-Id: a name for people and an identifier such as slug-lang.list-id.domain (RFC 2919).

    :raises InvalidInput: if the name holds a control character, or the identifier is no dot-atom
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", identifier):
        raise InvalidInput("List-Id: the identifier is not made of words with dots between them")
    if not display_name:
        return _lines([f"List-Id: <{identifier}>"])
    return _phrase_and_angle("List-Id", display_name, f"<{identifier}>")


def encode_structured(name: str, value: str) -> bytes:
    """Write a header that machines read, such as Message-ID or List-Unsubscribe: ASCII, never encoded.

    Folds at blanks outside of quotes, at 76 characters if it can; a long URL stays whole.

    :raises InvalidInput: if the value is not printable ASCII with single blanks, or a part is too long for a line
    """
    start = _start(name)
    if not value.isascii() or not _is_plain(value):
        raise InvalidInput(f"{name}: not printable ASCII with single blanks between its parts")
    lines = _fold(start, _TOKEN.findall(value))
    if " ".join(_TOKEN.findall(value)) != value or any(len(line) > LONGEST_LINE for line in lines):
        raise InvalidInput(f"{name}: a part is too long for one line, or a quote is left open")
    return _lines(lines)


def date_header(moment: datetime) -> bytes:
    """Write the Date header of this moment, in UTC (RFC 5322 section 3.3).

    :raises InvalidInput: if the moment has no time zone
    """
    return b"Date: " + encode_date(moment) + b"\r\n"


def encode_date(moment: datetime) -> bytes:
    """Write a moment as the Date header's value.

    :raises InvalidInput: if the moment has no time zone
    """
    if moment.tzinfo is None:
        raise InvalidInput("Date: the moment has no time zone")
    at = moment.astimezone(UTC)
    day = f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04}"
    return f"{day} {at.hour:02}:{at.minute:02}:{at.second:02} +0000".encode()


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """Complete header lines, looked at once, with places for words that differ from mail to mail.

    `filled` is cheap because it looks at nothing: a word without blanks and line ends leaves the lines what they are.
    """

    lines: bytes
    places: int

    def filled(self, words: tuple[bytes, ...]) -> bytes:
        """Return the lines with these words, as many as there are places, in their order."""
        return self.lines % words


def header_form(headers: Sequence[bytes], markers: Collection[bytes]) -> HeaderForm:
    """Make a form of complete header lines in which these markers, one at least, stand where the words shall.

    :raises InvalidInput: if one of them is not one complete header line
    """
    for line in headers:
        check_header(line)
    pieces = re.split(b"|".join(map(re.escape, markers)), b"".join(headers))
    return HeaderForm(b"%b".join(piece.replace(b"%", b"%%") for piece in pieces), len(pieces) - 1)


@lru_cache(maxsize=256)
def check_header(line: bytes) -> None:
    """Make sure that these bytes are one complete header: its lines end in CRLF, and all but the first are indented.

    :raises InvalidInput: if they are not, or hold a NUL or an octet above 127, or are too long
    """
    ends = line.count(b"\r\n")
    folds = line.count(b"\r\n ")
    is_one = line.endswith(b"\r\n") and ends == folds + 1 == line.count(b"\n") == line.count(b"\r")
    if not is_one or b":" not in line or not line[:1].isalpha() or not line.isascii() or b"\0" in line:
        raise InvalidInput("not one complete header line")
    if max(map(len, line.split(b"\r\n"))) > LONGEST_LINE:
        raise InvalidInput("a header line is too long")


def _start(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput("a header name is made of at most 50 letters, digits and hyphens")
    return f"{name}:"


def _refuse_controls(name: str, value: str) -> None:
    if _CONTROLS.search(value):
        raise InvalidInput(f"{name}: holds a line end or another control character", code="control_character")


def _is_plain(value: str) -> bool:
    """Whether the value can stand as it is: printable ASCII, single blanks inside, nothing that reads as encoded."""
    return value.isascii() and value.isprintable() and "" not in value.split(" ") and "=?" not in value


def _fold(start: str, tokens: Iterable[str]) -> list[str]:
    """Put the tokens into lines of at most 76 characters, one at least into each."""
    lines = [start]
    for token in tokens:
        if lines != [start] and len(lines[-1]) + 1 + len(token) > LINE:
            lines.append("")
        lines[-1] += f" {token}"
    return lines


def _phrase_and_angle(name: str, phrase: str, angle: str) -> bytes:
    start = _start(name)
    _refuse_controls(name, phrase)
    quoted = '"' + phrase.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if _is_plain(phrase) and len(start) + 1 + len(quoted) <= LINE:
        return _lines(_fold(start, [quoted, angle]))
    return _lines(_fold(start, [*_encoded_words(phrase, LINE - len(start) - 1), angle]))


def _encoded_words(value: str, first_width: int) -> Iterator[str]:
    """Cut the value into encoded-words; each can be decoded alone, the first has at most `first_width` characters."""
    room = min((first_width - len(_WORD_START + _WORD_END)) // 4 * 3, _WORD_OCTETS)
    start = 0
    while start < len(value):
        end = _word_end(value, start, room)
        yield f"{_WORD_START}{b64encode(value[start:end].encode()).decode()}{_WORD_END}"
        start, room = end, _WORD_OCTETS


def _word_end(value: str, start: int, room: int) -> int:
    """Return the end of the longest word of `room` octets that parts no letters seen as one, unless they are longer."""
    longest = end = start + len(value[start : start + room].encode()[:room].decode(errors="ignore"))
    while start < end < len(value) and (_joins(value[end]) or value[end - 1] == _JOINER):
        end -= 1
    return end if end > start else longest


def _joins(character: str) -> bool:
    """Whether it is seen as one with what stands before it: combining marks, joiners, skin tones."""
    combines = unicodedata.category(character) in {"Mn", "Mc", "Me"}
    return combines or character == _JOINER or "\U0001f3fb" <= character <= "\U0001f3ff"


def _lines(lines: Iterable[str]) -> bytes:
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
