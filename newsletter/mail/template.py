"""Messages compiled once and filled for each reader: only the base64 that a blank touches is written again."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import chain

from newsletter.base.errors import InvalidInput
from newsletter.mail.headers import check_header, encode_header

OCTETS_PER_LINE = 57  # become the 76 characters of a base64 line (RFC 2045 section 6.8)
NARROWEST_BLANK = 16  # characters; a shorter marker could stand in a text by chance
_LETTERS_PER_LINE = OCTETS_PER_LINE // 3 * 4 + len("\r\n")
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
_URL_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"


@cache
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
    """Octets in groups of three that hold blanks: what is fixed in front and behind each, and the lines they fill.

    Three octets are four characters of base64 (RFC 2045 section 6.8), so nothing around a run changes with it.
    """

    first: bytes
    blanks: tuple[tuple[str, bytes], ...]
    cuts: tuple[int, ...]  # where lines end in its base64, the last first

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        octets = self.first
        for name, after in self.blanks:
            octets += values[name] + after
        encoded = b2a_base64(octets, newline=False)
        for cut in self.cuts:
            encoded = encoded[:cut] + b"\r\n" + encoded[cut:]
        return encoded


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a part in whole lines of base64; safe to share between messages and threads.

    `octets` is its length before the encoding, and only the last block of a part may leave a line unfilled.
    """

    octets: int
    digest: bytes
    names: frozenset[str]
    pieces: tuple[bytes | _Run, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A message but for what differs from reader to reader; safe to share between threads.

    `size` is its length in octets without the headers that `fill` is given: every filled message has it. All of it is
    ASCII without NUL, in lines that end in CRLF and do not begin with a dot.
    """

    size: int
    _widths: tuple[tuple[str, int], ...]
    _parts: tuple[bytes, ...]
    _runs: tuple[tuple[_Run, tuple[int, ...]], ...]  # and the places of each among the parts, headers included

    def fill(self, headers: bytes, blanks: Mapping[str, bytes]) -> tuple[bytes, ...]:
        """Return the message for one reader in parts: complete header lines in front, each blank replaced by its value.

        Nobody looks at the headers again. The parts between the blanks are the same objects in every message.

        :raises InvalidInput: if a blank is missing or unknown, has another width, or is not made of A-Z a-z 0-9 . _ ~ -
        """
        if len(blanks) != len(self._widths):
            raise self._refusal(blanks)
        for name, width in self._widths:
            value = blanks.get(name)
            if value is None or len(value) != width or value.translate(None, _URL_SAFE):
                raise self._refusal(blanks)
        parts = [headers, *self._parts]
        for run, places in self._runs:
            encoded = run.filled(blanks)
            for place in places:
                parts[place] = encoded
        return tuple(parts)

    def _refusal(self, blanks: Mapping[str, bytes]) -> InvalidInput:
        widths = dict(self._widths)
        if blanks.keys() != widths.keys():
            return InvalidInput(f"the blanks of this message are: {', '.join(sorted(widths)) or 'none'}")
        for name, width in self._widths:
            if len(blanks[name]) != width:
                return InvalidInput(f"the blank “{name}” takes {width} characters, not {len(blanks[name])}")
        return InvalidInput("a blank takes only characters that are safe in a URL")


def compile_message(
    headers: Sequence[tuple[str, str] | bytes],
    text: str | Sequence[Block],
    html: str | Sequence[Block],
    blanks: Mapping[str, int],
) -> Compiled:
    """Compile a message of a text and an HTML part whose blanks, given with their widths, stand in it as their markers.

    `headers` are those that all readers share: (name, unstructured text), or a line that is already encoded.

    :raises InvalidInput: if a blank stands in neither part, a part is not Unicode text, or a header cannot be written
    """
    parts = [("text/plain", _blocks(text, blanks)), ("text/html", _blocks(html, blanks))]
    lost = blanks.keys() - {name for _, blocks in parts for block in blocks for name in block.names}
    if lost:
        raise InvalidInput(f"a blank has no place in the message: {', '.join(sorted(lost))}")
    boundary = _boundary([blocks for _, blocks in parts])
    pieces: list[bytes | _Run] = [_shared_headers(headers, boundary)]
    for content_type, blocks in parts:
        pieces.append(_part_headers(content_type, boundary))
        pieces.extend(piece for block in blocks for piece in block.pieces)
    pieces.append(b"--" + boundary + b"--\r\n")
    return _compiled(pieces, blanks)


def compile_block(body: str, blanks: Mapping[str, int], *, whole_lines: bool = False) -> Block:
    """Compile a piece of a part once for many messages; `blanks` are those of the messages, it may hold any of them.

    With `whole_lines`, spaces in front of its last line end fill it up to what others can follow.

    :raises InvalidInput: if it is not Unicode text
    """
    markers = {marker(name, width).encode(): name for name, width in blanks.items()}
    octets = _filled_up(_octets(body)) if whole_lines else _octets(body)
    encoded = _base64_lines(octets)
    pieces: list[bytes | _Run] = []
    names: set[str] = set()
    done = 0
    for start, end, places in _runs(octets, markers):
        pieces += [encoded[done : _letter(start)], _run(octets, start, end, places, markers)]
        names |= {markers[place[0]] for place in places}
        done = len(encoded) - 2 if end == len(octets) else _letter(end - 3) + 4
    pieces.append(encoded[done:])
    return Block(len(octets), sha256(octets).digest(), frozenset(names), tuple(pieces))


def _blocks(part: str | Sequence[Block], blanks: Mapping[str, int]) -> Sequence[Block]:
    if isinstance(part, str):
        return [compile_block(part, blanks)]
    if any(block.octets % OCTETS_PER_LINE for block in part[:-1]):
        raise InvalidInput("a block that others follow does not fill its last line")
    return part


def _compiled(pieces: Sequence[bytes | _Run], blanks: Mapping[str, int]) -> Compiled:
    """Join neighbours that are fixed; runs that are the same are filled once."""
    parts: list[bytes] = []
    fixed: list[bytes] = []
    runs: dict[_Run, list[int]] = {}
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed.append(piece)
        else:
            parts += [b"".join(fixed), b""]
            fixed = []
            runs.setdefault(piece, []).append(len(parts))  # the headers come first
    parts.append(b"".join(fixed))
    size = sum(map(len, parts)) + sum(_encoded_size(run, blanks) * len(places) for run, places in runs.items())
    return Compiled(
        size, tuple(blanks.items()), tuple(parts), tuple((run, tuple(places)) for run, places in runs.items())
    )


def _octets(body: str) -> bytes:
    """Write the body in UTF-8 with CRLF at the ends of its lines."""
    try:
        octets = body.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a part of the message holds half a character (a lone surrogate)") from None
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _filled_up(octets: bytes) -> bytes:
    end = len(octets) - 2 * octets.endswith(b"\r\n")
    return octets[:end] + b" " * (-len(octets) % OCTETS_PER_LINE) + octets[end:]


def _boundary(parts: Sequence[Sequence[Block]]) -> bytes:
    """Return a line that no part holds: base64 has no underscore (RFC 2045 section 6.7)."""
    digest = sha256(b"".join(sha256(b"".join(block.digest for block in blocks)).digest() for blocks in parts))
    return f"=_{digest.hexdigest()[:32]}".encode()


def _shared_headers(headers: Sequence[tuple[str, str] | bytes], boundary: bytes) -> bytes:
    lines = [header if isinstance(header, bytes) else encode_header(*header) for header in headers]
    for line in lines:
        check_header(line)
    ending = b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n'
    return b"".join([*lines, ending])


def _part_headers(content_type: str, boundary: bytes) -> bytes:
    encoding = b"Content-Transfer-Encoding: base64\r\n\r\n"
    return b"--" + boundary + b'\r\nContent-Type: %s; charset="utf-8"\r\n' % content_type.encode() + encoding


def _runs(octets: bytes, markers: Mapping[bytes, str]) -> Iterator[tuple[int, int, list[re.Match[bytes]]]]:
    """Find the blanks in whole groups of three octets; those that touch are one run."""
    if not markers:
        return
    start = end = 0
    places: list[re.Match[bytes]] = []
    for place in re.finditer(b"|".join(sorted(markers)), octets):
        if places and place.start() > end:
            yield start, end, places
            places = []
        if not places:
            start = place.start() // 3 * 3
        end = min(-(-place.end() // 3) * 3, len(octets))
        places.append(place)
    if places:
        yield start, end, places


def _run(octets: bytes, start: int, end: int, places: Sequence[re.Match[bytes]], markers: Mapping[bytes, str]) -> _Run:
    starts = [*(place.start() for place in places[1:]), end]
    blanks = tuple(
        (markers[place[0]], octets[place.end() : after]) for place, after in zip(places, starts, strict=True)
    )
    first_line_end = (start // OCTETS_PER_LINE + 1) * OCTETS_PER_LINE
    cuts = [(line_end - start) // 3 * 4 for line_end in range(first_line_end, end, OCTETS_PER_LINE)]
    return _Run(octets[start : places[0].start()], blanks, tuple(reversed(cuts)))


def _encoded_size(run: _Run, blanks: Mapping[str, int]) -> int:
    octets = len(run.first) + sum(blanks[name] + len(after) for name, after in run.blanks)
    return -(-octets // 3) * 4 + 2 * len(run.cuts)


def _letter(octet: int) -> int:
    """Return where the base64 of an octet begins, line ends counted; the octet is the first of its group."""
    line, place = divmod(octet, OCTETS_PER_LINE)
    return line * _LETTERS_PER_LINE + place // 3 * 4


def _base64_lines(octets: bytes) -> bytes:
    """Write whole lines of base64."""
    starts = range(0, len(octets), OCTETS_PER_LINE)
    lines = [b2a_base64(octets[start : start + OCTETS_PER_LINE], newline=False) for start in starts]
    lines.append(b"")
    return b"\r\n".join(lines)
