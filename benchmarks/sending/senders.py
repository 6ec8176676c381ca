"""Whoever sends in a benchmark: our client, in one process or several, and smtp-source; each run verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.sending import servers
from benchmarks.sending.ground import Ground, verify
from benchmarks.sending.measure import Cost, PeakOf, joined
from benchmarks.sending.servers import program, ready, started

SESSIONS = 16


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own client, as `newsletter run` would send."""

    name: str
    ground: Ground
    window: int = 32
    processes: int = 1
    scheme: str = "smtp"
    synchronous: str = ""
    profile: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def send(self, port: int) -> Cost:
        """Send a fresh copy of the issue to this port, and make sure that the books say so."""
        with self.ground.copied() as url:
            order = {
                "url": url,
                "mail_url": f"{self.scheme}://127.0.0.1:{port}",
                "home": str(self.ground.folder),
                "window": self.window,
                "synchronous": self.synchronous,
                "profile": self.profile,
                "settings": dict(self.settings),
            }
            cost = joined(run_module("client", order, count=self.processes, environment=self.environment))
            verify(url, mails=self.ground.mails, home=self.ground.folder)
        if cost.mails != self.ground.mails:
            raise RuntimeError(f"the senders counted {cost.mails} of {self.ground.mails} mails")
        return cost


@dataclass(frozen=True, slots=True)
class SmtpSource:
    """Postfix's test generator: 16 sessions, the same message again and again, no database.

    `kept` lets it keep its connections (-d), as ours does; without it every message has one of its own.
    """

    name: str
    mails: int
    octets: int
    kept: bool

    def send(self, port: int) -> Cost:
        """Send as many messages as our client does."""
        # -l counts the body; the few lines that it writes itself above it do not matter at this size.
        command = [program("smtp-source"), "-s", str(SESSIONS), "-l", str(self.octets), "-m", str(self.mails)]
        command += ["-d"] if self.kept else []
        command += ["-f", "sender@lettre.example.ma", "-t", "reader@example.org", f"127.0.0.1:{port}"]
        began = time.monotonic()
        process = subprocess.Popen(command)
        peak = PeakOf(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        ended = time.monotonic()
        peak.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"smtp-source ended with {process.returncode}")
        return Cost(self.mails, began, ended, used.ru_utime + used.ru_stime, peak.megabytes, 0.0)


@dataclass(frozen=True, slots=True)
class ByHand:
    """The loop that one would write by hand: fewer mails, because it is slow and steady."""

    name: str
    ground: Ground
    mails: int
    is_flat: bool = False
    encoding: str = "8bit"
    starttls: bool = False

    def send(self, port: int) -> Cost:
        """Send the first mails of the issue."""
        with self.ground.copied() as url:
            order = {
                "url": url,
                "home": str(self.ground.folder),
                "port": port,
                "mails": self.mails,
                "is_flat": self.is_flat,
                "encoding": self.encoding,
                "starttls": self.starttls,
            }
            return joined(run_module("by_hand", order))


def run_module(
    module: str, order: Mapping[str, object], *, count: int = 1, environment: Mapping[str, str] | None = None
) -> list[Cost]:
    """Run a measured module in processes that begin together, and return what each cost."""
    command = [sys.executable, "-m", f"benchmarks.sending.{module}", json.dumps(order)]
    known = {**servers.environment(), **(environment or {})}
    with ExitStack() as stack:
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": known}
        processes = [stack.enter_context(started(command, **options)) for _ in range(count)]
        for process in processes:
            ready(process)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        costs = [Cost(**json.loads(ready(process))) for process in processes]
        for process in processes:
            if process.wait():
                raise RuntimeError(f"{module} ended with {process.returncode}")
        return costs
