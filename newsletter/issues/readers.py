"""The SQL of an issue's readers: slices, cohorts, their rows. Set-based: no statement returns a row per reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from newsletter.articles.models import Article, Availability
from newsletter.db.database import Work
from newsletter.db.parameters import in_chunks
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import GIVEN_STATES, OPEN_STATES, Delivery, DeliveryState
from newsletter.issues.digest import Candidate
from newsletter.issues.models import Cohort, EditionArticle, Issue
from newsletter.newsletters.models import Topic
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscribers.queries import is_closed
from newsletter.subscriptions.models import Subscription, SubscriptionState


@dataclass(frozen=True, slots=True)
class Slice:
    """The readers of an issue whose subscription is above `low` and not above `high`."""

    issue: Issue
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class CohortKey:
    """What readers of one cohort have in common; `held` lists group numbers, separated by commas."""

    choice_id: int
    watermark: int
    held: str


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


def count_audience(work: Work, readers: Slice) -> int:
    """Count the readers of a slice."""
    return work.session.scalars(select(func.count()).select_from(Subscription).where(*_in_slice(work, readers))).one()


def subscriptions_in(work: Work, readers: Slice) -> Select[int]:
    """Return the query of a slice's subscriptions."""
    return select(Subscription.id).where(*_in_slice(work, readers))


def skip_readers(work: Work, readers: Slice, *, moves: Moves) -> None:
    """Write a skipped row for each reader who has an open earlier mail or whose address is closed."""
    open_mail = exists().where(Delivery.subscription_id == Subscription.id, Delivery.state.in_(OPEN_STATES))
    closed = or_(is_closed(Purpose.NEWS), Subscriber.address.is_(None))
    for reason, condition in (("earlier_issue_open", open_mail), ("suppressed", and_(closed, ~open_mail))):
        _insert_deliveries(
            work,
            readers,
            _columns(readers.issue, work, DeliveryState.SKIPPED, reason=literal(reason), settled=True),
            condition,
            moves=moves,
        )


def cohort_keys(work: Work, readers: Slice, *, checked: Sequence[int]) -> list[tuple[CohortKey, int]]:
    """Count the readers of a slice who have no row yet by what they have in common."""
    waiting = _waiting(work, readers, checked)
    key = (waiting.c.choice_id, waiting.c.watermark, waiting.c.held)
    rows = work.session.execute(select(*key, func.count()).group_by(*key))
    return [(CohortKey(choice, watermark, groups), count) for choice, watermark, groups, count in rows]


def cohorts(work: Work, issue_id: int) -> dict[CohortKey, Cohort]:
    """Return the cohorts of an issue that are known already."""
    rows = work.session.scalars(select(Cohort).where(Cohort.issue_id == issue_id))
    return {CohortKey(row.choice_id, row.watermark, row.held): row for row in rows}


def insert_deliveries(work: Work, readers: Slice, *, checked: Sequence[int], moves: Moves) -> None:
    """Write a pending row for each reader of a slice whose cohort has an edition."""
    waiting = _waiting(work, readers, checked)
    columns = _columns(
        readers.issue,
        work,
        DeliveryState.PENDING,
        subscriber=waiting.c.subscriber_id,
        subscription=waiting.c.id,
        content=Cohort.edition_id,
    )
    _insert(
        work,
        readers,
        columns,
        select(*columns.values())
        .select_from(waiting)
        .join(Subscriber, Subscriber.id == waiting.c.subscriber_id)
        .join(
            Cohort,
            and_(
                Cohort.issue_id == readers.issue.id,
                Cohort.choice_id == waiting.c.choice_id,
                Cohort.watermark == waiting.c.watermark,
                Cohort.held == waiting.c.held,
                Cohort.edition_id.is_not(None),
            ),
        ),
        moves=moves,
    )


def candidates(work: Work, *, newsletter_id: int, above: int, cut: int) -> dict[int, list[Candidate]]:
    """Return, for each group with an availability in (above, cut], all its availabilities up to the cut."""
    sibling = aliased(Article)
    fresh = (
        select(sibling.group_id)
        .join(Availability, Availability.article_id == sibling.id)
        .join(Topic, Topic.id == Availability.topic_id)
        .where(Topic.newsletter_id == newsletter_id, Availability.sequence > above, Availability.sequence <= cut)
    )
    rows = work.session.execute(
        select(
            Availability.sequence,
            Availability.article_id,
            Article.group_id,
            Availability.topic_id,
            Availability.language,
            Availability.carried,
            Article.withdrawn_at.is_not(None),
            func.coalesce(Article.published_at, Article.created_at),
        )
        .join(Article, Article.id == Availability.article_id)
        .where(Article.group_id.in_(fresh), Availability.sequence <= cut)
        .order_by(Availability.sequence)
    )
    groups: dict[int, list[Candidate]] = {}
    for row in rows:
        groups.setdefault(row.group_id, []).append(Candidate(*row))
    return groups


def lowest_watermark(work: Work, readers: Slice) -> int | None:
    """Return the lowest watermark of a slice's readers who have no row yet, or None if there are none."""
    return work.session.scalar(
        select(func.min(Subscription.watermark)).where(*_in_slice(work, readers), ~_have_row(work, readers))
    )


def versions(work: Work, article_ids: Iterable[int]) -> dict[int, int]:
    """Return the version of each of these articles; nobody withdraws, pairs or corrects one before this work ends.

    A withdrawal that looks for the editions of its article would miss the one that is being planned.
    """
    found: dict[int, int] = {}
    for some in in_chunks(sorted(article_ids)):
        wanted = select(Article.id, Article.version).where(Article.id.in_(some)).order_by(Article.id)
        found |= {row.id: row.version for row in work.session.execute(wanted.with_for_update(read=True))}
    return found


