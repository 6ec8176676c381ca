"""The readers of one slice, gathered once into a temporary table that the slice's other statements read.

What is gathered: whom the slice holds, what decides the cohort, and why a reader gets no mail. Each reader's earlier
mails and address are thus looked up once, and no statement joins a batch that grows while it is planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    MetaData,
    Select,
    String,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.orm import aliased
from sqlalchemy.schema import CreateTable

from newsletter.db.database import Work
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import OPEN_STATES, Delivery, DeliveryState
from newsletter.issues.models import Issue
from newsletter.issues.pauses import end_pauses
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscribers.queries import is_closed
from newsletter.subscriptions.models import Subscription, SubscriptionState

EARLIER_ISSUE_OPEN = "earlier_issue_open"
SUPPRESSED = "suppressed"

# `reason` says why a reader is skipped; whoever has none waits for a mail.
gathered = Table(
    "gathered_reader",
    MetaData(),
    Column("subscription_id", BigInteger, nullable=False),
    Column("subscriber_id", BigInteger, nullable=False),
    Column("family", String, nullable=False),
    Column("choice_id", BigInteger, nullable=False),
    Column("watermark", BigInteger, nullable=False),
    Column("changed", Boolean, nullable=False),
    Column("reason", String),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


@dataclass(frozen=True, slots=True)
class Slice:
    """The readers of an issue whose subscription is above `low` and not above `high`."""

    issue: Issue
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many readers a slice holds, and the lowest watermark of those who wait for a mail (None: nobody does)."""

    audience: int
    lowest_watermark: int | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many readers of a choice get no mail, and why."""

    choice_id: int
    reason: str
    readers: int


def next_slice(work: Work, issue: Issue, *, size: int) -> Slice | None:
    """Return the next `size` readers to plan, or None when all are planned."""
    ids = (
        select(Subscription.id)
        .where(*_audience(issue), Subscription.id > issue.planned_to, Subscription.id <= (issue.plan_to or 0))
        .order_by(Subscription.id)
        .limit(size)
        .subquery()
    )
    high = work.session.scalar(select(func.max(ids.c.id)))
    return None if high is None else Slice(issue, issue.planned_to, high)


def subscriptions_in(readers: Slice) -> Select[int]:
    """Return the query of a slice's subscriptions."""
    return select(Subscription.id).where(*_in_slice(readers))


def end_pauses_in(work: Work, readers: Slice) -> None:
    """End the pauses of a slice's readers that are over at this moment: they are in the audience."""
    end_pauses(work, among=_in_range(readers))


def any_deferred(work: Work, issue: Issue) -> bool:
    """Say whether any mail but this issue's waits for a later try; the index of those few makes it cheap to ask."""
    deferred = Delivery.state == _as_text(DeliveryState.DEFERRED)
    rows = select(Delivery.id).where(deferred, Delivery.batch_id != issue.batch_id)
    return bool(work.session.scalar(select(rows.exists())))


def gather(work: Work, readers: Slice) -> Gathered:
    """Gather the readers of a slice as they stand, in place of those of another one."""
    if not work.is_sqlite:
        # A slice looks up a few of very many rows, next to each other: reading whole tables for it never pays.
        work.session.execute(text("SET LOCAL random_page_cost = 1.1"))
    work.session.execute(CreateTable(gathered, if_not_exists=True))
    work.session.execute(delete(gathered))
    work.session.execute(insert(gathered).from_select(list(gathered.c.keys()), _wanted(work, readers)))
    waiting = case((gathered.c.reason.is_(None), gathered.c.watermark))
    row = work.session.execute(select(func.count(), func.min(waiting)).select_from(gathered)).one()
    return Gathered(*row)


def any_changed(work: Work) -> bool:
    """Say whether anybody who was gathered ever changed the choice."""
    return bool(work.session.scalar(select(select(gathered).where(gathered.c.changed).exists())))


def note_skipped(work: Work, batch_id: int, *, moves: Moves) -> None:
    """Count by family who was gathered and gets no mail."""
    skipped = select(gathered.c.family, func.count()).where(gathered.c.reason.is_not(None)).group_by(gathered.c.family)
    for family, count in work.session.execute(skipped):
        moves.add(batch_id, family, was=None, now=DeliveryState.SKIPPED, rows=count)


def skipped_by_choice(work: Work) -> Sequence[Skipped]:
    """Count by choice who was gathered and gets no mail."""
    key = (gathered.c.choice_id, gathered.c.reason)
    rows = work.session.execute(select(*key, func.count()).where(gathered.c.reason.is_not(None)).group_by(*key))
    return [Skipped(*row) for row in rows]


def is_open(delivery: type[Delivery]) -> ColumnElement[bool]:
    """Return the condition that a delivery is open, written as SQLite wants it for the index of open ones."""
    return delivery.state.in_([_as_text(state) for state in OPEN_STATES])


def _as_text(state: DeliveryState) -> ColumnElement[DeliveryState]:
    return literal(state, Delivery.state.type, literal_execute=True)


def _audience(issue: Issue) -> tuple[ColumnElement[bool], ...]:
    active = literal(SubscriptionState.ACTIVE, Subscription.state.type, literal_execute=True)  # for SQLite's index
    return (
        Subscription.newsletter_id == issue.newsletter_id,
        Subscription.frequency == issue.frequency,
        Subscription.state == active,
    )


def _in_slice(readers: Slice) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a Subscription is one of a slice's; paused readers are not in the audience."""
    return (*_in_range(readers), Subscription.paused_until.is_(None))


def _in_range(readers: Slice) -> tuple[ColumnElement[bool], ...]:
    return (*_audience(readers.issue), Subscription.id > readers.low, Subscription.id <= readers.high)


def _wanted(work: Work, readers: Slice) -> Select[tuple[object, ...]]:
    earlier = aliased(Delivery)
    # PostgreSQL reads the slice's rows and joins them; SQLite looks each up, and would read them all for each.
    ranges = () if work.is_sqlite else (earlier.subscription_id > readers.low, earlier.subscription_id <= readers.high)
    reason = case(
        (earlier.id.is_not(None), EARLIER_ISSUE_OPEN),
        (or_(is_closed(Purpose.NEWS), Subscriber.address.is_(None)), SUPPRESSED),
    )
    return (
        select(
            Subscription.id,
            Subscription.subscriber_id,
            Subscriber.family,
            Subscription.choice_id,
            Subscription.watermark,
            Subscription.changed,
            reason,
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .outerjoin(earlier, and_(earlier.subscription_id == Subscription.id, is_open(earlier), *ranges))
        .where(*_in_slice(readers))
    )
