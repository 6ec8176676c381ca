"""How long what is kept: a rule for each kind of row, and what becomes of it when its time is over.

What is due is looked for without a lock and dealt with in small works of a slice each, so that a million persons hold
nobody up. Every work looks once more whether its rows are still due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from newsletter.db.database import Work
from newsletter.db.parameters import among
from newsletter.deliveries.models import OPEN_STATES, Delivery
from newsletter.privacy.history import forget_persons, holders_of_newest_rows
from newsletter.privacy.removing import QUIETLY, remove_addresses
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.actions import UNCONFIRMED_FOR
from newsletter.subscriptions.models import (
    BudgetEntry,
    Consent,
    EndReason,
    Request,
    SignUpCount,
    SpentProof,
    Subscription,
    SubscriptionState,
)
from newsletter.subscriptions.queries import OPEN

ADDRESS_FOR = timedelta(days=28)  # after the last subscription was left
NETWORK_FOR = timedelta(days=30)
REQUEST_ADDRESS_FOR = timedelta(days=1)  # or until answered; not before its mail is over
HISTORY_FOR = timedelta(days=365)  # after the address was removed
SIGN_UPS_FOR = timedelta(days=2)
BUDGET_FOR = timedelta(days=30)
LATE_REPLIES_FOR = timedelta(days=3)  # what was on its way at an erasure is over by then
SLICE = 5_000
FEW = 25  # persons, each with years of mails; a deleted one is looked for in all subscriptions


@dataclass(frozen=True, slots=True)
class Rule:
    """What is due by `where`, named by `key`; `do` deals with a slice of keys and returns with how many rows it did."""

    name: str
    key: InstrumentedAttribute[Any]
    where: Callable[[Work], Sequence[ColumnElement[bool]]]
    do: Callable[[Work, Sequence[Any]], int]
    slice: int = SLICE

    def count(self, work: Work) -> int:
        """Count the rows that are due."""
        return work.session.scalars(select(func.count()).select_from(self.key.class_).where(*self.where(work))).one()

    def due(self, work: Work, after: Any) -> Sequence[Any]:
        """Return the next slice of keys, those behind `after`."""
        wanted = select(self.key).where(*self.where(work)).distinct().order_by(self.key).limit(self.slice)
        return work.session.scalars(wanted if after is None else wanted.where(self.key > after)).all()


def rules() -> list[Rule]:
    """Return every rule, in the order in which they are applied: one makes the next one's rows due."""
    return [
        Rule("unconfirmed", Subscription.id, _unconfirmed, _end),
        Rule("addresses", Subscriber.id, _addresses, _remove),
        Rule("networks", Consent.id, _networks, _clear(Consent.network, Consent.id, _networks)),
        Rule("request_addresses", Request.id, _requests, _clear(Request.address, Request.id, _requests)),
        Rule("late_replies", Subscriber.id, _late_replies, _remove_replies),
        Rule("persons", Subscriber.id, _persons, _forget, FEW),
        Rule("sign_up_counts", SignUpCount.hour, _sign_up_counts, _delete(SignUpCount.hour, _sign_up_counts), 1),
        Rule("proofs_of_work", SpentProof.challenge, _proofs, _delete(SpentProof.challenge, _proofs)),
        Rule("budget_entries", BudgetEntry.id, _budget, _delete(BudgetEntry.id, _budget)),
    ]


def _unconfirmed(work: Work) -> Sequence[ColumnElement[bool]]:
    return (
        Subscription.state == SubscriptionState.PENDING,
        Subscription.created_at <= work.now - UNCONFIRMED_FOR,
    )


def _addresses(work: Work) -> Sequence[ColumnElement[bool]]:
    """Nothing is open, the last was left long ago; who never confirmed anything is not kept longer than that takes."""
    unconfirmed_since = work.now - UNCONFIRMED_FOR
    is_open = exists().where(
        Subscription.subscriber_id == Subscriber.id,
        _is_open(),
        or_(Subscription.state != SubscriptionState.PENDING, Subscription.created_at > unconfirmed_since),
    )
    is_late = (Subscription.activated_at.is_not(None), Subscription.ended_at > work.now - ADDRESS_FOR)
    # SQLite would look through all subscriptions for each person, PostgreSQL would do so for a list that is long.
    left_lately: ColumnElement[bool]
    if work.is_sqlite:
        left_lately = Subscriber.id.in_(select(Subscription.subscriber_id).where(*is_late))
    else:
        left_lately = exists().where(Subscription.subscriber_id == Subscriber.id, *is_late)
    return (
        Subscriber.address.is_not(None),
        Subscriber.created_at <= unconfirmed_since,
        ~is_open,
        ~left_lately,
    )


def _networks(work: Work) -> Sequence[ColumnElement[bool]]:
    return Consent.network.is_not(None), Consent.at <= work.now - NETWORK_FOR


