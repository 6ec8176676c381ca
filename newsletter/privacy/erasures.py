"""The log of erasures: kept beside the database and apart from its backups, so that a restored one mails no erased
person.

One line for each: the moment, and the keyed hash of the address. A line is on the disk before its erasure is committed;
a line whose erasure failed is carried out at the next start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from newsletter.base.errors import ConfigError

FILE = "erasures.log"
_LINE = re.compile(r"(\S+) ([0-9a-f]{64})")


class ErasureLog:
    """The log of one installation, in its home."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE

    def append(self, at: datetime, address_hashes: Sequence[str]) -> None:
        """Write these erasures down, for good: they are on the disk when this returns.

        :raises ConfigError: if they cannot be
        """
        lines = "".join(f"{at.isoformat()} {each}\n" for each in address_hashes).encode("ascii")
        try:
            is_new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _write_whole(descriptor, lines)
            finally:
                os.close(descriptor)
            if is_new:
                _keep_name(self.path.parent)
        except OSError as error:
            raise ConfigError(
                f"nothing was erased: {self.path}, which no restored backup may forget, cannot be written: "
                f"{error.strerror}",
                code="erasures_unwritable",
            ) from None

    def read(self) -> dict[str, datetime]:
        """Return when each of these addresses was erased last, by keyed hash; none if nobody ever was.

        :raises ConfigError: if the log is there and cannot be read
        """
        found: dict[str, datetime] = {}
        for _, at, address_hash in self._entries():
            if at is not None and (address_hash not in found or at > found[address_hash]):
                found[address_hash] = at
        return found

    def damaged_lines(self) -> list[int]:
        """Return the numbers of the lines that say nothing.

        :raises ConfigError: if the log is there and cannot be read
        """
        return [number for number, at, _ in self._entries() if at is None]

    def _entries(self) -> Iterator[tuple[int, datetime | None, str]]:
        try:
            with self.path.open(encoding="ascii", errors="replace") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield (number, *_read_line(line.strip()))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {error.strerror}") from None


def _read_line(line: str) -> tuple[datetime | None, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        return None, ""
    try:
        at = datetime.fromisoformat(found[1])
    except ValueError:
        return None, ""
    return (at, found[2]) if at.tzinfo is not None else (None, "")


def _write_whole(descriptor: int, lines: bytes) -> None:
    """Add lines behind what is there; half a line that a crash left shall not spoil the next one."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        lines = b"\n" + lines
    while lines:
        lines = lines[os.write(descriptor, lines) :]
    os.fsync(descriptor)


def _keep_name(folder: Path) -> None:
    """Make sure that a new file is found after a power cut: its folder names it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
