"""`worker`, its options, and its threads on one machine."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Command
from worker_parts import Relay, everybody, plan_issue, running_relay, through, wait_until

from factories import ask
from newsletter.operations.run_due import run_due
from newsletter.worker.loop import send_in_threads
from newsletter.worker.pauses import Pauses


@pytest.fixture
def relay() -> Iterator[Relay]:
    with running_relay() as found:
        yield found


@pytest.mark.parametrize("words", [("--transactional", "0", "--digests", "0"), ("--transactional", "0")])
def test_a_worker_with_nothing_to_do_is_refused(ready: Command, words: tuple[str, ...]) -> None:
    assert "needs something to do" in ready("worker", *words, expect=2).stderr


def test_many_machines_cannot_share_sqlite(ready: Command, database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("about SQLite")
    assert "newsletter db copy" in ready("worker", "--cluster", expect=78).stderr


def test_the_extra_that_is_missing_is_named(ready: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("newsletter.worker.cluster", "newsletter.worker.q"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "procrastinate", None)
    assert "newsletter-server[cluster]" in ready("worker", "--cluster", expect=78).stderr


def test_a_confirmation_overtakes_the_issue_that_the_same_process_sends(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    readers = 60
    plan_issue(ready, feed, readers)
    relay.delay = 0.05
    stop = threading.Event()
    with through(ready, relay, window=4).parts_now() as parts:
        ways = {"transactional": 1, "digests": 1, "stop": stop}
        sending = threading.Thread(target=send_in_threads, args=(parts.postroom,), kwargs=ways)
        sending.start()
        try:
            wait_until(lambda: len(relay.taken) > 3)
            ask(parts, "salma@example.org")
            asked = time.monotonic()
            wait_until(lambda: "salma@example.org" in relay.taken)
            waited = time.monotonic() - asked
            assert len(relay.taken) < readers, "the issue was still leaving"
            wait_until(lambda: len(relay.taken) == readers + 1)
        finally:
            stop.set()
            sending.join()
    assert waited < 1.5  # on a busy machine, too
    assert relay.counts == everybody(readers) | {"salma@example.org": 1}


def test_a_confirmation_overtakes_the_issue_that_a_run_sends(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    readers = 60
    plan_issue(ready, feed, readers)
    relay.delay = 0.05
    with through(ready, relay, window=4).parts_now() as parts:
        running = threading.Thread(target=run_due, args=(parts.postroom,))
        running.start()
        wait_until(lambda: len(relay.taken) > 3)
        ask(parts, "salma@example.org")
        wait_until(lambda: "salma@example.org" in relay.taken)
        assert len(relay.taken) < readers, "the issue was still leaving"
        running.join()
    assert relay.counts == everybody(readers) | {"salma@example.org": 1}


def test_each_cause_of_a_rest_is_told_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.worker.pauses.REST", 0.02)
    pauses = Pauses()
    for cause in ("server_busy: 421", "server_busy: waiting until 08:01 UTC", "server_busy: waiting until 08:01 UTC"):
        pauses.begin("digest", cause)
        assert (pauses.lasts("digest"), pauses.lasts("transactional")) == (True, False)
        pauses.begin("digest", "the same, from another thread")
        wait_until(lambda: not pauses.lasts("digest"), patience=2)
    said = [record.message for record in caplog.records]
    assert said == ["sending stopped: server_busy: 421", "sending stopped: server_busy: waiting until 08:01 UTC"]
    pauses.forget("digest")
    pauses.begin("digest", "server_busy: waiting until 08:01 UTC")
    pauses.end()
    assert (len(caplog.records), pauses.lasts("digest")) == (3, False)