def _requests(work: Work) -> Sequence[ColumnElement[bool]]:
    """An address that a mail was to go to, and that no mail needs any more."""
    is_on_its_way = exists().where(
        Delivery.subscriber_id == Request.subscriber_id,
        Delivery.occasion == Request.id,
        Delivery.state.in_(OPEN_STATES),
    )
    is_over = or_(Request.answered_at.is_not(None), Request.created_at <= work.now - REQUEST_ADDRESS_FOR)
    return Request.address.is_not(None), is_over, ~is_on_its_way


def _late_replies(work: Work) -> Sequence[ColumnElement[bool]]:
    """What a server said of a mail that was on its way while its reader was erased."""
    has_reply = exists().where(Delivery.subscriber_id == Subscriber.id, Delivery.reply.is_not(None))
    return Subscriber.address.is_(None), Subscriber.removed_at > work.now - LATE_REPLIES_FOR, has_reply


def _persons(work: Work) -> Sequence[ColumnElement[bool]]:
    has_open_mail = exists().where(Delivery.subscriber_id == Subscriber.id, Delivery.state.in_(OPEN_STATES))
    is_open = exists().where(Subscription.subscriber_id == Subscriber.id, _is_open())
    return (
        Subscriber.address.is_(None),
        Subscriber.removed_at <= work.now - HISTORY_FOR,
        ~has_open_mail,
        ~is_open,
        Subscriber.id.not_in(holders_of_newest_rows()),
    )


def _sign_up_counts(work: Work) -> Sequence[ColumnElement[bool]]:
    return (SignUpCount.hour <= work.now - SIGN_UPS_FOR,)


def _proofs(work: Work) -> Sequence[ColumnElement[bool]]:
    return (SpentProof.until <= work.now,)


def _budget(work: Work) -> Sequence[ColumnElement[bool]]:
    return (BudgetEntry.mailed_at <= work.now - BUDGET_FOR,)


def _end(work: Work, keys: Sequence[int]) -> int:
    ended = work.session.scalars(
        update(Subscription)
        .where(among(work, Subscription.id, keys), *_unconfirmed(work))
        .values(state=SubscriptionState.ENDED, ended_at=work.now, end_reason=EndReason.EXPIRED)
        .returning(Subscription.id)
        .execution_options(**QUIETLY)
    )
    return len(ended.all())


def _remove(work: Work, keys: Sequence[int]) -> int:
    still = _still_due(work, keys, _addresses)
    remove_addresses(work, still)
    return len(still)


def _remove_replies(work: Work, keys: Sequence[int]) -> int:
    work.session.execute(
        update(Delivery)
        .where(among(work, Delivery.subscriber_id, keys), Delivery.reply.is_not(None))
        .values(reply=None)
        .execution_options(**QUIETLY)
    )
    return len(keys)


def _forget(work: Work, keys: Sequence[int]) -> int:
    still = _still_due(work, keys, _persons)
    forget_persons(work, still)
    return len(still)


def _still_due(
    work: Work, keys: Sequence[int], where: Callable[[Work], Sequence[ColumnElement[bool]]]
) -> Sequence[int]:
    """Return which persons are still due, for this work alone: who is signing up now is so no longer when we hold them.

    So is whoever another run dealt with.
    """
    wanted = select(Subscriber.id).where(among(work, Subscriber.id, keys)).order_by(Subscriber.id)
    work.session.execute(wanted.with_for_update())
    return work.session.scalars(wanted.where(*where(work))).all()


def _clear(
    column: InstrumentedAttribute[Any],
    key: InstrumentedAttribute[int],
    where: Callable[[Work], Sequence[ColumnElement[bool]]],
) -> Callable[[Work, Sequence[int]], int]:
    def clear(work: Work, keys: Sequence[int]) -> int:
        cleared = work.session.scalars(
            update(column.class_)
            .where(among(work, key, keys), *where(work))
            .values({column: None})
            .returning(key)
            .execution_options(**QUIETLY)
        )
        return len(cleared.all())

    return clear


def _delete(
    key: InstrumentedAttribute[Any], where: Callable[[Work], Sequence[ColumnElement[bool]]]
) -> Callable[[Work, Sequence[Any]], int]:
    def forget(work: Work, keys: Sequence[int | str | datetime]) -> int:
        gone = work.session.scalars(
            delete(key.class_).where(key.in_(keys), *where(work)).returning(key).execution_options(**QUIETLY)
        )
        return len(gone.all())

    return forget


def _is_open() -> ColumnElement[bool]:
    """Return the condition that a subscription is open, written as SQLite wants it for the index of open ones."""
    return Subscription.state.in_([literal(each, Subscription.state.type, literal_execute=True) for each in OPEN])
