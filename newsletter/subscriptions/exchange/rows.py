"""From the bytes of a file to rows of cells, whatever wrote it; every row it cannot read is told, none is lost.

A row is read on its own: one that is broken spoils no other, and nothing grows with the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from newsletter.base.errors import InvalidInput

LONGEST_ROW = 65_536  # characters
MOST_LINES = 100  # of the file that one row may take, in quoted cells
DELIMITERS = (",", ";", "\t")
_ARABIC = re.compile("[\u0621-\u064a]{3}")
_NOT_TEXT = {
    b"PK\x03\x04": "this is a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\x1f\x8b": "this file is compressed with gzip: unpack it first",
    b"\xd0\xcf\x11\xe0": "this is an Excel workbook: save the sheet as CSV",
    b"%PDF": "this is a PDF, not CSV",
}


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row, or why it has none; `line` is the number of its first line, from 1."""

    line: int
    cells: Sequence[str] = ()
    trouble: str | None = None
    is_guessed: bool = False  # it was not UTF-8, so that letters beyond ASCII are a guess


@dataclass(slots=True)
class Reader:
    """Reads the rows of one file; empty ones are left out. What it found out about the file is in its fields."""

    delimiter: str = ""
    encodings: set[str] = field(default_factory=set)
    _waiting: deque[tuple[int, str]] = field(default_factory=deque)

    def rows(self, stream: io.BufferedReader) -> Iterator[Row]:
        """Yield the rows, those that cannot be read with their trouble.

        :raises InvalidInput: if it is no text at all
        """
        lines = self._lines(stream)
        while (first := self._next(lines)) is not None:
            number, text = first
            if number == 1 and re.fullmatch("sep=[,;\t]", text.strip("\r\n")):
                self.delimiter = text[4]
                continue
            row = self._row(number, text, lines)
            if row.trouble or any(cell.strip() for cell in row.cells):
                yield row

    def _row(self, number: int, text: str, lines: Iterator[tuple[int, str]]) -> Row:
        if len(text) > LONGEST_ROW:
            return Row(number, trouble=f"longer than {LONGEST_ROW // 1024} kB")
        if "\0" in text:
            return Row(number, trouble="it holds a NUL, which no text does")
        text, is_guessed = self._decoded(text)
        if '"' not in text:
            text = text.rstrip("\r\n")
            self.delimiter = self.delimiter or _best_delimiter(text)
            return Row(number, text.split(self.delimiter), is_guessed=is_guessed)
        return self._quoted(number, text, lines, is_guessed=is_guessed)

    def _quoted(self, number: int, text: str, lines: Iterator[tuple[int, str]], *, is_guessed: bool) -> Row:
        """Read a row with quoted cells, which may go on over the next lines; if they do not end, give those back."""
        taken: list[tuple[int, str]] = []
        delimiter = self.delimiter or _best_delimiter(text)
        while (cells := _parsed(text, delimiter)) is None and _is_open(text, delimiter):
            has_quote = False
            while not has_quote:  # only a quote can end it
                following = self._next(lines) if len(taken) < MOST_LINES and len(text) <= LONGEST_ROW else None
                if following is None or "\0" in following[1]:
                    self._waiting.extendleft(reversed(taken if following is None else [*taken, following]))
                    return Row(number, trouble="a quoted cell in it does not end")
                taken.append(following)
                more, guessed = self._decoded(following[1])
                text, is_guessed, has_quote = text + more, is_guessed or guessed, '"' in more
            delimiter = self.delimiter or _best_delimiter(text)
        if cells is None:
            self._waiting.extendleft(reversed(taken))
            return Row(number, trouble="a quote stands where none can")
        self.delimiter = delimiter
        return Row(number, cells, is_guessed=is_guessed)

    def _next(self, lines: Iterator[tuple[int, str]]) -> tuple[int, str] | None:
        return self._waiting.popleft() if self._waiting else next(lines, None)

    def _decoded(self, text: str) -> tuple[str, bool]:
        """Read the bytes of a line, which came as latin-1, as what they are, and say whether that is a guess."""
        if text.isascii() or "utf-16" in self.encodings:
            return text, False
        data = text.encode("latin-1")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            arabic = data.decode("cp1256")
            is_arabic = _ARABIC.search(arabic) is not None
            self.encodings.add("windows-1256" if is_arabic else "windows-1252")
            return arabic if is_arabic else data.decode("cp1252", "replace"), True
        self.encodings.add("utf-8")
        return text, False

    def _lines(self, stream: io.BufferedReader) -> Iterator[tuple[int, str]]:
        """Yield numbered lines with their ends; of one that is too long no more than its beginning."""
        head = stream.peek(4)[:4]
        for magic, told in _NOT_TEXT.items():
            if head.startswith(magic):
                raise InvalidInput(told, code="not_csv")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            self.encodings.add("utf-16")
            text = io.TextIOWrapper(stream, encoding="utf-16", errors="replace", newline="")
        else:
            if head.startswith(b"\xef\xbb\xbf"):
                stream.read(3)
            text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
        number = 0
        try:
            while line := text.readline(LONGEST_ROW + 2):
                number += 1
                yield number, line
                while not line.endswith(("\r", "\n")) and (line := text.readline(LONGEST_ROW)):
                    pass
        finally:
            with suppress(ValueError):  # whoever opened the file may have closed it already
                text.detach()


def _parsed(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _is_open(text: str, delimiter: str) -> bool:
    """Say whether a quoted cell goes on: one more quote would end it."""
    return _parsed(text + '"', delimiter) is not None


def _best_delimiter(text: str) -> str:
    """Choose what parts the first row into most cells."""
    return max(DELIMITERS, key=lambda each: len(_parsed(text, each) or _parsed(text + '"', each) or ()))
