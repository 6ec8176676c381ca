"""Questions about subscriptions, requests and budgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import joinedload

from newsletter.base.errors import InvalidToken
from newsletter.db.database import Work
from newsletter.newsletters.models import Frequency
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import (
    BudgetEntry,
    Choice,
    Consent,
    ConsentKind,
    Form,
    Request,
    RequestKind,
    Subscription,
    SubscriptionState,
    fingerprint,
)

OPEN = (SubscriptionState.PENDING, SubscriptionState.ACTIVE)


def by_id(work: Work, subscription_id: int) -> Subscription | None:
    """Return a subscription with its choice, newsletter and person; None if it was erased."""
    return work.session.scalars(_complete().where(Subscription.id == subscription_id)).one_or_none()


def of_subscriber(work: Work, subscriber_id: int, *states: SubscriptionState) -> Sequence[Subscription]:
    """Return a person's subscriptions in these states (all if none is named), oldest first."""
    wanted = _complete().where(Subscription.subscriber_id == subscriber_id).order_by(Subscription.id)
    return work.session.scalars(wanted.where(Subscription.state.in_(states)) if states else wanted).all()


def last_of(work: Work, subscription_id: int) -> Subscription | None:
    """Return what a subscription has become: the last of those that undo made of it, else itself; None if erased."""
    found = by_id(work, subscription_id)
    if found is None or found.state is not SubscriptionState.ENDED:  # only what has ended is continued
        return found
    chain = select(Subscription.id).where(Subscription.id == subscription_id).cte("chain", recursive=True)
    chain = chain.union_all(select(Subscription.id).join(chain, Subscription.continues_id == chain.c.id))
    last = work.session.scalar(select(func.max(chain.c.id)))
    return found if last in {None, subscription_id} else by_id(work, int(last or 0))


def left_together(work: Work, subscription: Subscription, *, form_version: str) -> Sequence[Subscription]:
    """Return what a person ended with this subscription by one press on this form, and had confirmed before."""
    pressed = select(Consent.subscription_id).where(
        Consent.kind == ConsentKind.LEFT, Consent.form_version == form_version
    )
    others = (
        _complete()
        .where(
            Subscription.subscriber_id == subscription.subscriber_id,
            Subscription.id != subscription.id,
            Subscription.ended_at == subscription.ended_at,
            Subscription.activated_at.is_not(None),
            Subscription.id.in_(pressed),
        )
        .order_by(Subscription.id)
    )
    is_one = work.session.scalar(select(pressed.where(Consent.subscription_id == subscription.id).exists()))
    return work.session.scalars(others).all() if is_one else []


def open_one(work: Work, *, subscriber_id: int, newsletter_id: int) -> Subscription | None:
    """Return a person's pending or active subscription to a newsletter."""
    return work.session.scalars(
        _complete().where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.newsletter_id == newsletter_id,
            Subscription.state.in_(OPEN),
        )
    ).one_or_none()


def lock(work: Work, subscriber_id: int) -> None:
    """Let one work at a time act for this person."""
    work.session.execute(select(Subscriber.id).where(Subscriber.id == subscriber_id).with_for_update(key_share=True))


def request(work: Work, request_id: int) -> Request:
    """Return a request.

    :raises InvalidToken: if it was erased since
    """
    found = work.session.scalars(
        select(Request)
        .options(joinedload(Request.subscriber), joinedload(Request.newsletter))
        .where(Request.id == request_id)
    ).one_or_none()
    if found is None:
        raise InvalidToken("what this link was about is no longer kept")
    return found


def requests(work: Work, request_ids: Iterable[int]) -> dict[int, Request]:
    """Return requests by their number, with person and newsletter."""
    rows = work.session.scalars(
        select(Request)
        .options(joinedload(Request.subscriber), joinedload(Request.newsletter))
        .where(Request.id.in_(list(request_ids)))
    )
    return {row.id: row for row in rows}


