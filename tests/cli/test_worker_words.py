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
from newsletter.worker.loop import send_in_threads
from newsletter.worker.pauses import Pauses, doubled


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


def test_pauses_double_for_each_kind_until_a_mail_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    pauses.begin("digest", "421")
    assert (pauses.lasts("digest"), pauses.lasts("transactional")) == (True, False)
    pauses.begin("digest", "421 again, from another thread")
    assert pauses._troubles["digest"] == 1, "one pause at a time"
    pauses.end()
    assert not pauses.lasts("digest")
    pauses.begin("digest", "421")
    assert pauses._troubles["digest"] == 2
    pauses.forget("digest")
    pauses.end()
    assert pauses._troubles["digest"] == 0
    assert [doubled(60, 900, troubles) for troubles in (0, 1, 4, 99)] == [60, 120, 900, 900]


def test_a_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.worker.pauses.FIRST_STOP", 0.05)
    pauses = Pauses()
    pauses.begin("digest", "421")
    wait_until(lambda: not pauses.lasts("digest"), patience=2)
