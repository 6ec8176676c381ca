"""Questions about persons and closed addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, exists, select

from newsletter.base.addresses import Address
from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.subscribers.models import Purpose, Subscriber, Suppression, SuppressionReason, closes


def by_address(work: Work, address: Address) -> Subscriber | None:
    """Return the person of this address, if known."""
    return work.session.scalars(select(Subscriber).where(Subscriber.address_key == address.key)).one_or_none()


def by_hash(work: Work, address_hash: str) -> Sequence[Subscriber]:
    """Return who has the address of this keyed hash now: one person or none."""
    return work.session.scalars(
        select(Subscriber).where(Subscriber.address_hash == address_hash, Subscriber.address.is_not(None))
    ).all()


def by_id(work: Work, subscriber_id: int) -> Subscriber:
    """Return a person.

    :raises NotFound: if there is none of that number
    """
    found = work.session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFound("there is no such person")
    return found


def reasons_closing(purpose: Purpose) -> list[SuppressionReason]:
    """Return the reasons that close an address for this purpose."""
    return [reason for reason in SuppressionReason if closes(reason, purpose)]


def suppressions_of(work: Work, address_hash: str) -> list[SuppressionReason]:
    """Return why this address is closed."""
    found = work.session.scalars(select(Suppression.reason).where(Suppression.address_hash == address_hash))
    return [SuppressionReason(reason) for reason in found]


def is_closed(purpose: Purpose) -> ColumnElement[bool]:
    """Return the condition that a Subscriber's address is closed for this purpose, for use in set-based queries."""
    return exists().where(
        Suppression.address_hash == Subscriber.address_hash, Suppression.reason.in_(reasons_closing(purpose))
    )


def closed_among(work: Work, subscriber_ids: Iterable[int], *, purpose: Purpose) -> set[int]:
    """Return which of these persons' addresses are closed for this purpose, erased ones included."""
    rows = work.session.scalars(
        select(Subscriber.id).where(
            Subscriber.id.in_(list(subscriber_ids)), is_closed(purpose) | Subscriber.address.is_(None)
        )
    )
    return set(rows)


def closed_hashes(work: Work, address_hashes: Iterable[str], *, purpose: Purpose) -> set[str]:
    """Return which of these addresses, by their keyed hashes, are closed for this purpose."""
    rows = work.session.scalars(
        select(Suppression.address_hash).where(
            Suppression.address_hash.in_(list(address_hashes)), Suppression.reason.in_(reasons_closing(purpose))
        )
    )
    return set(rows)
