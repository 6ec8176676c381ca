"""Compiling an edition: what it holds is read, and the press makes its bytes, blanks for what is a reader's own."""

from __future__ import annotations

from datetime import date

from newsletter.articles import queries as article_queries
from newsletter.articles.models import Article
from newsletter.base.clock import zone
from newsletter.base.languages import LANGUAGES, direction_of, named
from newsletter.db.database import Work
from newsletter.deliveries.letters import Letter, letterhead
from newsletter.issues.models import Edition
from newsletter.issues.press import SHOWN_ARTICLES, Press, Sheet, Shown
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.queries import topics
from newsletter.subscriptions.lane import newsletter_context


def compile_edition(work: Work, edition: Edition, *, press: Press) -> Letter:
    """Compile an edition as its articles are now."""
    issue = edition.issue
    newsletter, language = issue.newsletter, edition.language
    placed = edition.articles[:SHOWN_ARTICLES]
    articles = article_queries.articles(work, [each.article_id for each in placed])
    names = {topic_id: named(topic.names, [language]) for topic_id, topic in topics(work).items()}
    sheet = Sheet(
        issue_id=issue.id,
        head=letterhead(newsletter, language),
        newsletter=tuple(newsletter_context(newsletter, language).items()),
        date=issue.slot_at.astimezone(zone(newsletter.time_zone)).date(),
        form=edition.form,
    )
    shown = [(names[each.topic_id], _shown(articles[each.article_id], newsletter)) for each in placed]
    return press.letter(sheet, shown, more=len(edition.articles) - len(placed))


def _shown(article: Article, newsletter: Newsletter) -> Shown:
    return Shown(
        title=article.title,
        url=article.url,
        summary=article.summary,
        date=_day(article, newsletter),
        image_url=article.image_url,
        image_alt=article.image_alt,
        language=article.language,
        direction=direction_of(article.language),
        language_name=LANGUAGES[article.language].name if article.language in LANGUAGES else article.language,
    )


def _day(article: Article, newsletter: Newsletter) -> date | None:
    if article.published_at is None:
        return None
    return article.published_at.astimezone(zone(newsletter.time_zone)).date()
