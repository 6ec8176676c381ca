"""The SQL of what people and the next slot decide about rows that are not on their way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, update

from newsletter.db.database import Work
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.models import OPEN_STATES, Delivery, DeliveryState
from newsletter.deliveries.steps import QUIETLY, ROW, note

SLICE = 5_000  # rows in one work, so that nobody waits for the lock


def cancel_open(work: Work, *, batch_id: int, reason: str, moves: Moves) -> list[Claimed]:
    """Cancel rows of a batch that are not on their way at this moment; returns those that became uncertain.

    At most SLICE rows, so that nobody waits for the lock: while `cancellable` says so, call it again in another work.
    """
    some = select(Delivery.id).where(*_cancellable(batch_id)).order_by(Delivery.id).limit(SLICE)
    chosen = some.with_for_update(skip_locked=True).cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")
    where = (Delivery.batch_id == batch_id, Delivery.id.in_(select(chosen.c.id)))
    return _end_rows(work, *where, state=DeliveryState.CANCELLED, reason=reason, moves=moves)


def cancellable(work: Work, *, batch_id: int) -> bool:
    """Say whether a batch has a row that can be cancelled now."""
    return bool(work.session.scalar(select(select(Delivery.id).where(*_cancellable(batch_id)).exists())))


def _cancellable(batch_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.batch_id == batch_id, Delivery.state.in_(OPEN_STATES), Delivery.intent_at.is_(None))


def expire_deferred(
    work: Work, *, subscriptions: Select[int], keep_batch: int, reason: str, moves: Moves
) -> list[Claimed]:
    """Fail the deferred rows of these subscriptions in every other batch: their next slot has come.

    Returns those that became uncertain.
    """
    return _end_rows(
        work,
        Delivery.subscription_id.in_(subscriptions),
        Delivery.batch_id != keep_batch,
        state=DeliveryState.FAILED,
        reason=reason,
        moves=moves,
        from_states=(DeliveryState.DEFERRED,),
    )


def skip_waiting(work: Work, *, batch_id: int, content_id: int, reason: str, moves: Moves) -> list[Claimed]:
    """Skip the rows of a content that are not on their way at this moment; returns those that became uncertain."""
    where = (Delivery.batch_id == batch_id, Delivery.content_id == content_id)
    return _end_rows(work, *where, state=DeliveryState.SKIPPED, reason=reason, moves=moves)


def move_waiting(work: Work, *, batch_id: int, content_id: int, to_content_id: int) -> None:
    """Give the rows of a content that are not on their way, and never were, another content."""
    work.session.execute(
        update(Delivery)
        .where(
            Delivery.batch_id == batch_id,
            Delivery.content_id == content_id,
            Delivery.state.in_(OPEN_STATES),
            Delivery.intent_at.is_(None),
            Delivery.doubts == 0,
        )
        .values(content_id=to_content_id)
        .execution_options(**QUIETLY)
    )


def _end_rows(
    work: Work,
    *where: ColumnElement[bool],
    state: DeliveryState,
    reason: str,
    moves: Moves,
    from_states: Sequence[DeliveryState] = OPEN_STATES,
) -> list[Claimed]:
    """End rows that are not on their way; those that may have left are uncertain, and returned for the lane to follow.

    A sender that holds one of them finds it gone when it marks its intent.
    """
    values: dict[str, Any] = {
        "reason": reason,
        "next_attempt_at": None,
        "settled_at": work.now,
        "owner": None,
        "lease_until": None,
    }
    found: list[Claimed] = []
    for was in from_states:
        end = (
            update(Delivery)
            .where(Delivery.state == was, Delivery.intent_at.is_(None), *where)
            .execution_options(**QUIETLY)
        )
        doubtful = end.where(Delivery.doubts > 0).values(state=DeliveryState.UNCERTAIN, **values)
        rows = [Claimed(*row) for row in work.session.execute(doubtful.returning(*ROW))]
        note(moves, rows, was=was, now=DeliveryState.UNCERTAIN)
        found += rows
        sure = end.where(Delivery.doubts == 0).values(state=state, **values)
        ended = work.session.execute(sure.returning(Delivery.batch_id, Delivery.family))
        for (batch_id, family), count in Counter((row.batch_id, row.family) for row in ended).items():
            moves.add(batch_id, family, was=was, now=state, rows=count)
    return found
