"""The SQL of access: who is known by an address, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select

from newsletter.db.database import Work
from newsletter.db.parameters import in_chunks
from newsletter.deliveries.models import Batch, Delivery, DeliveryState, LaneName
from newsletter.issues.models import Issue
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions.models import BudgetEntry, ConsentText, Request, RequestKind

# Whoever asked to move to somebody's address must not learn whether we write to it, nor what its server said.
_IS_ABOUT_OTHERS = and_(Request.kind == RequestKind.CHANGE_ADDRESS, Request.answered_at.is_(None))


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to a person: when, of which newsletter (as far as that is known), and what became of it."""

    id: int
    created_at: datetime
    settled_at: datetime | None
    kind: str | None
    issue_id: int | None
    newsletter: str | None
    newsletter_names: Mapping[str, str] | None
    state: DeliveryState
    reason: str | None
    reply_code: int | None
    reply: str | None


def persons(work: Work, address_hash: str) -> Sequence[Subscriber]:
    """Return everybody who was ever known by an address, oldest first: at most the last one still has it."""
    return work.session.scalars(
        select(Subscriber).where(Subscriber.address_hash == address_hash).order_by(Subscriber.id)
    ).all()


def former_hashes(work: Work, subscriber_id: int) -> list[str]:
    """Return the keyed hashes of addresses that a person left for another one, and that nobody has today."""
    taken = select(Subscriber.id).where(
        Subscriber.address_hash == Request.address_hash, Subscriber.address.is_not(None)
    )
    rows = work.session.scalars(
        select(Request.address_hash)
        .where(
            Request.subscriber_id == subscriber_id,
            Request.kind == RequestKind.ADDRESS_CHANGED,
            Request.address_hash.is_not(None),
            ~taken.exists(),
        )
        .distinct()
        .order_by(Request.address_hash)
    )
    return [str(each) for each in rows]


def revived(work: Work, erased: Mapping[str, datetime]) -> list[int]:
    """Return the persons who had an address before it was erased, and have it nevertheless.

    Not those who took it since: by signing up, or by moving to it.
    """
    moved_to_it = (
        select(func.max(Request.answered_at))
        .where(
            Request.subscriber_id == Subscriber.id,
            Request.kind == RequestKind.CHANGE_ADDRESS,
            Request.address_hash == Subscriber.address_hash,
        )
        .scalar_subquery()
    )
    found = []
    for some in in_chunks(erased):
        rows = work.session.execute(
            select(Subscriber.id, Subscriber.address_hash, Subscriber.created_at, moved_to_it).where(
                Subscriber.address_hash.in_(some), Subscriber.address.is_not(None)
            )
        )
        found += [number for number, key, since, moved in rows if max(since, moved or since) < erased[key]]
    return sorted(found)


def not_closed(work: Work, address_hashes: Iterable[str]) -> list[str]:
    """Return which of these addresses are not closed by an erasure."""
    missing = []
    for some in in_chunks(address_hashes):
        there = work.session.scalars(
            select(Suppression.address_hash).where(
                Suppression.address_hash.in_(some), Suppression.reason == SuppressionReason.ERASURE
            )
        )
        missing += sorted(set(some).difference(there))
    return missing


def suppressions(work: Work, address_hash: str) -> Sequence[Suppression]:
    """Return for what an address is closed, and since when."""
    wanted = select(Suppression).where(Suppression.address_hash == address_hash)
    return work.session.scalars(wanted.order_by(Suppression.id)).all()


def budget(work: Work, address_hash: str) -> Sequence[BudgetEntry]:
    """Return the confirmations that count against an address."""
    wanted = select(BudgetEntry).where(BudgetEntry.address_hash == address_hash)
    return work.session.scalars(wanted.order_by(BudgetEntry.id)).all()


def requests(work: Work, subscriber_ids: Sequence[int]) -> Sequence[Request]:
    """Return what these persons asked for by mail; another address only once it is proved to be theirs."""
    wanted = select(Request).where(Request.subscriber_id.in_(subscriber_ids), ~_IS_ABOUT_OTHERS)
    return work.session.scalars(wanted.order_by(Request.id)).all()


def texts(work: Work, hashes: Iterable[str]) -> dict[str, ConsentText]:
    """Return the texts of these hashes, as far as they are kept."""
    found: dict[str, ConsentText] = {}
    for some in in_chunks(set(hashes)):
        found |= {row.hash: row for row in work.session.scalars(select(ConsentText).where(ConsentText.hash.in_(some)))}
    return found


def mails(work: Work, subscriber_ids: Sequence[int], *, since: datetime) -> list[Mail]:
    """Return the mails to these persons since a moment, newest first; none to an address not proved to be theirs."""
    rows = work.session.execute(
        select(
            Delivery.id,
            Delivery.created_at,
            Delivery.settled_at,
            Batch.kind,
            Issue.id,
            Newsletter.slug,
            Newsletter.names,
            Delivery.state,
            Delivery.reason,
            Delivery.reply_code,
            Delivery.reply,
        )
        .join(Batch, Batch.id == Delivery.batch_id)
        .outerjoin(Issue, Issue.batch_id == Batch.id)
        .outerjoin(Request, and_(Batch.lane != LaneName.DIGEST, Request.id == Delivery.occasion))
        .outerjoin(Newsletter, Newsletter.id == func.coalesce(Issue.newsletter_id, Request.newsletter_id))
        .where(
            Delivery.subscriber_id.in_(subscriber_ids),
            Delivery.created_at >= since,
            or_(Request.id.is_(None), ~_IS_ABOUT_OTHERS),
        )
        .order_by(Delivery.id.desc())
    )
    return [Mail(*tuple(row)) for row in rows]
