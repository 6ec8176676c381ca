"""The counting server as a test sees it: its orders, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.base.errors import ConfigError
from newsletter.mail.registry import backend_from_url

SERVER = Path(__file__).with_name("counting_server.py")
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the server took: from which sender, for whom, under which Message-ID."""

    sender: str
    recipient: str
    message_id: str


@dataclass(slots=True)
class Relay:
    """A running counting server."""

    process: subprocess.Popen[str]
    log: Path
    port: int
    taken: list[Taken] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)
    _read_to: int = 0
    _options: str | None = None

    def url(self, sender: str) -> str:
        """Return the mail URL of a sender, who greets with its own name; with many connections where there can be."""
        plain = f"smtp://127.0.0.1:{self.port}?helo={sender}"
        if self._options is None:
            self._options = f"&connections={CONNECTIONS}"
            try:
                backend_from_url(plain + self._options, home=self.log.parent)
            except ConfigError:
                self._options = ""
        return plain + self._options

    def order(self, *words: str) -> None:
        """Tell the server something, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", "the counting server has ended"

    def look(self) -> int:
        """Read what was taken since the last look; returns how many mails were taken in all."""
        with self.log.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read_to += len(line)
                what, *words = json.loads(line)
                if what == "taken":
                    self.taken.append(Taken(*words))
                else:
                    self.told.add((words[0], words[1]))
        return len(self.taken)

    def from_sender(self, sender: str) -> int:
        """Return how many mails this sender has brought."""
        self.look()
        return sum(each.sender == sender for each in self.taken)

    def wait_for(self, mails: int, *, sender: str = "", seconds: float = 90) -> bool:
        """Wait until so many mails were taken, from one sender or in all; False if it takes too long."""
        until = time.monotonic() + seconds
        while (self.from_sender(sender) if sender else self.look()) < mails:
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True


@contextmanager
def counting_server(folder: Path, *, rate: float, refused: float = 2) -> Iterator[Relay]:
    """Run a counting server as long as the block lasts."""
    log = folder / "taken.jsonl"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(log), str(rate), str(refused)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Relay(process, log, int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
