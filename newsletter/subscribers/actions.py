"""Knowing a person, closing an address."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from newsletter.base.addresses import Address, address_hash
from newsletter.base.families import family_of
from newsletter.db.database import Work
from newsletter.subscribers import queries
from newsletter.subscribers.models import Subscriber, Suppression, SuppressionReason


def know(work: Work, *, address: Address, address_key: bytes) -> Subscriber:
    """Return the person of this address, made now if unknown. Safe when two do it at once."""
    while True:  # who was there when we came may be erased before we look
        found = queries.by_address(work, address)
        if found is not None:
            return found
        _add(work, address, address_key)


def _add(work: Work, address: Address, address_key: bytes) -> None:
    insert = (sqlite if work.is_sqlite else postgresql).insert(Subscriber)
    work.session.execute(
        insert.values(
            address=address.mailed,
            address_key=address.key,
            needs_smtputf8=address.needs_smtputf8,
            address_hash=address_hash(address_key, address.key),
            family=family_of(address.mailed),
            created_at=work.now,
        ).on_conflict_do_nothing(index_elements=[Subscriber.address_key])
    )


def suppress(work: Work, *, address_hash: str, reason: SuppressionReason) -> None:
    """Close an address. Safe to repeat."""
    insert = (sqlite if work.is_sqlite else postgresql).insert(Suppression)
    work.session.execute(
        insert.values(address_hash=address_hash, reason=reason, created_at=work.now).on_conflict_do_nothing(
            index_elements=[Suppression.address_hash, Suppression.reason]
        )
    )
