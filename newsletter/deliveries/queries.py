"""The ledger's answers; each comes from the rows, but progress, which senders count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Boolean, ColumnElement, and_, column, func, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.db.database import Work
from newsletter.deliveries.models import (
    OPEN_STATES,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    LaneName,
    Progress,
)

_WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a batch are in a state for a reason."""

    state: DeliveryState
    reason: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the rows of a batch say."""

    counts: Sequence[Count] = ()
    possible_copies: int = 0

    def of(self, *states: DeliveryState) -> int:
        return sum(count.rows for count in self.counts if count.state in states)

    @property
    def open(self) -> int:
        return self.of(*OPEN_STATES)

    @property
    def rows(self) -> int:
        return sum(count.rows for count in self.counts)


def batch(work: Work, batch_id: int) -> Batch:
    """Return a batch that is known to exist, as it is now."""
    return work.session.get_one(Batch, batch_id, populate_existing=True)


class Now(NamedTuple):
    """Whether a batch may be sent from at this moment, and whether its backend has any rates to keep to."""

    state: BatchState
    has_rates: bool


_NOW = text(
    "SELECT state, EXISTS (SELECT 1 FROM rate WHERE backend = :backend) FROM batch WHERE id = :batch_id"
).columns(Batch.state, column("has_rates", Boolean))


def standing_of(work: Work, batch_id: int, *, backend: str) -> Now:
    """Return how a batch stands; asked in every work of a sender."""
    row = work.session.execute(_NOW, {"batch_id": batch_id, "backend": backend}).one()
    return Now(row[0], bool(row[1]))


def standing_batch(work: Work, *, lane: LaneName, kind: str, patience: timedelta) -> int:
    """Return the batch of a kind of transactional mail, made now if there is none. Safe when two do it at once."""
    found = work.session.scalar(select(Batch.id).where(Batch.kind == kind))
    if found is not None:
        return found
    insert = (sqlite if work.is_sqlite else postgresql).insert(Batch)
    work.session.execute(
        insert.values(
            lane=lane,
            kind=kind,
            state=BatchState.OPEN,
            patience=int(patience.total_seconds()),
            created_at=work.now,
        ).on_conflict_do_nothing(index_elements=[Batch.kind])
    )
    return work.session.scalars(select(Batch.id).where(Batch.kind == kind)).one()


def due_batches(work: Work, *, lanes: Sequence[LaneName]) -> list[tuple[int, LaneName]]:
    """Return the batches of these lanes with a row to send now, oldest first.

    Also those with a row of a dead sender, and cancelled ones to which a row came back.
    """
    due = select(Delivery.batch_id).where(Delivery.batch_id == Batch.id, is_due(work)).exists()
    abandoned = select(Delivery.batch_id).where(Delivery.batch_id == Batch.id, is_abandoned(work)).exists()
    came_back = select(Delivery.batch_id).where(Delivery.batch_id == Batch.id, Delivery.state.in_(_WAITING)).exists()
    rows = work.session.execute(
        select(Batch.id, Batch.lane)
        .where(
            Batch.lane.in_(lanes),
            or_(
                and_(Batch.state == BatchState.OPEN, due),
                and_(Batch.state == BatchState.CANCELLED, came_back),
                abandoned,
            ),
        )
        .order_by(Batch.id)
    )
    return [(row.id, row.lane) for row in rows]


def ledger(work: Work, batch_id: int) -> Ledger:
    """Return what the rows of a batch say."""
    rows = work.session.execute(
        select(Delivery.state, Delivery.reason, func.count(), func.sum(Delivery.possible_copies))
        .where(Delivery.batch_id == batch_id)
        .group_by(Delivery.state, Delivery.reason)
        .order_by(Delivery.state, Delivery.reason)
    ).all()
    return Ledger([Count(state, reason, rows) for state, reason, rows, _ in rows], sum(int(row[3]) for row in rows))


def progress(work: Work, batch_id: int) -> dict[str, dict[DeliveryState, int]]:
    """Return how many rows of a batch are in each state, by domain family: what all senders counted, together."""
    sums = [func.sum(getattr(Progress, state.value)).label(state.value) for state in DeliveryState]
    rows = work.session.execute(
        select(Progress.family, *sums).where(Progress.batch_id == batch_id).group_by(Progress.family)
    )
    return {row.family: {state: int(getattr(row, state.value)) for state in DeliveryState} for row in rows}


def failed(work: Work, batch_id: int) -> dict[str, int]:
    """Return how many rows of a batch failed for each reason."""
    rows = work.session.execute(
        select(Delivery.reason, func.count().label("rows"))
        .where(Delivery.batch_id == batch_id, Delivery.state == DeliveryState.FAILED)
        .group_by(Delivery.reason)
    )
    return {row.reason: row.rows for row in rows if row.reason}


def of_subscriber(work: Work, subscriber_id: int) -> Sequence[Delivery]:
    """Return all deliveries of a person, newest first."""
    return work.session.scalars(
        select(Delivery).where(Delivery.subscriber_id == subscriber_id).order_by(Delivery.id.desc())
    ).all()


def is_due(work: Work) -> ColumnElement[bool]:
    """Return the condition that a row can be sent now."""
    return or_(
        Delivery.state == DeliveryState.PENDING,
        and_(Delivery.state == DeliveryState.DEFERRED, Delivery.next_attempt_at <= work.now),
    )


def is_abandoned(work: Work) -> ColumnElement[bool]:
    """Return the condition that a row's sender is dead."""
    return and_(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= work.now)
