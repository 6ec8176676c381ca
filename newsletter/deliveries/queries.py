"""The ledger's SQL: every step of a row is a compare-and-set, every answer comes from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.models import (
    OPEN_STATES,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    LaneName,
)
from newsletter.deliveries.policy import DOUBTFUL_CRASHES, InDoubt, Step

_WAITING = (DeliveryState.PENDING, DeliveryState.DEFERRED)
_CLAIMED: tuple[Any, ...] = (
    Delivery.id,
    Delivery.batch_id,
    Delivery.subscriber_id,
    Delivery.subscription_id,
    Delivery.content_id,
    Delivery.occasion,
)


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


@dataclass(frozen=True, slots=True)
class Held:
    """A claimed row with what the policy needs to know of its past."""

    row: Claimed
    attempts: int
    doubts: int
    created_at: datetime


def batch(work: Work, batch_id: int) -> Batch:
    """Return a batch that is known to exist, as it is now."""
    return work.session.get_one(Batch, batch_id, populate_existing=True)


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
    due = select(Delivery.batch_id).where(Delivery.batch_id == Batch.id, _is_due(work)).exists()
    abandoned = select(Delivery.batch_id).where(Delivery.batch_id == Batch.id, _is_abandoned(work)).exists()
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


def claim(work: Work, *, batch_id: int, owner: str, lease: timedelta, most: int) -> list[Held]:
    """Take up to `most` due rows for `owner` and mark the intent to send them, in one step."""
    chosen = (
        select(Delivery.id)
        .where(Delivery.batch_id == batch_id, _is_due(work))
        .order_by(Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        # Chosen once: as a subquery PostgreSQL may run it again for each row, and skip other locks each time.
        .cte("chosen")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    rows = work.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(select(chosen.c.id)), Delivery.state.in_(OPEN_STATES))
        .values(
            state=DeliveryState.SENDING,
            owner=owner,
            lease_until=work.now + lease,
            intent_at=work.now,
            attempts=Delivery.attempts + 1,
            next_attempt_at=None,
        )
        .returning(*_CLAIMED, Delivery.attempts, Delivery.doubts, Delivery.created_at)
        .execution_options(synchronize_session=False)
    )
    held = [Held(Claimed(*tuple(row)[:6]), row.attempts, row.doubts, row.created_at) for row in rows]
    return sorted(held, key=lambda each: each.row.id)


def settle(work: Work, *, row_id: int, owner: str, step: Step, code: int | None = None, reply: str = "") -> bool:
    """Write where a row goes; False if the lease was lost, and then nothing changes."""
    changed = work.session.execute(
        update(Delivery)
        .where(Delivery.id == row_id, Delivery.owner == owner, Delivery.state == DeliveryState.SENDING)
        .values(
            state=step.state,
            reason=step.reason,
            reply_code=code,
            reply=reply[:500] or None,
            attempts=Delivery.attempts - (0 if step.spends_attempt else 1),
            doubts=Delivery.doubts + int(step.is_doubt),
            possible_copies=Delivery.possible_copies + int(step.is_possible_copy),
            owner=None,
            lease_until=None,
            intent_at=None if step.state in OPEN_STATES else Delivery.intent_at,
            next_attempt_at=step.next_attempt_at,
            settled_at=None if step.state in OPEN_STATES else work.now,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return changed.scalar_one_or_none() is not None


def renew(work: Work, *, owner: str, lease: timedelta) -> None:
    """Keep what `owner` holds for another lease; a lost one is not taken back."""
    work.session.execute(
        update(Delivery)
        .where(Delivery.owner == owner, Delivery.state == DeliveryState.SENDING, Delivery.lease_until > work.now)
        .values(lease_until=work.now + lease)
        .execution_options(synchronize_session=False)
    )


def take_back(work: Work, *, batch_id: int, in_doubt: InDoubt) -> list[Claimed]:
    """Take back the rows of dead senders: they may have left, so the policy decides. Safe to repeat.

    Returns those that wait to be sent again.
    """
    again = and_(literal(in_doubt == "resend"), Delivery.doubts + 1 < DOUBTFUL_CRASHES)
    abandoned = (Delivery.batch_id == batch_id, _is_abandoned(work))
    common = {"owner": None, "lease_until": None, "doubts": Delivery.doubts + 1}
    resent = work.session.execute(
        update(Delivery)
        .where(*abandoned, again)
        .values(
            state=DeliveryState.PENDING,
            intent_at=None,
            possible_copies=Delivery.possible_copies + 1,
            **common,
        )
        .returning(*_CLAIMED)
        .execution_options(synchronize_session=False)
    )
    return [Claimed(*tuple(row)) for row in resent]


def give_up_doubtful(work: Work, *, batch_id: int) -> list[Claimed]:
    """Set the rest of the dead senders' rows uncertain, and return them for the lane to follow up."""
    rows = work.session.execute(
        update(Delivery)
        .where(Delivery.batch_id == batch_id, _is_abandoned(work))
        .values(
            state=DeliveryState.UNCERTAIN,
            reason="sender_died",
            owner=None,
            lease_until=None,
            doubts=Delivery.doubts + 1,
            settled_at=work.now,
        )
        .returning(*_CLAIMED)
        .execution_options(synchronize_session=False)
    )
    return [Claimed(*tuple(row)) for row in rows]


