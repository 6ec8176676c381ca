"""Servers that take the mail: each a context that gives a port and ends what it started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

BACKLOG = 1000
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


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run Debian's smtp-sink and return its port."""
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    with started(
        [program("smtp-sink"), *user, f"127.0.0.1:{port}", str(BACKLOG)], stderr=subprocess.DEVNULL
    ) as process:
        wait_for_banner(port, process)
        yield port


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
