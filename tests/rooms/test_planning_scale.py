"""Planning costs the database work, and this process nothing that grows with the readers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from planning_parts import CHOICES, Ground, add_readers, books_of, entry, lay, open_weekly, publish
from sqlalchemy import event, func, select

from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.issues import planning
from newsletter.issues.models import Edition

Lay = Callable[[int], tuple[Ground, int]]


@pytest.fixture
def audience(
    settings: Settings, fresh_database: Callable[[Path], str], clock: SetClock, tmp_path: Path
) -> Iterator[Lay]:
    """Return a function that makes a database with so many readers, and an issue to plan for them."""
    built: list[Parts] = []

    def make(readers: int) -> tuple[Ground, int]:
        url = fresh_database(tmp_path)
        built.append(build(Settings.model_validate({**settings.model_dump(), "database_url": url}), clock=clock))
        ground = lay(built[-1], clock)
        publish(ground, *(entry(f"piece {number}") for number in range(6)))
        add_readers(ground, readers)
        return ground, open_weekly(ground)

    yield make
    for parts in built:
        parts.database.close()


def test_the_number_of_statements_does_not_depend_on_the_number_of_readers(audience: Lay) -> None:
    counts = []

    def count(*_: Any) -> None:
        counts[-1] += 1

    for readers in (100, 10_000):
        ground, issue_id = audience(readers)
        counts.append(0)
        event.listen(ground.database.engine, "before_cursor_execute", count)
        planning.plan(ground.database, issue_id, size=readers)
        event.remove(ground.database.engine, "before_cursor_execute", count)
        assert books_of(ground, issue_id).open == readers
        with ground.database.reading() as work:
            assert work.session.scalar(select(func.count()).select_from(Edition)) == CHOICES
    assert counts[0] == counts[1]


def test_the_memory_of_a_plan_does_not_grow_with_the_readers(audience: Lay) -> None:
    peaks = []
    sizes = (50, 2_000, 40_000)
    audiences = [audience(readers) for readers in sizes]
    for readers, (ground, issue_id) in zip(sizes, audiences, strict=True):  # the first warms what is kept for good
        tracemalloc.start()
        planning.plan(ground.database, issue_id, size=readers // 2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert books_of(*audiences[-1]).open == 40_000
    assert peaks[2] < peaks[1] + 200_000, f"{peaks} bytes"
