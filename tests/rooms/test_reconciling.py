"""The reconciler: dead senders' rows come back, due batches are enqueued again, and nothing depends on any queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from ledger_parts import PlainLane, always, claim, make_batch, rows, send, set_state, states
from sqlalchemy import select

from newsletter.base.clock import SetClock
from newsletter.db.database import Database, Work
from newsletter.deliveries import queries
from newsletter.deliveries.models import Batch, BatchState, DeliveryState, LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.sending import LEASE
from newsletter.mail.port import Outcome
from newsletter.operations import reconciling
from newsletter.operations.reconciling import DueBatch, Reconciled, enqueue_due, reconcile


class ListQueue:
    """A queue in memory that may be looked into."""

    def __init__(self) -> None:
        self.jobs: list[DueBatch] = []

    def enqueue(self, work: Work, due: Sequence[DueBatch]) -> None:
        assert work.session.scalar(select(Batch.id).where(Batch.id == due[0].id)) is not None, "inside our work"
        self.jobs += due


def right(database: Database, lane: PlainLane | None = None, *, in_doubt: InDoubt = "resend") -> Reconciled:
    return reconcile(database, dict.fromkeys(LaneName, lane or PlainLane()), in_doubt=in_doubt)


def test_rows_without_an_intent_come_back_and_no_copy_is_feared(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 3)
    claim(database, batch_id, "dead", intend=False)
    assert right(database).taken_back == 0, "the lease still holds"
    clock.advance(LEASE)
    lane = PlainLane()
    done = right(database, lane)
    assert (done.taken_back, done.uncertain) == (3, 0)
    assert [(str(row.state), row.doubts, row.possible_copies) for row in rows(database, batch_id)] == [
        ("pending", 0, 0)
    ] * 3
    assert Counter(state for _, state in lane.heard) == {"pending": 3}


@pytest.mark.parametrize(("in_doubt", "state"), [("resend", "pending"), ("hold", "uncertain")])
def test_rows_with_an_intent_go_by_the_policy(
    database: Database, clock: SetClock, in_doubt: InDoubt, state: str
) -> None:
    batch_id = make_batch(database, 3)
    claim(database, batch_id, "dead")
    clock.advance(LEASE)
    lane = PlainLane()
    done = right(database, lane, in_doubt=in_doubt)
    assert (done.taken_back, done.uncertain) == ((3, 0) if in_doubt == "resend" else (0, 3))
    assert states(database, batch_id) == [state] * 3
    assert sum(row.possible_copies for row in rows(database, batch_id)) == done.taken_back
    assert Counter(heard for _, heard in lane.heard) == {state: 3}, "watermarks follow"


@pytest.mark.parametrize("state", [BatchState.PAUSED, BatchState.CANCELLED])
def test_also_in_a_batch_that_nobody_sends_from(database: Database, clock: SetClock, state: BatchState) -> None:
    batch_id = make_batch(database, 2)
    claim(database, batch_id, "dead")
    clock.advance(LEASE)
    set_state(database, batch_id, state)
    right(database)
    assert states(database, batch_id) == ["pending" if state is BatchState.PAUSED else "uncertain"] * 2


def test_what_senders_count_stays_what_the_rows_say(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 5)
    claim(database, batch_id, "dead")
    clock.advance(LEASE)
    with database.reading() as work:
        before = queries.progress(work, batch_id)
    right(database)
    with database.reading() as work:
        after = queries.progress(work, batch_id)
    moved = {
        state: sum(family[state] for family in after.values()) - sum(family[state] for family in before.values())
        for state in (DeliveryState.PENDING, DeliveryState.SENDING)
    }
    assert moved == {DeliveryState.PENDING: 5, DeliveryState.SENDING: -5}


def test_due_batches_are_told_with_their_rows_and_others_are_not(
    database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "MOST_COUNTED", 4)
    small, large, paused, done, later = (make_batch(database, mails) for mails in (2, 9, 1, 1, 1))
    set_state(database, paused, BatchState.PAUSED)
    send(database, always(Outcome.ACCEPTED), done)
    send(database, always(Outcome.DEFERRED), later)
    queue = ListQueue()
    due = enqueue_due(database, queue, lanes=tuple(LaneName))
    assert queue.jobs == due == [DueBatch(small, LaneName.DIGEST, 2), DueBatch(large, LaneName.DIGEST, 4)]
    assert enqueue_due(database, queue, lanes=(LaneName.NOTICE,)) == []
    clock.advance(timedelta(hours=1))
    assert later in {batch.id for batch in right(database).due}


def test_a_queue_that_loses_or_repeats_every_job_costs_nothing(database: Database) -> None:
    batch_id = make_batch(database, 40)
    queue = ListQueue()
    while enqueue_due(database, queue, lanes=tuple(LaneName)):
        queue.jobs.clear()  # lost before anybody saw them
        enqueue_due(database, queue, lanes=tuple(LaneName))
        for job in queue.jobs * 5:
            assert send(database, always(Outcome.ACCEPTED), job.id, name="hand").lost_leases == 0
    assert states(database, batch_id) == ["accepted"] * 40
    assert {row.attempts for row in rows(database, batch_id)} == {1}


def test_many_reconcilers_at_once_take_each_row_back_once(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 30)
    claim(database, batch_id, "dead", most=30)
    clock.advance(LEASE)
    together, found = Barrier(6), []

    def one() -> None:
        together.wait()
        found.append(right(database).taken_back)

    threads = [Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 30
    assert [row.possible_copies for row in rows(database, batch_id)] == [1] * 30
