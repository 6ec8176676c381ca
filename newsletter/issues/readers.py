"""The SQL of an issue's readers: cohorts and their rows. Set-based: no statement returns a row per reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import CTE, ColumnElement, String, and_, cast, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import aliased

from newsletter.articles.models import Article, Availability
from newsletter.db.database import Work
from newsletter.db.parameters import in_chunks
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import GIVEN_STATES, Delivery, DeliveryState
from newsletter.issues.choosing import CohortKey, Content
from newsletter.issues.digest import Candidate
from newsletter.issues.gathering import Slice, any_changed, gathered, is_open, note_skipped
from newsletter.issues.models import Cohort, Edition, EditionArticle, Issue
from newsletter.newsletters.models import Topic


@dataclass(slots=True)
class CohortCount:
    """A cohort of a slice: its readers by family, and what an earlier slice noted for it (no `id`: none met it)."""

    key: CohortKey
    id: int | None
    nothing_new: int
    edition_id: int | None
    fingerprint: str | None
    families: Counter[str] = field(default_factory=Counter)

    @property
    def readers(self) -> int:
        return self.families.total()


def skip_readers(work: Work, readers: Slice, *, moves: Moves) -> None:
    """Write a skipped row for each gathered reader who has an open earlier mail or whose address is closed."""
    columns = _columns(
        readers.issue,
        work,
        DeliveryState.SKIPPED,
        subscriber=gathered.c.subscriber_id,
        subscription=gathered.c.subscription_id,
        family=gathered.c.family,
        reason=gathered.c.reason,
        settled=True,
    )
    wanted = select(*columns.values()).where(gathered.c.reason.is_not(None))
    work.session.execute(insert(Delivery).from_select(list(columns), wanted))
    note_skipped(work, readers.issue.batch_id, moves=moves)


def cohort_keys(work: Work, readers: Slice, *, checked: Sequence[int]) -> Collection[CohortCount]:
    """Count the gathered readers who wait for a mail by what they have in common."""
    waiting = _waiting(work, readers, checked)
    key = (waiting.c.choice_id, waiting.c.watermark, waiting.c.held)
    counted = select(*key, waiting.c.family, func.count().label("readers")).group_by(*key, waiting.c.family).subquery()
    rows = work.session.execute(
        select(counted, Cohort.id, Cohort.nothing_new, Cohort.edition_id, Edition.fingerprint)
        .outerjoin(Cohort, _is_cohort_of(counted.c, readers.issue))
        .outerjoin(Edition, Edition.id == Cohort.edition_id)
    )
    found: dict[CohortKey, CohortCount] = {}
    for choice_id, watermark, held, family, count, number, nothing_new, edition_id, fingerprint in rows:
        each = CohortKey(choice_id, watermark, held)
        line = found.setdefault(each, CohortCount(each, number, nothing_new or 0, edition_id, fingerprint))
        line.families[family] += count
    return found.values()


def add_editions(work: Work, issue_id: int, contents: Sequence[Content]) -> dict[str, int]:
    """Write an edition for each of these contents and return their numbers by fingerprint."""
    if not contents:
        return {}
    rows = work.session.execute(
        insert(Edition).returning(Edition.fingerprint, Edition.id),
        [
            {"issue_id": issue_id, "language": each.language, "form": each.form, "fingerprint": each.fingerprint}
            for each in contents
        ],
    )
    numbers = {row.fingerprint: row.id for row in rows}
    work.session.execute(
        insert(EditionArticle),
        [
            {
                "edition_id": numbers[content.fingerprint],
                "position": place,
                "article_id": each.article_id,
                "topic_id": each.topic_id,
                "version": content.versions[each.article_id],
            }
            for content in contents
            for place, each in enumerate(content.chosen, 1)
        ],
    )
    return numbers


def write_cohorts(work: Work, *, new: Sequence[Mapping[str, Any]], changed: Sequence[Mapping[str, Any]]) -> None:
    """Write new cohorts, and what has changed of known ones (by `id`)."""
    if new:
        work.session.execute(insert(Cohort), new)
    if changed:
        work.session.execute(update(Cohort), changed)


def insert_deliveries(work: Work, readers: Slice, *, checked: Sequence[int]) -> None:
    """Write a pending row for each gathered reader whose cohort has an edition."""
    waiting = _waiting(work, readers, checked)
    columns = _columns(
        readers.issue,
        work,
        DeliveryState.PENDING,
        subscriber=waiting.c.subscriber_id,
        subscription=waiting.c.subscription_id,
        family=waiting.c.family,
        content=Cohort.edition_id,
    )
    # An outer join that no planner turns into an inner one: SQLite would go through the readers once for each cohort.
    wanted = (
        select(*columns.values())
        .select_from(waiting)
        .outerjoin(Cohort, _is_cohort_of(waiting.c, readers.issue))
        .where(func.coalesce(Cohort.edition_id, 0) > 0)
    )
    work.session.execute(insert(Delivery).from_select(list(columns), wanted))


def has_rows(work: Work, issue: Issue, *, only_open: bool = False) -> bool:
    """Say whether an issue has rows at all, or open ones: at once, however many they are."""
    rows = select(Delivery.id).where(Delivery.batch_id == issue.batch_id)
    if only_open:
        rows = rows.where(is_open(Delivery))
    return bool(work.session.scalar(select(rows.exists())))


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


def versions(work: Work, article_ids: Iterable[int]) -> dict[int, int]:
    """Return the version of each of these articles; nobody withdraws, pairs or corrects one before this work ends.

    A withdrawal that looks for the editions of its article would miss the one that is being planned.
    """
    found: dict[int, int] = {}
    for some in in_chunks(sorted(article_ids)):
        wanted = select(Article.id, Article.version).where(Article.id.in_(some)).order_by(Article.id)
        found |= {row.id: row.version for row in work.session.execute(wanted.with_for_update(read=True))}
    return found


def _is_cohort_of(key: Any, issue: Issue) -> ColumnElement[bool]:
    return and_(
        Cohort.issue_id == issue.id,
        Cohort.choice_id == key.choice_id,
        Cohort.watermark == key.watermark,
        Cohort.held == key.held,
    )


def _waiting(work: Work, readers: Slice, checked: Sequence[int]) -> CTE:
    """Return the gathered readers who wait for a mail, each with the key of the cohort."""
    columns = [gathered.c[name] for name in ("subscription_id", "subscriber_id", "family", "choice_id", "watermark")]
    if not checked and not any_changed(work):
        wanted = select(*columns, literal("").label("held"))
    else:
        held = _held(work, readers, checked)
        wanted = select(*columns, func.coalesce(held.c.held, "").label("held")).outerjoin(
            held, held.c.subscription_id == gathered.c.subscription_id
        )
    return wanted.where(gathered.c.reason.is_(None)).cte("waiting")


def _held(work: Work, readers: Slice, checked: Sequence[int]) -> CTE:
    """Return, by subscription, which groups with something new its editions hold already.

    Only readers who changed their choice, and groups that watermarks cannot speak for, are looked at.
    """
    version = aliased(Article)
    newer = exists().where(
        Availability.article_id == version.id,
        version.group_id == Article.group_id,
        Availability.sequence > gathered.c.watermark,
        Availability.sequence <= readers.issue.cut,
    )
    pairs = (
        select(Delivery.subscription_id, Article.group_id)
        .distinct()
        .join(gathered, gathered.c.subscription_id == Delivery.subscription_id)
        .join(EditionArticle, EditionArticle.edition_id == Delivery.content_id)
        .join(Article, Article.id == EditionArticle.article_id)
        .where(
            gathered.c.reason.is_(None),
            Delivery.subscription_id > readers.low,
            Delivery.subscription_id <= readers.high,
            Delivery.state.in_(GIVEN_STATES),
            or_(gathered.c.changed, Article.group_id.in_(checked)) if checked else gathered.c.changed,
            newer,
        )
        .order_by(Delivery.subscription_id, Article.group_id)
        .subquery()
    )
    # Readers are counted and given their rows by this text in two statements, so its order must be no accident. SQLite
    # keeps that of the subquery and, before 3.44, knows none of its own.
    groups = func.aggregate_strings(cast(pairs.c.group_id, String), ",")
    held = groups if work.is_sqlite else groups.aggregate_order_by(pairs.c.group_id)
    by_reader = select(pairs.c.subscription_id, held.label("held")).group_by(pairs.c.subscription_id)
    return by_reader.cte("held").prefix_with("MATERIALIZED")


def _columns(
    issue: Issue,
    work: Work,
    state: DeliveryState,
    *,
    subscriber: Any,
    subscription: Any,
    family: Any,
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
        "family": family,
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
