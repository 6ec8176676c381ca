"""Putting a mail into the outbox."""

from __future__ import annotations

from newsletter.db.database import Work
from newsletter.deliveries.models import Delivery, DeliveryState


def put(work: Work, *, batch_id: int, subscriber_id: int, content_id: int, occasion: int, family: str) -> Delivery:
    """Put one transactional mail into the outbox; it leaves when this work is committed."""
    delivery = Delivery(
        batch_id=batch_id,
        subscriber_id=subscriber_id,
        content_id=content_id,
        occasion=occasion,
        family=family,
        state=DeliveryState.PENDING,
        created_at=work.now,
    )
    work.session.add(delivery)
    work.session.flush()
    return delivery