def _audience(issue: Issue) -> tuple[ColumnElement[bool], ...]:
    return (
        Subscription.newsletter_id == issue.newsletter_id,
        Subscription.frequency == issue.frequency,
        Subscription.state == SubscriptionState.ACTIVE,
    )


def _in_slice(work: Work, readers: Slice) -> tuple[ColumnElement[bool], ...]:
    return (
        *_audience(readers.issue),
        Subscription.id > readers.low,
        Subscription.id <= readers.high,
        or_(Subscription.paused_until.is_(None), Subscription.paused_until <= work.now),
    )


def _waiting(work: Work, readers: Slice, checked: Sequence[int]) -> CTE:
    """Return the readers of a slice who have no row yet, each with the key of the cohort.

    Read once, as it stands: of a batch that grows from nothing PostgreSQL knows too little to join it well.
    """
    columns = (Subscription.id, Subscription.subscriber_id, Subscription.choice_id, Subscription.watermark)
    if not checked and not _any_changed(work, readers):
        wanted = select(*columns, literal("").label("held"))
    else:
        held = _held(work, readers, checked)
        wanted = select(*columns, func.coalesce(held.c.held, "").label("held")).outerjoin(
            held, held.c.subscription_id == Subscription.id
        )
    return _read_once(wanted.where(*_in_slice(work, readers), ~_have_row(work, readers)).cte("waiting"))


def _have_row(work: Work, readers: Slice) -> ColumnElement[bool]:
    """Return the condition that a Subscription of this slice has its row in the issue's batch already."""
    # PostgreSQL reads the slice's rows and joins them; SQLite looks each up, and would read them all for each.
    ranges = (
        () if work.is_sqlite else (Delivery.subscription_id > readers.low, Delivery.subscription_id <= readers.high)
    )
    return exists().where(
        Delivery.batch_id == readers.issue.batch_id, Delivery.subscriber_id == Subscription.subscriber_id, *ranges
    )


def _any_changed(work: Work, readers: Slice) -> bool:
    changed = select(Subscription.id).where(*_in_slice(work, readers), Subscription.changed)
    return bool(work.session.scalar(select(changed.exists())))


def _held(work: Work, readers: Slice, checked: Sequence[int]) -> CTE:
    """Return, by subscription, which groups with something new its editions hold already.

    Only readers who changed their choice, and groups that watermarks cannot speak for, are looked at.
    """
    version = aliased(Article)
    newer = exists().where(
        Availability.article_id == version.id,
        version.group_id == Article.group_id,
        Availability.sequence > Subscription.watermark,
        Availability.sequence <= readers.issue.cut,
    )
    pairs = (
        select(Delivery.subscription_id, Article.group_id)
        .distinct()
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(EditionArticle, EditionArticle.edition_id == Delivery.content_id)
        .join(Article, Article.id == EditionArticle.article_id)
        .where(
            *_in_slice(work, readers),
            Delivery.subscription_id > readers.low,
            Delivery.subscription_id <= readers.high,
            Delivery.state.in_(GIVEN_STATES),
            or_(Subscription.changed, Article.group_id.in_(checked)) if checked else Subscription.changed,
            newer,
        )
        .order_by(Delivery.subscription_id, Article.group_id)
        .subquery()
    )
    # Readers are counted and given their rows by this text in two statements, so its order must be no accident. SQLite
    # keeps that of the subquery and, before 3.44, knows none of its own.
    groups = func.aggregate_strings(cast(pairs.c.group_id, String), ",")
    held = groups if work.is_sqlite else groups.aggregate_order_by(pairs.c.group_id)
    return _read_once(select(pairs.c.subscription_id, held.label("held")).group_by(pairs.c.subscription_id).cte("held"))


def _read_once(table: CTE) -> CTE:
    return table.prefix_with("MATERIALIZED")


def _columns(
    issue: Issue,
    work: Work,
    state: DeliveryState,
    *,
    subscriber: Any = Subscription.subscriber_id,
    subscription: Any = Subscription.id,
    reason: Any = None,
    content: Any = None,
    settled: bool = False,
) -> dict[str, Any]:
    now = literal(work.now, Delivery.created_at.type)
    columns: dict[str, Any] = {
        "batch_id": literal(issue.batch_id),
        "subscriber_id": subscriber,
        "subscription_id": subscription,
        "occasion": literal(0),
        "family": Subscriber.family,
        "state": literal(state, Delivery.state.type),
        "created_at": now,
    }
    if reason is not None:
        columns["reason"] = reason
    if content is not None:
        columns["content_id"] = content
    if settled:
        columns["settled_at"] = now
    return columns


def _insert_deliveries(
    work: Work, readers: Slice, columns: Mapping[str, Any], condition: ColumnElement[bool], *, moves: Moves
) -> None:
    wanted = (
        select(*columns.values())
        .select_from(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(*_in_slice(work, readers), condition)
    )
    _insert(work, readers, columns, wanted, moves=moves)


def _insert(work: Work, readers: Slice, columns: Mapping[str, Any], wanted: Select[Any], *, moves: Moves) -> None:
    """Write the rows and note how many there are of each family."""
    made = work.session.execute(
        insert(Delivery).from_select(list(columns), wanted).returning(Delivery.state, Delivery.family)
    )
    for (state, family), count in Counter((row.state, row.family) for row in made).items():
        moves.add(readers.issue.batch_id, family, was=None, now=state, rows=count)
