"""Compiling an edition: rendered, inlined and encoded once, with blanks for what is a reader's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from newsletter.articles import queries as article_queries
from newsletter.articles.models import Article
from newsletter.base.clock import zone
from newsletter.base.languages import LANGUAGES, direction_of, named
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.deliveries.letters import Letter, digest_headers, digest_letter, letterhead
from newsletter.issues.models import Edition, EditionArticle
from newsletter.mail.rendering import MailTemplates, Rendered
from newsletter.mail.template import compile_message, marker
from newsletter.newsletters.models import Newsletter
from newsletter.newsletters.queries import topics
from newsletter.subscriptions.lane import newsletter_context

SHOWN_ARTICLES = 12
LARGEST_HTML = 90_000  # octets; Gmail clips near 102 kB


def compile_edition(work: Work, edition: Edition, *, links: Links, templates: MailTemplates) -> Letter:
    """Compile an edition; it is shortened until it fits, never refused for its length."""
    issue = edition.issue
    head = letterhead(issue.newsletter, edition.language)
    widths = {"unsubscribe": links.unsubscribe_width, "manage": links.manage_width}
    rendered = render_edition(work, edition, links=links, templates=templates)
    headers = digest_headers(head, links, subject=rendered.subject, issue_id=issue.id)
    return digest_letter(head, links, compile_message(headers, rendered.text, rendered.html, widths))


def render_edition(work: Work, edition: Edition, *, links: Links, templates: MailTemplates) -> Rendered:
    """Render an edition with as many articles as fit, its blanks as markers."""
    articles = article_queries.articles(work, [each.article_id for each in edition.articles[:SHOWN_ARTICLES]])
    names = {topic_id: named(topic.names, [edition.language]) for topic_id, topic in topics(work).items()}
    shown = min(len(edition.articles), SHOWN_ARTICLES)
    while True:
        context = _context(edition, articles, names, shown=shown, links=links)
        rendered = templates.render("digest", language=edition.language, context=context)
        if len(rendered.html.encode()) <= LARGEST_HTML or shown <= 1:
            return rendered
        shown -= 1


def _context(
    edition: Edition, articles: dict[int, Article], names: dict[int, str], *, shown: int, links: Links
) -> dict[str, object]:
    issue = edition.issue
    newsletter, language, placed = issue.newsletter, edition.language, edition.articles
    return {
        "language": language,
        "newsletter": newsletter_context(newsletter, language),
        "home_url": links.home(language),
        "date": issue.slot_at.astimezone(zone(newsletter.time_zone)).date(),
        "topics": _topics(placed[:shown], articles, names, newsletter),
        "more": len(placed) - shown,
        "archive_url": links.archived_issue(newsletter.slug, language, issue.id),
        "unsubscribe_url": links.unsubscribe(marker("unsubscribe", links.unsubscribe_width)),
        "preferences_url": links.manage(marker("manage", links.manage_width)),
    }


def _topics(
    placed: Sequence[EditionArticle], articles: dict[int, Article], names: dict[int, str], newsletter: Newsletter
) -> list[dict[str, object]]:
    by_topic: dict[int, list[dict[str, object]]] = {}
    for each in placed:
        by_topic.setdefault(each.topic_id, []).append(_article(articles[each.article_id], newsletter))
    return [{"name": names[topic_id], "articles": found} for topic_id, found in by_topic.items()]


def _article(article: Article, newsletter: Newsletter) -> dict[str, object]:
    return {
        "title": article.title,
        "url": article.url,
        "summary": article.summary,
        "date": _day(article, newsletter),
        "image_url": article.image_url,
        "image_alt": article.image_alt,
        "language": article.language,
        "direction": direction_of(article.language),
        "language_name": LANGUAGES[article.language].name if article.language in LANGUAGES else article.language,
    }


def _day(article: Article, newsletter: Newsletter) -> date | None:
    if article.published_at is None:
        return None
    return article.published_at.astimezone(zone(newsletter.time_zone)).date()
