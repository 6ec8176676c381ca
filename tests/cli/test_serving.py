"""`serve` and `worker` as processes: the site answers, confirmations leave within a second, SIGTERM ends them well."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from command_line import Command

from factories import ask, parsed

SOON = 1.5  # seconds; on a busy machine, too
PATIENCE = 20.0


def test_serve_answers_mails_a_confirmation_at_once_and_stops_when_told(ready: Command) -> None:
    with _running(ready, "serve", "--port", "0") as (process, first):
        address = re.search(r"http://127\.0\.0\.1:\d+/", first)
        assert address is not None, first
        with urllib.request.urlopen(f"{address[0]}healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
        _ask_and_wait(ready)
        process.send_signal(signal.SIGTERM)
        out, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaints
    assert out.endswith("Stopped.\n")
    assert "NEWSLETTER_BASE_URL" in complaints  # the links lead to another port


def test_worker_mails_a_confirmation_at_once_and_stops_when_told(ready: Command) -> None:
    with _running(ready, "worker", "--all-lanes") as (process, first):
        assert first.startswith("All mails")
        _ask_and_wait(ready)
        process.send_signal(signal.SIGINT)
        out, complaints = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaints) == (0, "")
    assert out.endswith("Stopped.\n")


def test_a_port_that_is_taken_is_told(ready: Command) -> None:
    with _running(ready, "serve", "--port", "0") as (process, first):
        port = re.search(r":(\d+)/", first)
        assert port is not None
        assert port[1] in ready("serve", "--port", port[1], expect=78).stderr
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def test_people_who_begin_a_request_and_say_no_more_keep_nobody_waiting(ready: Command) -> None:
    with _running(ready, "serve", "--port", "0") as (process, first), ExitStack() as silent:
        port = re.search(r":(\d+)/", first)
        assert port is not None
        for _ in range(150):
            begun = silent.enter_context(socket.create_connection(("127.0.0.1", int(port[1])), timeout=PATIENCE))
            begun.sendall(b"POST /fr/subscriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\na=")
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def _ask_and_wait(command: Command) -> None:
    """Ask in this process, as the form does in the server's, and wait for the mail."""
    assert command.mails() == []
    with command.parts_now() as parts:
        ask(parts, "salma@example.org")
    asked = time.monotonic()
    while not command.mails():
        assert time.monotonic() - asked < SOON
        time.sleep(0.02)
    [mail] = map(parsed, command.mails())
    assert mail["To"] == "salma@example.org"


@contextmanager
def _running(command: Command, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command, wait for its first line, and end it whatever happens."""
    process = command.start(*words)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
