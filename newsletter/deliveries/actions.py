"""Putting a mail into the outbox."""

from __future__ import annotations

from datetime import datetime

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
