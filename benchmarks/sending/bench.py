"""What all experiments share: the planned issues, the servers, how often and how much."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sending.ground import Ground, create_database, postgresql, prepare
from benchmarks.sending.rounds import Contender, Results, compare
from benchmarks.sending.senders import SmtpSource
from benchmarks.sending.servers import Counting, Server, program

SOURCE = "smtp-source -s 16"
SOURCE_KEPT = "smtp-source -s 16 -d"
BESIDE = {SOURCE: "× smtp-source", SOURCE_KEPT: "× smtp-source -d"}


@dataclass(slots=True)
class Bench:
    """One run of the benchmark; grounds are laid when they are first asked for."""

    folder: Path
    stack: ExitStack
    mails: int
    runs: int
    by_hand: int
    has_million: bool
    octets: int = 0
    _grounds: dict[tuple[str, int], Ground] = field(default_factory=dict)
    _uri: str | None = None
    _counting: Counting | None = None

    @property
    def fewer_runs(self) -> int:
        """Rounds of what is not compared with an aim."""
        return min(self.runs, 3)

    @property
    def counting(self) -> Counting:
        if self._counting is None:
            self._counting = Counting(self.folder)
        return self._counting

    def sqlite(self, mails: int | None = None) -> Ground:
        """Return an issue for so many readers (default: as many as asked for) on SQLite."""
        return self._ground("sqlite", mails or self.mails)

    def postgresql(self, mails: int | None = None) -> Ground:
        """Return such an issue on PostgreSQL."""
        return self._ground("postgresql", mails or self.mails)

    def _ground(self, kind: str, mails: int) -> Ground:
        if (kind, mails) not in self._grounds:
            if kind == "sqlite":
                url = f"sqlite:///{self.folder / f'template-{mails}.db'}"
            else:
                if self._uri is None:
                    self._uri = self.stack.enter_context(postgresql(self.folder / "postgresql"))
                url = create_database(self._uri, f"template_{mails}")
            self._grounds[kind, mails] = prepare(url, mails=mails, folder=self.folder)
        return self._grounds[kind, mails]

    def sources(self, mails: int | None = None) -> list[Contender]:
        """Return smtp-source in its two ways, with mails as large as ours."""
        mails = mails or self.mails
        return [
            SmtpSource(SOURCE, mails, self.octets, kept=False),
            SmtpSource(SOURCE_KEPT, mails, self.octets, kept=True),
        ]

    def compare(
        self,
        contenders: Sequence[Contender],
        server: Callable[[], AbstractContextManager[Server]],
        *,
        runs: int | None = None,
    ) -> Results:
        return compare(contenders, server, runs=runs or self.runs)

    def certificate(self) -> tuple[Path, Path]:
        """Make a certificate of 127.0.0.1 and its key, if they are not there; return their paths.

        :raises Missing: without openssl
        """
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        if not certificate.exists():
            options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
            options += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
            subprocess.run([program("openssl"), "req", *options], check=True, capture_output=True)
        return certificate, key
