"""What every mail must say, rendered the slow and obvious way: the whole template again, for one reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from markupsafe import escape
from sqlalchemy import text

from benchmarks.sending import content
from newsletter.bootstrap import Parts
from newsletter.issues import queries
from newsletter.mail.rendering import MailTemplates, Rendered
from newsletter.newsletters.queries import by_slug
from newsletter.subscriptions.lane import newsletter_context

_PLACED = text(
    "SELECT article.title, article.url, article.summary, article.published_at, article.image_url, article.image_alt,"
    " topic.slug FROM edition_article JOIN article ON article.id = edition_article.article_id"
    " JOIN topic ON topic.id = edition_article.topic_id ORDER BY edition_article.position"
)
LANGUAGE = "ar"


class NotInlined(MailTemplates):
    """Our templates with their style sheet left in the head, as many a loop sends them."""

    def _inlined(self, html: str) -> str:
        return html


@dataclass(frozen=True, slots=True)
class Reference:
    """The one edition of the issue, as its templates see it but for a reader's own links."""

    context: dict[str, object]
    articles: list[dict[str, object]]
    batch_id: int

    def rendered(self, parts: Parts, subscription_id: int, *, templates: MailTemplates | None = None) -> Rendered:
        """Render the whole mail of one reader."""
        context = self.context | self.links(parts, subscription_id)
        return (templates or parts.templates).render("digest", language=LANGUAGE, context=context)

    def links(self, parts: Parts, subscription_id: int) -> dict[str, object]:
        """Return a reader's own links."""
        return {
            "unsubscribe_url": parts.links.unsubscribe(parts.links.unsubscribe_token(subscription_id, self.batch_id)),
            "preferences_url": parts.links.manage(parts.links.manage_token(subscription_id, self.batch_id)),
        }


def reference(parts: Parts) -> Reference:
    """Read the issue's only edition from the database."""
    with parts.database.reading() as work:
        newsletter = by_slug(work, content.SLUG)
        issue = queries.issues(work)[0]
        topics: dict[str, list[dict[str, object]]] = {}
        for row in work.session.execute(_PLACED).mappings():
            article = {
                "title": row["title"],
                "url": row["url"],
                "summary": row["summary"],
                "date": datetime.fromisoformat(str(row["published_at"])).date(),
                "image_url": row["image_url"],
                "image_alt": row["image_alt"],
                "language": LANGUAGE,
                "direction": "rtl",
                "language_name": "",
            }
            topics.setdefault(row["slug"], []).append(article)
        names = {topic.slug: topic.names[LANGUAGE] for topic in newsletter.topics}
        context: dict[str, object] = {
            "language": LANGUAGE,
            "newsletter": newsletter_context(newsletter, LANGUAGE),
            "home_url": parts.links.home(LANGUAGE),
            "date": issue.slot_at.date(),
            "topics": [{"name": names[slug], "articles": found} for slug, found in topics.items()],
            "more": 0,
            "archive_url": parts.links.archived_issue(content.SLUG, LANGUAGE, issue.id),
        }
        return Reference(context, [each for found in topics.values() for each in found], issue.batch_id)


def as_template(rendered: str, articles: list[dict[str, object]], links: dict[str, object], *, is_html: bool) -> str:
    """Turn a rendered part back into a template of the same articles and links: what one writes by hand.

    Its style sheet is inlined already and its words are translated, so that it costs less than ours would.
    """
    places = {str(value): f"{{{{ {name} }}}}" for name, value in links.items()}
    for number, article in enumerate(articles):
        for field in ("title", "summary", "url"):
            places[str(article[field])] = f"{{{{ articles[{number}].{field} }}}}"
    for value in sorted(places, key=len, reverse=True):
        rendered = rendered.replace(str(escape(value)) if is_html else value, places[value])
    return rendered
