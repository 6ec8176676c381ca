"""The SQL of issues: slots, editions, books, watermarks. Set-based, like that of their readers in readers.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    exists,
    func,
    select,
    update,
)
from sqlalchemy.orm import joinedload

from newsletter.articles.models import Article, Availability
from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.db.parameters import Statement
from newsletter.deliveries.lanes import Claimed
from newsletter.issues.models import Cohort, Edition, EditionArticle, Issue, IssueState
from newsletter.newsletters.models import Frequency, Topic
from newsletter.subscribers.models import Purpose
from newsletter.subscribers.queries import reasons_closing
from newsletter.subscriptions.models import Subscription


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


def of_batch(work: Work, batch_id: int) -> Issue | None:
    """Return the issue whose mails a batch holds."""
    return work.session.scalars(select(Issue).where(Issue.batch_id == batch_id)).one_or_none()


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
    """Return the issues of a newsletter and frequency that were opened and not released; one work at a time does."""
    return work.session.scalars(
        select(Issue)
        .where(
            Issue.newsletter_id == newsletter_id,
            Issue.frequency == frequency,
            Issue.state.in_((IssueState.DRAFT, IssueState.SUBMITTED, IssueState.APPROVED, IssueState.HELD)),
        )
        .order_by(Issue.id)
        .with_for_update(of=Issue, key_share=True)
        .execution_options(populate_existing=True)
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


class Recipient(NamedTuple):
    """Where a reader's mail goes, and whether it still may."""

    subscription_id: int
    address: str | None
    needs_smtputf8: bool
    is_active: bool
    is_closed: bool


_CLOSING = ", ".join(f"'{reason}'" for reason in reasons_closing(Purpose.NEWS))  # words of our own
_RECIPIENTS = Statement(
    "SELECT subscription.id, subscriber.address, subscriber.needs_smtputf8, subscription.state = 'active', "  # noqa: S608
    "EXISTS (SELECT 1 FROM suppression WHERE suppression.address_hash = subscriber.address_hash "
    f"AND suppression.reason IN ({_CLOSING})) "
    "FROM subscription JOIN subscriber ON subscriber.id = subscription.subscriber_id WHERE subscription.id {ids}"
)


def recipients(work: Work, subscription_ids: Sequence[int]) -> dict[int, Recipient]:
    """Return where the mails of these subscriptions go."""
    return {row[0]: Recipient._make(row) for row in _RECIPIENTS.run(work, subscription_ids)}


_RAISE = Statement(
    "UPDATE subscription SET watermark = issue.cut FROM issue, delivery "
    "WHERE issue.batch_id = :batch_id AND delivery.id {ids} AND subscription.id = delivery.subscription_id "
    "AND subscription.watermark < issue.cut"
)


def raise_watermarks(work: Work, given: Iterable[Claimed]) -> None:
    """Set watermark = max(watermark, cut) for whoever was, or may have been, given these.

    Whose a row is says the row: since it was claimed, another subscription may have taken up the reader's.
    """
    by_batch: dict[int, list[int]] = {}
    for row in given:
        if row.subscription_id is not None:
            by_batch.setdefault(row.batch_id, []).append(row.id)
    for batch_id, delivery_ids in by_batch.items():
        _RAISE.run(work, delivery_ids, batch_id=batch_id)
