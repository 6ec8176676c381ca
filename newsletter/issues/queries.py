"""The SQL of issues: slots, slices of readers, cohorts, books. Set-based: no statement returns a row per reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    update,
)
from sqlalchemy.orm import aliased, joinedload

from newsletter.articles.models import Article, Availability
from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.models import GIVEN_STATES, OPEN_STATES, Delivery, DeliveryState
from newsletter.issues.digest import Candidate
from newsletter.issues.models import Cohort, Edition, EditionArticle, Issue, IssueState
from newsletter.newsletters.models import Frequency, Topic
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscribers.queries import is_closed
from newsletter.subscriptions.models import Subscription, SubscriptionState

_PARAMETERS = 10_000  # both databases take more in one statement


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


def issue(work: Work, issue_id: int, *, lock: bool = False) -> Issue:
    """Return an issue as it is now; with `lock`, one work at a time steps it.

    :raises NotFound: if there is none of that number
    """
    wanted = select(Issue).where(Issue.id == issue_id).execution_options(populate_existing=True)
    wanted = wanted.with_for_update(of=Issue, key_share=True) if lock else wanted.options(joinedload(Issue.newsletter))
    found = work.session.scalars(wanted).one_or_none()
    if found is None:
        raise NotFound(f"there is no issue {issue_id}")
    return found


def issues(work: Work, *, limit: int | None = None) -> Sequence[Issue]:
    """Return the issues, newest first."""
    return work.session.scalars(
        select(Issue).options(joinedload(Issue.newsletter)).order_by(Issue.id.desc()).limit(limit)
    ).all()


def in_state(work: Work, *states: IssueState) -> Sequence[int]:
    """Return the numbers of the issues in these states, oldest first."""
    return work.session.scalars(select(Issue.id).where(Issue.state.in_(states)).order_by(Issue.id)).all()


def of_slot(work: Work, *, newsletter_id: int, frequency: Frequency, slot: str) -> int | None:
    """Return the number of the issue of a slot, if it was opened."""
    return work.session.scalar(
        select(Issue.id).where(Issue.newsletter_id == newsletter_id, Issue.frequency == frequency, Issue.slot == slot)
    )


def waiting(work: Work, *, newsletter_id: int, frequency: Frequency) -> Sequence[Issue]:
    """Return the issues of a newsletter and frequency that were opened and not released."""
    return work.session.scalars(
        select(Issue).where(
            Issue.newsletter_id == newsletter_id,
            Issue.frequency == frequency,
            Issue.state.in_((IssueState.DRAFT, IssueState.SUBMITTED, IssueState.APPROVED, IssueState.HELD)),
        )
    ).all()


def last_cut(work: Work, *, newsletter_id: int, frequency: Frequency) -> int:
    """Return the highest cut of a newsletter and frequency; 0 before the first issue."""
    highest = select(func.max(Issue.cut)).where(Issue.newsletter_id == newsletter_id, Issue.frequency == frequency)
    return work.session.scalar(highest) or 0


def has_news(work: Work, *, newsletter_id: int, above: int, cut: int) -> bool:
    """Say whether anything of a newsletter became available in (above, cut]."""
    rows = exists().where(
        Availability.topic_id == Topic.id,
        Topic.newsletter_id == newsletter_id,
        Availability.sequence > above,
        Availability.sequence <= cut,
    )
    return bool(work.session.scalar(select(rows)))


def last_subscription(work: Work) -> int:
    """Return the number of the newest subscription."""
    return work.session.scalar(select(func.max(Subscription.id))) or 0


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


def skip_readers(work: Work, readers: Slice) -> None:
    """Write a skipped row for each reader who has an open earlier mail or whose address is closed."""
    open_mail = exists().where(Delivery.subscription_id == Subscription.id, Delivery.state.in_(OPEN_STATES))
    closed = or_(is_closed(Purpose.NEWS), Subscriber.address.is_(None))
    for reason, condition in (("earlier_issue_open", open_mail), ("suppressed", and_(closed, ~open_mail))):
        _insert_deliveries(
            work,
            readers,
            _columns(readers.issue, work, DeliveryState.SKIPPED, reason=literal(reason), settled=True),
            condition,
        )


def cohort_keys(work: Work, readers: Slice, *, checked: Sequence[int]) -> list[tuple[CohortKey, int]]:
    """Count the readers of a slice who have no row yet by what they have in common."""
    held = _held(work, readers, checked)
    have_row = exists().where(
        Delivery.batch_id == readers.issue.batch_id,
        Delivery.subscriber_id == Subscription.subscriber_id,
    )
    signature = func.coalesce(held.c.held, "")
    rows = work.session.execute(
        select(Subscription.choice_id, Subscription.watermark, signature, func.count())
        .outerjoin(held, held.c.subscription_id == Subscription.id)
        .where(*_in_slice(work, readers), ~have_row)
        .group_by(Subscription.choice_id, Subscription.watermark, signature)
    )
    return [(CohortKey(choice, watermark, groups), count) for choice, watermark, groups, count in rows]


def cohorts(work: Work, issue_id: int) -> dict[CohortKey, Cohort]:
    """Return the cohorts of an issue that are known already."""
    rows = work.session.scalars(select(Cohort).where(Cohort.issue_id == issue_id))
    return {CohortKey(row.choice_id, row.watermark, row.held): row for row in rows}


def insert_deliveries(work: Work, readers: Slice, *, checked: Sequence[int]) -> None:
    """Write a pending row for each reader of a slice whose cohort has an edition."""
    held = _held(work, readers, checked)
    have_row = exists().where(
        Delivery.batch_id == readers.issue.batch_id,
        Delivery.subscriber_id == Subscription.subscriber_id,
    )
    columns = _columns(readers.issue, work, DeliveryState.PENDING, content=Cohort.edition_id)
    work.session.execute(
        insert(Delivery).from_select(
            list(columns),
            select(*columns.values())
            .select_from(Subscription)
            .outerjoin(held, held.c.subscription_id == Subscription.id)
            .join(
                Cohort,
                and_(
                    Cohort.issue_id == readers.issue.id,
                    Cohort.choice_id == Subscription.choice_id,
                    Cohort.watermark == Subscription.watermark,
                    Cohort.held == func.coalesce(held.c.held, ""),
                    Cohort.edition_id.is_not(None),
                ),
            )
            .where(*_in_slice(work, readers), ~have_row),
        )
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
    """Return the lowest watermark of a slice's readers, or None if there are none."""
    return work.session.scalar(select(func.min(Subscription.watermark)).where(*_in_slice(work, readers)))


