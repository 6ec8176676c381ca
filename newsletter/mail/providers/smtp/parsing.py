"""From octets to replies, on a buffer that never grows (RFC 5321 section 4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from newsletter.mail.providers.smtp.replies import GARBAGE, Reply, one_line

LONGEST_LINE = 8_192  # octets; RFC 5321 allows 512
LONGEST_REPLY = 65_536  # octets of all its lines
ROOM = 2 * LONGEST_LINE

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)


@dataclass(slots=True)
class Answer:
    """One reply as it came: the code (GARBAGE if it is none) and what stands behind it, its lines joined by LF."""

    code: int
    octets: bytes

    @property
    def text(self) -> str:
        """What was said, as one printable line."""
        return one_line(self.octets.decode(errors="replace"))

    def as_reply(self) -> Reply:
        """Return it in the form that is judged."""
        return Reply(self.code, self.text)


class ReplyParser:
    """Takes octets in `room()`, is told by `filled` how many, and gives whole replies out by `take`."""

    def __init__(self) -> None:
        self._buffer = bytearray(ROOM)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._code = b""
        self._lines: list[bytes] = []
        self._octets = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was received beyond the replies that were taken."""
        return self._start == self._end and not self._lines

    def room(self) -> memoryview:
        """Where the next octets go; never empty once `take` has returned None."""
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """Count octets that were written to the start of `room()`."""
        self._end += count

    def take(self) -> Answer | None:
        """Return the next reply, None if there is no whole one. What follows garbage means nothing."""
        while True:
            end = self._buffer.find(b"\n", self._start, self._end)
            if end < 0:
                return self._wait()
            line = bytes(self._view[self._start : end])
            self._start = end + 1
            if self._start == self._end:
                self._start = self._end = 0
            answer = self._add(line.removesuffix(b"\r"))
            if answer is not None:
                return answer

    def _add(self, line: bytes) -> Answer | None:
        found = _LINE.fullmatch(line)
        self._octets += len(line) + 2
        if not found or (self._code and found[1] != self._code) or self._octets > LONGEST_REPLY:
            return self._finish(GARBAGE, [line or b"(an empty line)"])
        if found[2] == b"-":
            self._code = found[1]
            self._lines.append(found[3])
            return None
        self._lines.append(found[3] or b"")
        return self._finish(int(found[1]), self._lines)

    def _finish(self, code: int, lines: list[bytes]) -> Answer:
        self._code, self._lines, self._octets = b"", [], 0
        return Answer(code, lines[0] if len(lines) == 1 else b"\n".join(lines))

    def _wait(self) -> Answer | None:
        """Make room for the rest of a line, unless it is longer than a line can be."""
        held = self._end - self._start
        if held > LONGEST_LINE:
            line = bytes(self._view[self._start : self._end])
            self._start = self._end = 0
            return self._finish(GARBAGE, [line])
        if self._start:
            self._buffer[:held] = self._buffer[self._start : self._end]
            self._start, self._end = 0, held
        return None
