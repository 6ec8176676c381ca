"""Sending rows again that were over, as a person decides: always as themselves, under the same Message-ID."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import aliased

from newsletter.db.database import Work
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.deciding import SLICE
from newsletter.deliveries.models import OPEN_STATES, Delivery, DeliveryState
from newsletter.deliveries.policy import ABOUT_THE_ADDRESS


class Which(StrEnum):
    """Whom a person may decide about."""

    MISSING = "missing"  # refused or given up, and not for what the address is
    UNCERTAIN = "uncertain"  # may have left: some will get a second copy


def resendable(work: Work, *, batch_id: int, which: Which) -> int:
    """Return how many rows of a batch `resend` would let go again, in all its calls."""
    rows = select(func.count()).select_from(Delivery).where(*_resendable(batch_id, which))
    return work.session.scalars(rows).one()


def resend(work: Work, *, batch_id: int, which: Which, moves: Moves) -> int:
    """Let the next rows of a batch be sent again, at most SLICE; returns how many. Safe to repeat.

    Left alone are readers with an open mail, and of the missing those who were planned again since: what they missed is
    in that later mail, and under two Message-IDs they could get it twice.
    """
    chosen = select(Delivery.id).where(*_resendable(batch_id, which)).order_by(Delivery.id).limit(SLICE)
    was = DeliveryState.FAILED if which is Which.MISSING else DeliveryState.UNCERTAIN
    rows = work.session.scalars(
        update(Delivery)
        .where(Delivery.id.in_(chosen), Delivery.state == was)
        .values(
            state=DeliveryState.PENDING,
            reason=None,
            intent_at=None,
            settled_at=None,
            possible_copies=Delivery.possible_copies + int(which is Which.UNCERTAIN),
        )
        .returning(Delivery.family)
        .execution_options(synchronize_session=False)
    )
    families = Counter(rows)
    for family, count in families.items():
        moves.add(batch_id, family, was=was, now=DeliveryState.PENDING, rows=count)
    return families.total()


def _resendable(batch_id: int, which: Which) -> tuple[ColumnElement[bool], ...]:
    other = aliased(Delivery)
    theirs = other.subscription_id == Delivery.subscription_id
    if which is Which.UNCERTAIN:
        has_open = exists().where(theirs, other.state.in_(OPEN_STATES))
        return (Delivery.batch_id == batch_id, Delivery.state == DeliveryState.UNCERTAIN, ~has_open)
    planned_again = exists().where(theirs, other.id > Delivery.id, other.state != DeliveryState.SKIPPED)
    has_open = exists().where(and_(theirs, other.state.in_(OPEN_STATES)))
    return (
        Delivery.batch_id == batch_id,
        Delivery.state == DeliveryState.FAILED,
        Delivery.reason.not_in(ABOUT_THE_ADDRESS),
        ~planned_again,
        ~has_open,
    )