def versions(work: Work, article_ids: Iterable[int]) -> dict[int, int]:
    """Return the version of each of these articles."""
    rows = work.session.execute(select(Article.id, Article.version).where(Article.id.in_(list(article_ids))))
    return {row.id: row.version for row in rows}


def editions(work: Work, issue_id: int) -> dict[str, int]:
    """Return the numbers of an issue's editions by their fingerprint."""
    rows = work.session.execute(select(Edition.fingerprint, Edition.id).where(Edition.issue_id == issue_id))
    return {row.fingerprint: row.id for row in rows}


def edition(work: Work, edition_id: int) -> Edition:
    """Return an edition that is known to exist."""
    return work.session.get_one(Edition, edition_id)


def unsent_editions_with(work: Work, article_id: int) -> Sequence[Edition]:
    """Return the editions that hold an article, of issues that are not over."""
    return (
        work.session.scalars(
            select(Edition)
            .join(EditionArticle, EditionArticle.edition_id == Edition.id)
            .join(Issue, Issue.id == Edition.issue_id)
            .where(
                EditionArticle.article_id == article_id,
                Issue.state.in_((IssueState.PLANNING, IssueState.SENDING, IssueState.PAUSED)),
            )
        )
        .unique()
        .all()
    )


def withdrawn_in(work: Work, edition_ids: Collection[int]) -> dict[int, set[int]]:
    """Return which articles of these editions are withdrawn, by edition; nobody withdraws one of them meanwhile."""
    if not edition_ids:
        return {}
    rows = work.session.execute(
        select(EditionArticle.edition_id, Article.id, Article.withdrawn_at)
        .join(Article, Article.id == EditionArticle.article_id)
        .where(EditionArticle.edition_id.in_(edition_ids))
        .with_for_update(read=True, of=Article)
    )
    found: dict[int, set[int]] = {}
    for row in rows:
        if row.withdrawn_at is not None:
            found.setdefault(row.edition_id, set()).add(row.id)
    return found


