"""Planning beside everything else that may go on at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import pytest
from planning_parts import A_WEEK, Ground, add_readers, books_of, contents, entry, lay, open_now, open_weekly, publish
from sqlalchemy import event

from factories import make_reader
from newsletter.articles import actions as article_actions
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.database import Work
from newsletter.deliveries.models import LaneName
from newsletter.issues import actions, planning, queries
from newsletter.issues.models import IssueState
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.models import Frequency
from newsletter.operations.sending import Postroom, send_due
from newsletter.subscriptions.models import Subscription


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


def held_up(ground: Ground, beside: Callable[[], object], meanwhile: Callable[[Work], None]) -> None:
    """Run `beside` in a thread while a work that did `meanwhile` is not yet committed.

    On PostgreSQL it goes as far as it can; on SQLite one writer waits for the other.
    """
    with ThreadPoolExecutor(1) as pool:
        with ground.database.work() as work:
            meanwhile(work)
            done: Future[object] = pool.submit(beside)
            patience = monotonic() + 0.4
            while not done.done() and monotonic() < patience:
                sleep(0.01)
        done.result(timeout=30)


def test_a_slow_ingest_beside_planning_loses_nothing(ground: Ground, parts: Parts) -> None:
    """It took its numbers before the cut was frozen and shows them after: with max()+1 they would be below it."""
    reader = make_reader(parts, "one@example.org")
    (early,) = publish(ground, entry("early"))
    backend = MemoryBackend()
    postroom = Postroom(ground.database, backend, parts.lanes, window=8, in_doubt="resend")
    issues: list[int] = []

    def run() -> None:
        issues.append(open_weekly(ground))
        planning.plan(ground.database, issues[-1])
        send_due(postroom, lanes=[LaneName.DIGEST])

    def ingest_slowly(work: Work) -> None:
        article_actions.ingest(work, source_id=ground.source_id, entries=[entry("slow")])

    held_up(ground, run, ingest_slowly)
    (late,) = publish(ground, entry("late"))
    run()
    given = [article for number in issues for article in contents(ground, number)[reader.id]]
    assert sorted(given) == sorted({early, late, *given}), "an article twice"
    assert len(given) == 3, "an article that nobody was given"
    assert len(backend.messages) == 2


def test_eight_planners_at_once_plan_each_reader_once(ground: Ground) -> None:
    add_readers(ground, 60)
    publish(ground, *(entry(f"piece {number}") for number in range(6)))
    issue_id = open_weekly(ground)
    together = threading.Barrier(8)

    def work_with(_: int) -> None:
        together.wait()
        planning.plan(ground.database, issue_id, size=4)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work_with, range(8)))
    found = books_of(ground, issue_id)
    assert (found.audience, found.open) == (60, 60)
    assert len(contents(ground, issue_id)) == 60
    with ground.database.reading() as work:
        assert queries.issue(work, issue_id).state is IssueState.SENDING


def test_eight_runs_at_once_open_a_slot_once(ground: Ground) -> None:
    add_readers(ground, 3)
    ground.clock.advance(A_WEEK)
    together = threading.Barrier(8)

    def open_it(_: int) -> int | None:
        together.wait()
        return open_now(ground)

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_it, range(8)))
    assert sum(number is not None for number in opened) == 1
    with ground.database.reading() as work:
        assert [issue.state for issue in queries.issues(work)] == [IssueState.PLANNING]


def test_a_withdrawal_that_a_planner_cannot_see_yet_is_minded_all_the_same(ground: Ground, parts: Parts) -> None:
    """It looked for mails to mend before there were any, and is committed after they are planned."""
    reader = make_reader(parts, "one@example.org")
    one, other = publish(ground, entry("un"), entry("deux"))
    issue_id: list[int] = []

    def run() -> None:
        issue_id.append(open_weekly(ground))
        planning.plan(ground.database, issue_id[0])

    held_up(ground, run, lambda work: actions.withdraw(work, article_id=one))
    assert contents(ground, issue_id[0]) == {reader.id: [other]}


def test_a_cancelled_issue_is_planned_no_further(ground: Ground) -> None:
    add_readers(ground, 10)
    publish(ground, *(entry(f"piece {number}") for number in range(6)))
    issue_id = open_weekly(ground)
    ground.database.in_snapshot(lambda work: planning.plan_slice(work, issue_id, size=4))

    def cancel(work: Work) -> None:
        issue = queries.issue(work, issue_id, lock=True)
        actions.cancel(work, issue=issue, reason="changed our mind")

    held_up(ground, lambda: planning.plan(ground.database, issue_id, size=4), cancel)
    found = books_of(ground, issue_id)
    assert (found.audience, found.cancelled, found.open) == (4, 4, 0)


def test_a_reader_who_changes_the_frequency_while_both_issues_are_planned_gets_one_mail(
    ground: Ground, parts: Parts
) -> None:
    if ground.database.is_sqlite:
        pytest.skip("SQLite has one writer: nobody changes anything inside a slice")
    reader = make_reader(parts, "one@example.org")
    publish(ground, entry("un"))
    weekly = open_weekly(ground)
    daily = open_now(ground, Frequency.DAILY)
    assert daily is not None
    beaten = []

    def beat(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "INSERT INTO delivery" in statement and not beaten:
            beaten.append(statement)
            with ground.database.work() as work:
                work.session.get_one(Subscription, reader.id).frequency = Frequency.DAILY
            planning.plan(ground.database, daily)

    event.listen(ground.database.engine, "before_cursor_execute", beat)
    planning.plan(ground.database, weekly)
    assert beaten
    assert contents(ground, daily).keys() == {reader.id}
    assert books_of(ground, weekly).audience == 0
