"""Whoever writes a little while an audience is planned, or forecast, waits for one slice and not for the whole."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import get_ident
from time import monotonic, sleep

import pytest
from planning_parts import Ground, add_readers, books_of, entry, lay, open_weekly, publish
from sqlalchemy import Connection, event, text

from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.issues import planning
from newsletter.operations.forecast import forecast

READERS = 60_000
SLICES = 20
A_SMALL_CHANGE = text("UPDATE newsletter SET cndp_reference = 'D-1/2026'")


@dataclass
class Works:
    """The works of all other threads than the one that looks: how many have ended, and how long the longest took."""

    watcher: int = field(default_factory=get_ident)
    ended: int = 0
    longest: float = 0.0
    _begun: float = 0.0

    def begin(self, _connection: Connection) -> None:
        if get_ident() != self.watcher:
            self._begun = monotonic()

    def end(self, _connection: Connection) -> None:
        if get_ident() != self.watcher:
            self.ended += 1
            self.longest = max(self.longest, monotonic() - self._begun)


@dataclass
class Wait:
    """How long a small work waited, and how many works of the long job ended meanwhile."""

    seconds: float
    works: int


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    ground = lay(parts, clock)
    publish(ground, *(entry(f"piece {number}") for number in range(6)))
    add_readers(ground, READERS)
    return ground


def write_beside(ground: Ground, long_job: Callable[[], object]) -> tuple[list[Wait], Works]:
    """Write a little again and again until a long job in another thread is done."""
    works, waits = Works(), []
    for name, listener in (("begin", works.begin), ("commit", works.end), ("rollback", works.end)):
        event.listen(ground.database.engine, name, listener)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(long_job)
        while not job.done():
            before, started = works.ended, monotonic()
            with ground.database.work() as work:
                work.session.execute(A_SMALL_CHANGE)
            waits.append(Wait(monotonic() - started, works.ended - before))
            sleep(0.002)
        job.result()
    return waits, works


def hold_to_the_promise(waits: list[Wait], works: Works) -> None:
    longest = max(wait.seconds for wait in waits)
    assert longest < max(0.3, 3 * works.longest), f"{longest:.3f} s beside slices of {works.longest:.3f} s"
    assert max(wait.works for wait in waits) <= SLICES / 4, "the lock was taken again before those who waited looked"


def test_a_plan_lets_others_write_between_its_slices(ground: Ground) -> None:
    issue_id = open_weekly(ground)
    size = READERS // SLICES
    waits, works = write_beside(ground, lambda: planning.plan(ground.database, issue_id, size=size))
    assert books_of(ground, issue_id).open == READERS
    assert works.ended >= SLICES
    hold_to_the_promise(waits, works)


def test_a_forecast_lets_others_write_between_its_slices(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SLICE_SQLITE", READERS // SLICES)
    monkeypatch.setattr(planning, "SLICE_POSTGRESQL", READERS // SLICES)
    waits, works = write_beside(ground, lambda: forecast(ground.database))
    assert works.ended >= SLICES
    hold_to_the_promise(waits, works)