def give_cohorts(work: Work, *, edition_id: int, to_edition_id: int | None) -> None:
    """Give the cohorts of an edition another one."""
    work.session.execute(
        update(Cohort)
        .where(Cohort.edition_id == edition_id)
        .values(edition_id=to_edition_id)
        .execution_options(synchronize_session=False)
    )


def nothing_new(work: Work, issue_id: int) -> int:
    """Count the readers for whom an issue had nothing."""
    return int(work.session.scalar(select(func.sum(Cohort.nothing_new)).where(Cohort.issue_id == issue_id)) or 0)


def ended_among(work: Work, subscription_ids: Iterable[int]) -> set[int]:
    """Return which of these subscriptions are no longer active."""
    wanted = list(subscription_ids)
    active = work.session.scalars(
        select(Subscription.id).where(Subscription.id.in_(wanted), Subscription.state == SubscriptionState.ACTIVE)
    )
    return set(wanted) - set(active)


def raise_watermarks(work: Work, given: Iterable[Claimed]) -> None:
    """Set watermark = max(watermark, cut) for whoever was, or may have been, given these."""
    by_batch: dict[int, list[int]] = {}
    for row in given:
        if row.subscription_id is not None:
            by_batch.setdefault(row.batch_id, []).append(row.subscription_id)
    for batch_id, subscription_ids in by_batch.items():
        cut = select(Issue.cut).where(Issue.batch_id == batch_id).scalar_subquery()
        for start in range(0, len(subscription_ids), _PARAMETERS):
            some = subscription_ids[start : start + _PARAMETERS]
            work.session.execute(
                update(Subscription)
                .where(Subscription.id.in_(some), Subscription.watermark < cut)
                .values(watermark=cut)
                .execution_options(synchronize_session=False)
            )


def addresses(work: Work, subscriber_ids: Iterable[int]) -> dict[int, tuple[str, bool]]:
    """Return address and need of SMTPUTF8 of these persons; the erased are left out."""
    rows = work.session.execute(
        select(Subscriber.id, Subscriber.address, Subscriber.needs_smtputf8).where(
            Subscriber.id.in_(list(subscriber_ids)), Subscriber.address.is_not(None)
        )
    )
    return {row.id: (row.address, row.needs_smtputf8) for row in rows}


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
            Delivery.state.in_(GIVEN_STATES),
            or_(Subscription.changed, Article.group_id.in_(checked)) if checked else Subscription.changed,
            newer,
        )
        .order_by(Delivery.subscription_id, Article.group_id)
        .subquery()
    )
    return (
        select(
            pairs.c.subscription_id,
            func.aggregate_strings(cast(pairs.c.group_id, String), ",").label("held"),
        )
        .group_by(pairs.c.subscription_id)
        .cte("held")
    )


def _columns(
    issue: Issue,
    work: Work,
    state: DeliveryState,
    *,
    reason: Any = None,
    content: Any = None,
    settled: bool = False,
) -> dict[str, Any]:
    now = literal(work.now, Delivery.created_at.type)
    columns: dict[str, Any] = {
        "batch_id": literal(issue.batch_id),
        "subscriber_id": Subscription.subscriber_id,
        "subscription_id": Subscription.id,
        "occasion": literal(0),
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


def _insert_deliveries(work: Work, readers: Slice, columns: Mapping[str, Any], condition: ColumnElement[bool]) -> None:
    work.session.execute(
        insert(Delivery).from_select(
            list(columns),
            select(*columns.values())
            .select_from(Subscription)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(*_in_slice(work, readers), condition),
        )
    )
