"""Messages compiled once and filled for each reader: only the base64 lines that a blank touches are written again."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain

from newsletter.base.errors import InvalidInput
from newsletter.mail.headers import check_header, encode_header

OCTETS_PER_LINE = 57  # become the 76 characters of a base64 line (RFC 2045 section 6.8)
NARROWEST_BLANK = 16  # characters; a shorter marker could stand in a text by chance
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]*")


def marker(name: str, width: int) -> str:
    """Return what stands for the blank `name` in a body: `width` small letters and digits, always the same.

    It passes HTML escaping and CSS inlining unchanged and stands in no text by chance.

    :raises InvalidInput: if the width is below NARROWEST_BLANK
    """
    if width < NARROWEST_BLANK:
        raise InvalidInput(f"the blank “{name}” is narrower than {NARROWEST_BLANK} characters")
    seeds = (sha256(f"{name}\0{width}\0{number}".encode()).digest() for number in range(width // 32 + 1))
    return "".join(_DIGITS[octet % len(_DIGITS)] for octet in chain.from_iterable(seeds))[:width]


@dataclass(frozen=True, slots=True)
class _Run:
    """Whole base64 lines of a part that hold blanks: fixed octets, and the names of the blanks between them."""

    fixed: tuple[bytes, ...]
    names: tuple[str, ...]

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        octets = self.fixed[0]
        for name, after in zip(self.names, self.fixed[1:], strict=True):
            octets += values[name] + after
        return _base64_lines(octets)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A message but for what differs from reader to reader; safe to share between threads.

    `size` is its length in octets without the headers that `fill` is given: every filled message has it.
    """

    size: int
    _widths: Mapping[str, int]
    _pieces: tuple[bytes | _Run, ...]

    def fill(self, headers: Sequence[bytes], blanks: Mapping[str, str]) -> bytes:
        """Return the message for one reader: these complete header lines in front, each blank replaced by its value.

        :raises InvalidInput: if a blank is missing or unknown, has another width, or is not made of A-Z a-z 0-9 . _ ~ -
        """
        for header in headers:
            check_header(header)
        if blanks.keys() != self._widths.keys():
            raise InvalidInput(f"the blanks of this message are: {', '.join(sorted(self._widths)) or 'none'}")
        values = {name: self._checked(name, value) for name, value in blanks.items()}
        filled = (piece.filled(values) if isinstance(piece, _Run) else piece for piece in self._pieces)
        return b"".join(chain(headers, filled))

    def _checked(self, name: str, value: str) -> bytes:
        if len(value) != self._widths[name]:
            raise InvalidInput(f"the blank “{name}” takes {self._widths[name]} characters, not {len(value)}")
        if not _URL_SAFE.fullmatch(value):
            raise InvalidInput(f"the blank “{name}” takes only characters that are safe in a URL")
        return value.encode("ascii")


def compile_message(
    headers: Sequence[tuple[str, str] | bytes], text: str, html: str, blanks: Mapping[str, int]
) -> Compiled:
    """Compile a message of a text and an HTML part whose blanks, given with their widths, stand in it as their markers.

    `headers` are those that all readers share: (name, unstructured text), or a line that is already encoded.

    :raises InvalidInput: if a blank stands in neither part, a part is not Unicode text, or a header cannot be written
    """
    markers = {marker(name, width).encode(): name for name, width in blanks.items()}
    parts = [("text/plain", _octets(text)), ("text/html", _octets(html))]
    lost = [name for found, name in markers.items() if not any(found in octets for _, octets in parts)]
    if lost:
        raise InvalidInput(f"a blank has no place in the message: {', '.join(sorted(lost))}")
    boundary = _boundary(parts)
    pieces: list[bytes | _Run] = [_shared_headers(headers, boundary)]
    for content_type, octets in parts:
        pieces.append(_part_headers(content_type, boundary))
        pieces.extend(_part_pieces(octets, markers))
    pieces.append(b"--" + boundary + b"--\r\n")
    size = sum(len(piece) if isinstance(piece, bytes) else _encoded_size(piece, blanks) for piece in pieces)
    return Compiled(size, dict(blanks), tuple(_joined(pieces)))


def _octets(body: str) -> bytes:
    """Write the body in UTF-8 with CRLF at the ends of its lines."""
    try:
        octets = body.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a part of the message holds half a character (a lone surrogate)") from None
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _boundary(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a line that no part holds: base64 has no underscore (RFC 2045 section 6.7)."""
    digest = sha256(b"".join(sha256(octets).digest() for _, octets in parts)).hexdigest()
    return f"=_{digest[:32]}".encode()


def _shared_headers(headers: Sequence[tuple[str, str] | bytes], boundary: bytes) -> bytes:
    lines = [header if isinstance(header, bytes) else encode_header(*header) for header in headers]
    for line in lines:
        check_header(line)
    ending = b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
    return b"".join([*lines, ending])


def _part_headers(content_type: str, boundary: bytes) -> bytes:
    encoding = b"Content-Transfer-Encoding: base64\r\n\r\n"
    return b"--" + boundary + b'\r\nContent-Type: %s; charset="utf-8"\r\n' % content_type.encode() + encoding


def _part_pieces(octets: bytes, markers: Mapping[bytes, str]) -> Iterator[bytes | _Run]:
    """Cut a part at whole base64 lines into what is shared and what holds blanks."""
    done = 0
    for start, end, places in _runs(octets, markers):
        yield _base64_lines(octets[done:start])
        ends = [start, *(place.end() for place in places)]
        starts = [*(place.start() for place in places), end]
        fixed = tuple(octets[after:before] for after, before in zip(ends, starts, strict=True))
        yield _Run(fixed, tuple(markers[place[0]] for place in places))
        done = end
    yield _base64_lines(octets[done:])


def _runs(octets: bytes, markers: Mapping[bytes, str]) -> Iterator[tuple[int, int, list[re.Match[bytes]]]]:
    """Find the blanks; those that share a base64 line are one run."""
    if not markers:
        return
    start = end = 0
    places: list[re.Match[bytes]] = []
    for place in re.finditer(b"|".join(sorted(markers)), octets):
        if places and place.start() > end:
            yield start, end, places
            places = []
        if not places:
            start = place.start() // OCTETS_PER_LINE * OCTETS_PER_LINE
        end = min(-(-place.end() // OCTETS_PER_LINE) * OCTETS_PER_LINE, len(octets))
        places.append(place)
    if places:
        yield start, end, places


def _base64_lines(octets: bytes) -> bytes:
    """Write whole lines of base64; `octets` starts at a line of its part."""
    starts = range(0, len(octets), OCTETS_PER_LINE)
    lines = [b2a_base64(octets[start : start + OCTETS_PER_LINE], newline=False) for start in starts]
    lines.append(b"")
    return b"\r\n".join(lines)


def _joined(pieces: Sequence[bytes | _Run]) -> Iterator[bytes | _Run]:
    """Join neighbours that are fixed."""
    fixed: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed.append(piece)
        else:
            yield b"".join(fixed)
            fixed = []
            yield piece
    yield b"".join(fixed)


def _encoded_size(run: _Run, blanks: Mapping[str, int]) -> int:
    octets = sum(map(len, run.fixed)) + sum(blanks[name] for name in run.names)
    return len(_base64_lines(bytes(octets)))
