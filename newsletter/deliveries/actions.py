"""Putting a mail into the outbox; what the rows of one subscription become when another continues it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update

from newsletter.db.database import Work
from newsletter.deliveries.models import Delivery, DeliveryState


def put(
    work: Work,
    *,
    batch_id: int,
    subscriber_id: int,
    content_id: int,
    occasion: int,
    family: str,
    not_before: datetime | None = None,
) -> Delivery:
    """Put one transactional mail into the outbox; it leaves when this work is committed, and `not_before` has come."""
    delivery = Delivery(
        batch_id=batch_id,
        subscriber_id=subscriber_id,
        content_id=content_id,
        occasion=occasion,
        family=family,
        state=DeliveryState.PENDING if not_before is None else DeliveryState.DEFERRED,
        reason=None if not_before is None else "waits",
        next_attempt_at=not_before,
        created_at=work.now,
    )
    work.session.add(delivery)
    work.session.flush()
    return delivery


def hand_over(work: Work, *, from_subscription: int, to_subscription: int) -> None:
    """Let a subscription have the rows of the one that it continues, and so what these gave.

    A row that a sender holds is waited for. Its result, if written later, is the new subscription's: the sender may
    know the old number only, so nobody relies on the number that was claimed.
    """
    work.session.execute(
        update(Delivery)
        .where(Delivery.subscription_id == from_subscription)
        .values(subscription_id=to_subscription)
        .execution_options(synchronize_session=False)
    )
