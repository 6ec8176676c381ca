"""The loop that sends: it survives what does not answer, and gives back what it did not begin."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from factories import ask, make_newsletter
from newsletter.base.clock import SetClock, SystemClock
from newsletter.bootstrap import Parts
from newsletter.db.database import Database
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.deliveries.sending import STOPPING
from newsletter.mail.port import Outcome
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.worker import loop
from newsletter.worker.loop import keep_sending


def test_what_was_not_begun_when_told_to_stop_goes_back_with_no_attempt_spent(parts: Parts) -> None:
    make_newsletter(parts)
    for number in range(3):
        ask(parts, f"reader{number}@example.org")
    stop = threading.Event()
    backend = MemoryBackend(lambda _: stop.set() or Outcome.ACCEPTED)  # type: ignore[func-returns-value]
    postroom = replace(parts.postroom, backend=backend, stop=stop, window=1)
    sent = send_due(postroom, lanes=TRANSACTIONAL)
    assert sent.stopped == STOPPING
    assert len(backend.messages) == 1
    with parts.database.reading() as work:
        rows = work.session.execute(select(Delivery.state, Delivery.attempts).order_by(Delivery.id)).all()
    assert [tuple(row) for row in rows] == [
        (DeliveryState.ACCEPTED, 1),
        (DeliveryState.PENDING, 0),
        (DeliveryState.PENDING, 0),
    ]


def test_a_window_in_flight_is_finished(parts: Parts) -> None:
    make_newsletter(parts)
    for number in range(3):
        ask(parts, f"reader{number}@example.org")
    stop = threading.Event()
    backend = MemoryBackend(lambda _: stop.set() or Outcome.ACCEPTED)  # type: ignore[func-returns-value]
    keep_sending(replace(parts.postroom, backend=backend), lanes=TRANSACTIONAL, stop=stop)
    assert len(backend.messages) == 3


def test_a_database_that_does_not_answer_is_waited_for(
    parts: Parts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "FIRST_PAUSE", 0.01)
    nowhere = Database("postgresql+psycopg://127.0.0.1:9/nothing", clock=SystemClock())
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with caplog.at_level(logging.WARNING):
        keep_sending(replace(parts.postroom, database=nowhere), lanes=TRANSACTIONAL, stop=stop)
    nowhere.close()
    assert len(caplog.records) > 2
    assert all("the database does not answer" in record.message for record in caplog.records)


def test_a_mail_server_that_stops_us_is_tried_again_later_and_nothing_is_lost(
    parts: Parts, clock: SetClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REST", 0.01)
    make_newsletter(parts)
    ask(parts, "salma@example.org")
    stop = threading.Event()
    answers = iter([Outcome.STOP, Outcome.STOP])

    def decide(_: str) -> Outcome:
        outcome = next(answers, Outcome.ACCEPTED)
        if outcome is Outcome.ACCEPTED:
            stop.set()
        return outcome

    def pass_time() -> None:
        while not stop.wait(0.02):
            clock.advance(timedelta(seconds=20))

    backend = MemoryBackend(decide)
    passing = threading.Thread(target=pass_time)
    passing.start()
    keep_sending(replace(parts.postroom, backend=backend), lanes=TRANSACTIONAL, stop=stop)
    passing.join()
    assert len(backend.messages) == 1
    said = [record.message for record in caplog.records]
    assert said.count("sending stopped: stop") == 2
    assert all(text != after for text, after in pairwise(said)), "a pause that goes on is told once"
    assert all(text.startswith("sending stopped: ") for text in said)


def test_pauses_double_up_to_a_limit() -> None:
    pauses = [loop._doubled(60, 900, troubles) for troubles in range(7)]
    assert pauses == [60, 120, 240, 480, 900, 900, 900]
