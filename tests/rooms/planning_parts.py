"""Articles, readers by the thousand, and issues: what the planning's tests stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text

from factories import make_newsletter
from newsletter.articles import actions as article_actions
from newsletter.articles import queries as article_queries
from newsletter.articles.feeds import Entry
from newsletter.articles.models import Article
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.database import Database
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.issues import actions, planning, queries
from newsletter.issues.books import Books, books
from newsletter.issues.models import EditionArticle
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import by_slug
from newsletter.subscriptions.models import Form
from newsletter.subscriptions.queries import choice_id

A_WEEK = timedelta(days=7)
CHOICES = 4  # different choices among many readers


@dataclass(frozen=True)
class Ground:
    """A newsletter that comes on Mondays, and a source that publishes in it."""

    database: Database
    clock: SetClock
    newsletter_id: int
    source_id: int


def lay(parts: Parts, clock: SetClock) -> Ground:
    newsletter = make_newsletter(parts)
    with parts.database.work() as work:
        source = article_actions.add_source(work, newsletter=newsletter, url="/nowhere/feed.xml")
        return Ground(parts.database, clock, newsletter.id, source.id)


def entry(name: str, *, language: str = "fr", translates: str | None = None) -> Entry:
    pairs = (("xx", f"https://news.test/{translates}"),) if translates else ()
    url = f"https://news.test/{name}"
    return Entry(url, url, name, "", None, language, None, "", ("services",), pairs)


def publish(ground: Ground, *entries: Entry) -> list[int]:
    """Publish pieces, in this order, and return their numbers."""
    with ground.database.work() as work:
        article_actions.ingest(work, source_id=ground.source_id, entries=entries[::-1])
        found = {row.external_id: row.id for row in work.session.execute(select(Article.external_id, Article.id))}
        return [found[each.external_id] for each in entries]


def open_weekly(ground: Ground) -> int:
    """Move to the next Monday and open its issue."""
    ground.clock.advance(A_WEEK)
    number = open_now(ground)
    assert number is not None
    return number


def open_now(ground: Ground, frequency: Frequency = Frequency.WEEKLY) -> int | None:
    """Open the issue of the latest slot; None if somebody did."""
    with ground.database.work() as work:
        newsletter = by_slug(work, "hebdo")
        rhythm = next(each for each in newsletter.rhythms if each.frequency is frequency)
        issue = actions.open_due(work, newsletter=newsletter, rhythm=rhythm)
        return None if issue is None else issue.id


def contents(ground: Ground, issue_id: int) -> dict[int, list[int]]:
    """Return the articles of each reader's mail, in their order."""
    with ground.database.reading() as work:
        rows = work.session.execute(
            select(Delivery.subscription_id, EditionArticle.article_id)
            .join(EditionArticle, EditionArticle.edition_id == Delivery.content_id)
            .where(Delivery.batch_id == queries.issue(work, issue_id).batch_id)
            .order_by(Delivery.id, EditionArticle.position)
        )
        found: dict[int, list[int]] = {}
        for reader, article in rows:
            found.setdefault(reader, []).append(article)
        return found


def books_of(ground: Ground, issue_id: int) -> Books:
    with ground.database.reading() as work:
        return books(work, queries.issue(work, issue_id))


def plan(ground: Ground, issue_id: int) -> dict[int, list[int]]:
    """Plan an issue to its end and return the articles of each reader's mail."""
    planning.plan(ground.database, issue_id)
    return contents(ground, issue_id)


def plan_one(ground: Ground, issue_id: int) -> None:
    """Plan one reader, as a planner that dies after a slice."""
    ground.database.in_snapshot(lambda work: planning.plan_slice(work, issue_id, size=1))


def withdraw(ground: Ground, article_id: int) -> None:
    with ground.database.work() as work:
        actions.withdraw(work, article_id=article_id)


def reinstate(ground: Ground, article_id: int) -> None:
    with ground.database.work() as work:
        article_actions.reinstate(work, article=article_queries.article(work, article_id))


def set_rows(ground: Ground, **values: Any) -> None:
    """Leave the rows of all pending mails as a sender may leave them."""
    with ground.database.work() as work:
        pending = work.session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PENDING)).all()
        assert pending
        for row in pending:
            for name, value in values.items():
                setattr(row, name, value)


def add_readers(ground: Ground, count: int, *, topics: Sequence[str] = ("services",)) -> None:
    """Add so many active weekly readers of a few different choices, by one statement."""
    with ground.database.work() as work:
        slugs = {topic.slug: topic.id for topic in by_slug(work, "hebdo").topics}
        chosen = [
            choice_id(
                work,
                newsletter_id=ground.newsletter_id,
                form=Form.DIGEST,
                languages=[("fr", number)],
                topics=[(slugs[slug], 0) for slug in topics],
            )
            for number in range(CHOICES)
        ]
        assert chosen == list(range(chosen[0], chosen[0] + CHOICES))
        values = {"count": count, "choices": CHOICES, "first": chosen[0], "newsletter": ground.newsletter_id}
        for statement in (_PEOPLE, _SUBSCRIPTIONS):
            work.session.execute(text(statement.format(now=f"'{work.now:%Y-%m-%d %H:%M:%S}'")), values)
        if not work.is_sqlite:  # as the database does by itself soon after an import
            work.session.execute(text("ANALYZE subscription"))


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_PEOPLE = (
    "INSERT INTO subscriber (address, address_key, needs_smtputf8, address_hash, created_at) "
    + _NUMBERS
    + "SELECT 'many' || i || '@example.org', 'many' || i || '@example.org', false, 'many' || i, {now} FROM n"
)
_SUBSCRIPTIONS = (
    "INSERT INTO subscription (subscriber_id, newsletter_id, state, frequency, choice_id, watermark, changed, "
    "created_at, activated_at) SELECT id, :newsletter, 'active', 'weekly', :first + id % :choices, 0, false, "
    "{now}, {now} FROM subscriber WHERE address_key LIKE 'many%' AND :count > 0"
)
