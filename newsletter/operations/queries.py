"""Questions that span rooms: what an issue's editions reached, what a person was mailed, who would get what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select

from newsletter.db.database import Work
from newsletter.deliveries.models import Batch, Delivery, DeliveryState, LaneName
from newsletter.issues.models import Edition, EditionArticle, Issue
from newsletter.newsletters.models import Newsletter
from newsletter.subscriptions.models import Form, Request

_TROUBLED = (DeliveryState.FAILED, DeliveryState.DEFERRED, DeliveryState.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class EditionLine:
    """An edition of an issue: how many articles it holds, for how many readers it was planned, how many it reached."""

    id: int
    language: str
    form: Form
    articles: int
    readers: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Mailed:
    """A delivery of a person, and what it was: an issue of a newsletter, or a kind of transactional mail.

    `newsletter` is None where it is not known any more for which one a transactional mail was.
    """

    id: int
    lane: LaneName
    kind: str | None
    issue_id: int | None
    newsletter: str | None
    mail_domain: str | None
    time_zone: str | None
    state: DeliveryState
    reason: str | None
    reply_code: int | None
    reply: str | None
    attempts: int
    possible_copies: int
    created_at: datetime
    next_attempt_at: datetime | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason for which mails failed, wait for another try or are uncertain: how many, and what was said last."""

    state: DeliveryState
    reason: str
    rows: int
    reply_code: int | None
    reply: str | None


def editions_of(work: Work, issue: Issue) -> list[EditionLine]:
    """Return the editions of an issue, the most read first."""
    articles = (
        select(EditionArticle.edition_id, func.count().label("articles")).group_by(EditionArticle.edition_id).subquery()
    )
    readers = (
        select(
            Delivery.content_id,
            func.count().label("readers"),
            func.count().filter(Delivery.state == DeliveryState.ACCEPTED).label("accepted"),
        )
        .where(Delivery.batch_id == issue.batch_id)
        .group_by(Delivery.content_id)
        .subquery()
    )
    reached = func.coalesce(readers.c.readers, 0)
    rows = work.session.execute(
        select(
            Edition.id,
            Edition.language,
            Edition.form,
            func.coalesce(articles.c.articles, 0),
            reached,
            func.coalesce(readers.c.accepted, 0),
        )
        .outerjoin(articles, articles.c.edition_id == Edition.id)
        .outerjoin(readers, readers.c.content_id == Edition.id)
        .where(Edition.issue_id == issue.id)
        .order_by(reached.desc(), Edition.id)
    )
    return [EditionLine(*row) for row in rows]


def mailed_to(work: Work, subscriber_id: int, *, limit: int) -> Sequence[Mailed]:
    """Return the newest deliveries of a person."""
    rows = work.session.execute(
        select(
            Delivery.id,
            Batch.lane,
            Batch.kind,
            Issue.id,
            Newsletter.slug,
            Newsletter.mail_domain,
            Newsletter.time_zone,
            Delivery.state,
            Delivery.reason,
            Delivery.reply_code,
            Delivery.reply,
            Delivery.attempts,
            Delivery.possible_copies,
            Delivery.created_at,
            Delivery.next_attempt_at,
            Delivery.settled_at,
        )
        .join(Batch, Batch.id == Delivery.batch_id)
        .outerjoin(Issue, Issue.batch_id == Batch.id)
        .outerjoin(Request, and_(Batch.lane != LaneName.DIGEST, Request.id == Delivery.occasion))
        .outerjoin(Newsletter, Newsletter.id == func.coalesce(Issue.newsletter_id, Request.newsletter_id))
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    return [Mailed(*tuple(row)) for row in rows]


def refusals(work: Work, batch_id: int, *, limit: int) -> list[Refusal]:
    """Return why mails of a batch did not arrive, the most frequent reason first. Looks at all its rows."""
    last = func.coalesce(Delivery.settled_at, Delivery.next_attempt_at).desc()
    same = [Delivery.state, Delivery.reason]
    ranked = (
        select(
            Delivery.state,
            func.coalesce(Delivery.reason, "").label("reason"),
            func.count().over(partition_by=same).label("rows"),
            Delivery.reply_code,
            Delivery.reply,
            func.row_number().over(partition_by=same, order_by=[last, Delivery.id.desc()]).label("place"),
        )
        .where(Delivery.batch_id == batch_id, Delivery.state.in_(_TROUBLED))
        .subquery()
    )
    found = ranked.c
    rows = work.session.execute(
        select(found.state, found.reason, found.rows, found.reply_code, found.reply)
        .where(found.place == 1)
        .order_by(found.rows.desc(), found.state, found.reason)
        .limit(limit)
    )
    return [Refusal(*tuple(row)) for row in rows]


def possible_copies(work: Work, batch_id: int) -> int:
    """Return how many mails of a batch may have arrived once more. Looks at all its rows."""
    copies = select(func.sum(Delivery.possible_copies)).where(Delivery.batch_id == batch_id)
    return int(work.session.scalar(copies) or 0)
