"""Setting right what dead senders and lost jobs left: the ledger says what is due, any queue is only told of it.

Whatever a queue loses, repeats or never heard of, the next look finds in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import func, select

from newsletter.db.database import Database, Work
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Lane
from newsletter.deliveries.models import Delivery, LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.sending import recover

EVERY = 30.0  # seconds between two reconciliations of a worker
NAME = "reconciler"  # in the counts of the senders
MOST_COUNTED = 20_000  # rows of a batch: enough to say how many hands it needs


@dataclass(frozen=True, slots=True)
class DueBatch:
    """A batch with something to do now, and how many rows wait in it, counted up to MOST_COUNTED."""

    id: int
    lane: LaneName
    rows: int


@dataclass(slots=True)
class Reconciled:
    """What was set right: rows of dead senders that wait again, or that may have left; and what is due."""

    taken_back: int = 0
    uncertain: int = 0
    due: list[DueBatch] = field(default_factory=list)


class Queue(Protocol):
    """Tells other hands that a batch wants to be looked at."""

    def enqueue(self, work: Work, due: Sequence[DueBatch]) -> None:
        """Put a job for each batch that has none waiting, inside this work. Safe to repeat and at once."""
        ...


def reconcile(
    database: Database,
    lanes: Mapping[LaneName, Lane],
    *,
    in_doubt: InDoubt,
    queue: Queue | None = None,
    only: Sequence[LaneName] = tuple(LaneName),
) -> Reconciled:
    """Take back the rows of dead senders, and enqueue again what is due. Safe to repeat and at once."""
    done = take_back(database, lanes, in_doubt=in_doubt, only=only)
    done.due = enqueue_due(database, queue, lanes=only)
    return done


def take_back(
    database: Database,
    lanes: Mapping[LaneName, Lane],
    *,
    in_doubt: InDoubt,
    only: Sequence[LaneName] = tuple(LaneName),
) -> Reconciled:
    """Take back the rows of dead senders, a work for each batch. Safe to repeat and at once."""
    done = Reconciled()
    with database.reading() as work:
        due = ledger.due_batches(work, lanes=only)
    for batch_id, lane in due:
        with database.work() as work:
            _take_back(work, lanes[lane], batch_id, in_doubt, done)
    return done


def enqueue_due(database: Database, queue: Queue | None, *, lanes: Sequence[LaneName]) -> list[DueBatch]:
    """Enqueue the due batches of these lanes, and return them."""
    with database.reading() as work:
        due = [
            DueBatch(batch_id, lane, _waiting_rows(work, batch_id))
            for batch_id, lane in ledger.due_batches(work, lanes=lanes)
        ]
    if due and queue is not None:
        with database.work() as work:
            queue.enqueue(work, due)
    return due


def _waiting_rows(work: Work, batch_id: int) -> int:
    rows = select(Delivery.id).where(Delivery.batch_id == batch_id, ledger.is_due(work)).limit(MOST_COUNTED).subquery()
    return work.session.scalars(select(func.count()).select_from(rows)).one()


def _take_back(work: Work, lane: Lane, batch_id: int, in_doubt: InDoubt, done: Reconciled) -> None:
    """Let the policy decide about rows whose lease ran out."""
    batch, moves = ledger.batch(work, batch_id), Moves()
    waiting, doubtful = recover(work, lane, batch, in_doubt=in_doubt, moves=moves)
    if batch.lane is LaneName.DIGEST:
        moves.write(work, sender=NAME)
    done.taken_back += waiting
    done.uncertain += doubtful