def choice_id(
    work: Work,
    *,
    newsletter_id: int,
    form: Form,
    languages: Sequence[tuple[str, int]],
    topics: Sequence[tuple[int, int]],
) -> int:
    """Return the number of this choice, made now if nobody chose so before. Safe when two do it at once."""
    key = fingerprint(form, languages, topics)
    same = select(Choice.id).where(Choice.newsletter_id == newsletter_id, Choice.fingerprint == key)
    found = work.session.scalar(same)
    if found is not None:
        return found
    insert = (sqlite if work.is_sqlite else postgresql).insert(Choice)
    work.session.execute(
        insert.values(
            newsletter_id=newsletter_id,
            form=form,
            languages=[list(pair) for pair in languages],
            topics=[list(pair) for pair in sorted(topics)],
            fingerprint=key,
        ).on_conflict_do_nothing(index_elements=[Choice.newsletter_id, Choice.fingerprint])
    )
    return work.session.scalars(same).one()


def choices(work: Work, choice_ids: Iterable[int]) -> dict[int, Choice]:
    """Return choices by their number."""
    rows = work.session.scalars(select(Choice).where(Choice.id.in_(list(choice_ids))))
    return {row.id: row for row in rows}


def mailed_since(work: Work, *, address_hash: str, period: timedelta) -> int:
    """Count the unanswered confirmations mailed to an address in the last `period`."""
    return work.session.scalars(
        select(func.count())
        .select_from(BudgetEntry)
        .where(
            BudgetEntry.address_hash == address_hash,
            BudgetEntry.mailed_at > work.now - period,
            BudgetEntry.answered_at.is_(None),
        )
    ).one()


def requests_since(work: Work, *, subscriber_id: int, kind: RequestKind, period: timedelta) -> int:
    """Count a person's requests of a kind in the last `period`."""
    return work.session.scalars(
        select(func.count())
        .select_from(Request)
        .where(Request.subscriber_id == subscriber_id, Request.kind == kind, Request.created_at > work.now - period)
    ).one()


def newest_request(work: Work, *, subscriber_id: int, kind: RequestKind) -> int | None:
    """Return the number of a person's last request of a kind."""
    return work.session.scalar(
        select(func.max(Request.id)).where(Request.subscriber_id == subscriber_id, Request.kind == kind)
    )


def moved_at(work: Work, *, subscriber_id: int) -> datetime | None:
    """Return when a person changed the address last; None if never."""
    return work.session.scalar(
        select(func.max(Request.created_at)).where(
            Request.subscriber_id == subscriber_id, Request.kind == RequestKind.ADDRESS_CHANGED
        )
    )


def answer_budget(work: Work, *, address_hash: str) -> None:
    """Write that the person behind this address answered: it may be mailed anew."""
    work.session.execute(
        update(BudgetEntry)
        .where(BudgetEntry.address_hash == address_hash, BudgetEntry.answered_at.is_(None))
        .values(answered_at=work.now)
    )


def consents(work: Work, subscription_id: int) -> Sequence[Consent]:
    """Return the evidence of a subscription, oldest first."""
    return work.session.scalars(
        select(Consent).where(Consent.subscription_id == subscription_id).order_by(Consent.id)
    ).all()


def audience_counts(work: Work, *, newsletter_id: int, frequency: Frequency) -> list[tuple[Choice, int]]:
    """Count the active readers of a newsletter and frequency by choice."""
    rows = work.session.execute(
        select(Choice, func.count())
        .join(Subscription, Subscription.choice_id == Choice.id)
        .where(
            Subscription.newsletter_id == newsletter_id,
            Subscription.frequency == frequency,
            Subscription.state == SubscriptionState.ACTIVE,
        )
        .group_by(Choice.id)
    )
    return [(choice, count) for choice, count in rows]


def _complete() -> Select[Subscription]:
    return select(Subscription).options(
        joinedload(Subscription.choice), joinedload(Subscription.newsletter), joinedload(Subscription.subscriber)
    )
