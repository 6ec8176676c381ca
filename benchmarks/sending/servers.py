"""Servers that take the mail: each a context that gives a port and ends what it started."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 1000
WORKERS = 2
ROOT = Path(__file__).resolve().parents[2]
IN_PYTHON = [sys.executable, "-m", "benchmarks.sending.counting"]
PATIENCE = 20  # seconds until a server must answer


class Missing(Exception):
    """A program that this part of the benchmark needs is not here."""


def program(name: str) -> str:
    """Return where a program is, also one that only root usually finds.

    :raises Missing: if it is not installed
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is missing (on Debian: apt-get install postfix)")
    return found


@dataclass(slots=True)
class Server:
    """A server on the loopback; `messages` and `cpu` are known when it has ended, if it counts."""

    port: int
    messages: int | None = None
    cpu: float | None = None


@contextmanager
def smtp_sink() -> Iterator[Server]:
    """Run Debian's smtp-sink."""
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    with started(
        [program("smtp-sink"), *user, f"127.0.0.1:{port}", str(BACKLOG)], stderr=subprocess.DEVNULL
    ) as process:
        wait_for_banner(port, process)
        yield Server(port)


class Counting:
    """Makes servers that count: in C where there is a compiler, in Python where there is none."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        self.binary = folder / "counting" if compiler else None
        if compiler:
            source = Path(__file__).with_name("counting.c")
            subprocess.run([compiler, "-O2", "-o", str(self.binary), str(source)], check=True)

    @property
    def language(self) -> str:
        return "C" if self.binary else "Python"

    @contextmanager
    def fast(self) -> Iterator[Server]:
        """Run one that only counts."""
        port = free_port()
        arguments = [str(port), str(WORKERS)]
        with _counting([str(self.binary), *arguments] if self.binary else [*IN_PYTHON, *arguments], port) as server:
            yield server

    @contextmanager
    def in_python(self, *options: str) -> Iterator[Server]:
        """Run one that also keeps mails (`--keep FILE --most N`) or speaks TLS (`--tls CERTIFICATE KEY`)."""
        port = free_port()
        with _counting([*IN_PYTHON, str(port), str(WORKERS), *options], port) as server:
            yield server

    @contextmanager
    def far(self, seconds: float) -> Iterator[Server]:
        """Run one behind a relay that adds half of these seconds in each direction."""
        port = free_port()
        with self.fast() as server:
            command = [sys.executable, "-m", "benchmarks.sending.relay", str(port), str(server.port), str(seconds / 2)]
            with started(command, stdout=subprocess.PIPE, env=environment()) as relay:
                ready(relay)
                server.port = port
                yield server


@contextmanager
def _counting(command: list[str], port: int) -> Iterator[Server]:
    server = Server(port)
    with started(command, stdout=subprocess.PIPE, env=environment()) as process:
        ready(process)
        yield server
        process.terminate()
        found = json.loads(ready(process))
        server.messages, server.cpu = found["messages"], found["cpu"]


def environment() -> dict[str, str]:
    """Return the environment in which our own modules are found."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}


def ready(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that a process says.

    :raises RuntimeError: if it has ended
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended before its time")
    return line


@contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Start a process and end it, and only it, at the end."""
    process = subprocess.Popen(command, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_banner(port: int, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a server greets on this port.

    :raises RuntimeError: if it does not, or has ended
    """
    due = time.monotonic() + PATIENCE
    while time.monotonic() < due:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as probe:
                if probe.recv(4).startswith(b"220"):
                    probe.sendall(b"QUIT\r\n")
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"no server greets on port {port}")
