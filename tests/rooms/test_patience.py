"""Nobody waits for a lock for ever, however many wait: the database is then said not to answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from newsletter.base.clock import SystemClock
from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.db.database import Database

PATIENCE = 1.5
MANY = 6


@pytest.fixture
def hurried(parts: Parts) -> Iterator[Database]:
    """The database of the parts, seen by somebody with little patience."""
    database = Database(parts.settings.database, clock=SystemClock(), patience=PATIENCE)
    yield database
    database.close()


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Keep everybody from changing what sign-ups change."""
    with database.work() as work:
        if not database.is_sqlite:
            work.session.execute(text("LOCK TABLE counter IN ACCESS EXCLUSIVE MODE"))
        yield


def take(database: Database) -> float | None:
    """Change something; return after how many seconds the database was said not to answer, None if it was done."""
    began = time.monotonic()
    try:
        with database.work() as work:
            work.session.execute(text("UPDATE counter SET value = value + 1"))
    except Unavailable:
        return time.monotonic() - began
    return None


def test_however_many_wait_each_is_told_after_one_patience(parts: Parts, hurried: Database) -> None:
    told: list[float | None] = []
    with locked(parts.database):
        waiting = [threading.Thread(target=lambda: told.append(take(hurried))) for _ in range(MANY)]
        for each in waiting:
            each.start()
        for each in waiting:
            each.join()
    assert len(told) == MANY
    assert all(seconds is not None and PATIENCE * 0.5 < seconds < PATIENCE * 2.5 for seconds in told), told


def test_whoever_waits_less_than_that_gets_it_done(parts: Parts, hurried: Database) -> None:
    told: list[float | None] = []
    waiting = [threading.Thread(target=lambda: told.append(take(hurried))) for _ in range(3)]
    with locked(parts.database):
        for each in waiting:
            each.start()
        time.sleep(PATIENCE / 2)
    for each in waiting:
        each.join()
    assert told == [None, None, None]
    assert take(hurried) is None
