"""The web archive: what an issue held, per language, without anything that is a reader's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from newsletter.articles import queries as article_queries
from newsletter.articles.models import Article
from newsletter.base.clock import zone
from newsletter.base.errors import NotFound
from newsletter.base.languages import direction_of, named
from newsletter.db.database import Work
from newsletter.issues.models import Edition, Issue, IssueState
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.queries import topics

SHOWN = (IssueState.SENDING, IssueState.FINISHED, IssueState.PAUSED)


@dataclass(frozen=True, slots=True)
class ArchivedIssue:
    """An issue in the list: its day and its first titles."""

    id: int
    date: date
    titles: list[str]
    count: int


@dataclass(frozen=True, slots=True)
class ArchivedArticle:
    """An article on an issue's page."""

    title: str
    url: str
    summary: str
    date: date | None
    image_url: str
    image_alt: str
    language: str
    direction: str
    is_fallback: bool


@dataclass(frozen=True, slots=True)
class ArchivedTopic:
    """A topic on an issue's page."""

    name: str
    articles: list[ArchivedArticle]


@dataclass(frozen=True, slots=True)
class ArchivedPage:
    """All that the editions of one language held."""

    id: int
    date: date
    topics: list[ArchivedTopic]


def issues_of(work: Work, *, newsletter_id: int, language: str, limit: int = 100) -> list[ArchivedIssue]:
    """Return the issues that were sent in a language, newest first."""
    shown = work.session.scalars(
        select(Issue)
        .where(
            Issue.newsletter_id == newsletter_id,
            Issue.state.in_(SHOWN),
            select(Edition.id).where(Edition.issue_id == Issue.id, Edition.language == language).exists(),
        )
        .order_by(Issue.slot_at.desc(), Issue.id.desc())
        .limit(limit)
    ).all()
    pages = []
    for issue in shown:
        articles = [article for _, article in _contents(work, issue.id, language)]
        if articles:
            titles = [article.title for article in articles[:3]]
            pages.append(ArchivedIssue(issue.id, _day(issue), titles, len(articles)))
    return pages


def page_of(work: Work, *, newsletter: Newsletter, language: str, issue_id: int) -> ArchivedPage:
    """Return an issue's page in a language.

    :raises NotFound: if the newsletter sent no such issue in this language
    """
    issue = work.session.get(Issue, issue_id)
    contents = _contents(work, issue_id, language)
    if issue is None or issue.newsletter_id != newsletter.id or issue.state not in SHOWN or not contents:
        raise NotFound(f"there is no issue {issue_id} in this archive")
    names = {topic_id: named(topic.names, [language]) for topic_id, topic in topics(work).items()}
    by_topic: dict[int, list[ArchivedArticle]] = {}
    for topic_id, article in contents:
        by_topic.setdefault(topic_id, []).append(_archived(article, language, newsletter))
    return ArchivedPage(
        issue.id,
        _day(issue),
        [ArchivedTopic(names[topic_id], articles) for topic_id, articles in by_topic.items()],
    )


def _contents(work: Work, issue_id: int, language: str) -> list[tuple[int, Article]]:
    """Return the articles of all editions in a language, each once, in the topics' order; withdrawn ones are gone."""
    editions = work.session.scalars(
        select(Edition)
        .options(selectinload(Edition.articles))
        .where(Edition.issue_id == issue_id, Edition.language == language)
        .order_by(Edition.id)
    ).all()
    placed = {each.article_id: each.topic_id for edition in reversed(editions) for each in edition.articles}
    found = article_queries.articles(work, placed)
    order = {topic.id: topic.position for topic in topics(work).values()}
    live: Sequence[Article] = [article for article in found.values() if article.withdrawn_at is None]
    newest_first = sorted(live, key=lambda each: (each.published_at or each.created_at, each.id), reverse=True)
    return sorted(((placed[article.id], article) for article in newest_first), key=lambda each: order[each[0]])


def _archived(article: Article, language: str, newsletter: Newsletter) -> ArchivedArticle:
    return ArchivedArticle(
        title=article.title,
        url=article.url,
        summary=article.summary,
        date=article.published_at.astimezone(zone(newsletter.time_zone)).date() if article.published_at else None,
        image_url=article.image_url,
        image_alt=article.image_alt,
        language=article.language,
        direction=direction_of(article.language),
        is_fallback=article.language != language,
    )


def _day(issue: Issue) -> date:
    return issue.slot_at.astimezone(zone(issue.newsletter.time_zone)).date()