def cancel_open(work: Work, *, batch_id: int, reason: str) -> list[Claimed]:
    """Cancel every row of a batch that is not on its way at this moment; returns those that became uncertain."""
    return _end_rows(
        work,
        Delivery.batch_id == batch_id,
        Delivery.state.in_(_WAITING),
        state=DeliveryState.CANCELLED,
        reason=reason,
    )


def expire_deferred(work: Work, *, subscriptions: Select[int], keep_batch: int, reason: str) -> list[Claimed]:
    """Fail the deferred rows of these subscriptions in every other batch: their next slot has come.

    Returns those that became uncertain.
    """
    return _end_rows(
        work,
        Delivery.subscription_id.in_(subscriptions),
        Delivery.state == DeliveryState.DEFERRED,
        Delivery.batch_id != keep_batch,
        state=DeliveryState.FAILED,
        reason=reason,
    )


def skip_waiting(work: Work, *, batch_id: int, content_id: int, reason: str) -> list[Claimed]:
    """Skip the rows of a content that are not on their way at this moment; returns those that became uncertain."""
    return _end_rows(
        work,
        *_waiting(batch_id, content_id),
        state=DeliveryState.SKIPPED,
        reason=reason,
    )


def move_waiting(work: Work, *, batch_id: int, content_id: int, to_content_id: int) -> None:
    """Give the rows of a content that are not on their way, and never were, another content."""
    work.session.execute(
        update(Delivery)
        .where(*_waiting(batch_id, content_id), Delivery.doubts == 0)
        .values(content_id=to_content_id)
        .execution_options(synchronize_session=False)
    )


def ledger(work: Work, batch_id: int) -> Ledger:
    """Return what the rows of a batch say."""
    rows = work.session.execute(
        select(Delivery.state, Delivery.reason, func.count(), func.sum(Delivery.possible_copies))
        .where(Delivery.batch_id == batch_id)
        .group_by(Delivery.state, Delivery.reason)
        .order_by(Delivery.state, Delivery.reason)
    ).all()
    return Ledger([Count(state, reason, rows) for state, reason, rows, _ in rows], sum(int(row[3]) for row in rows))


def of_subscriber(work: Work, subscriber_id: int) -> Sequence[Delivery]:
    """Return all deliveries of a person, newest first."""
    return work.session.scalars(
        select(Delivery).where(Delivery.subscriber_id == subscriber_id).order_by(Delivery.id.desc())
    ).all()


def _is_due(work: Work) -> ColumnElement[bool]:
    return or_(
        Delivery.state == DeliveryState.PENDING,
        and_(Delivery.state == DeliveryState.DEFERRED, Delivery.next_attempt_at <= work.now),
    )


def _is_abandoned(work: Work) -> ColumnElement[bool]:
    return and_(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= work.now)


def _waiting(batch_id: int, content_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.batch_id == batch_id,
        Delivery.content_id == content_id,
        Delivery.state.in_(_WAITING),
    )


def _end_rows(work: Work, *where: ColumnElement[bool], state: DeliveryState, reason: str) -> list[Claimed]:
    """End rows that were not accepted; those that may have left are uncertain, and returned for the lane to follow."""
    end = update(Delivery).where(*where).execution_options(synchronize_session=False)
    values = {"reason": reason, "next_attempt_at": None, "settled_at": work.now}
    doubtful = work.session.execute(
        end.where(Delivery.doubts > 0).values(state=DeliveryState.UNCERTAIN, **values).returning(*_CLAIMED)
    )
    found = [Claimed(*tuple(row)) for row in doubtful]
    work.session.execute(end.where(Delivery.doubts == 0).values(state=state, **values))
    return found
