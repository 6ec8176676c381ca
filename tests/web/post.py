"""Every kind of mail that we send, to one reader, as the mailbox has it; and the links in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from email.message import EmailMessage
from html.parser import HTMLParser

from factories import ask, html_of, make_reader, parsed, text_of
from newsletter.articles import actions as articles
from newsletter.articles.feeds import Entry
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.queries import by_slug
from newsletter.operations.run_due import run_due
from newsletter.subscriptions.models import Subscription
from newsletter.subscriptions.preferences import ask_preferences

URL = re.compile(r"https?://[^\s<>\"]+")


def mails(parts: Parts) -> list[EmailMessage]:
    """Return all mails that were sent, oldest first."""
    assert isinstance(parts.backend, MemoryBackend)
    return [parsed(message.data) for message in parts.backend.messages]


def publish(parts: Parts, *titles: str, language: str = "fr", slug: str = "hebdo") -> None:
    """Publish pieces in the first topic of a newsletter."""
    with parts.database.work() as work:
        newsletter = by_slug(work, slug)
        source = articles.add_source(work, newsletter=newsletter, url=f"/nowhere/{slug}-{titles[0]}.xml")
        urls = {title: f"https://news.test/{slug}/{title}" for title in titles}
        entries = [
            Entry(url, url, title, "", None, language, None, "", ("services",), ()) for title, url in urls.items()
        ]
        articles.ingest(work, source_id=source.id, entries=entries)


def send_digest(parts: Parts, clock: SetClock) -> list[EmailMessage]:
    """Send what was published to whoever reads weekly; returns those mails."""
    clock.advance(timedelta(days=7))
    before = len(mails(parts))
    run_due(parts.postroom)
    return [mail for mail in mails(parts)[before:] if mail["List-Unsubscribe"]]


def one_of_each(parts: Parts, clock: SetClock, address: str, *, language: str = "fr") -> Subscription:
    """Let every mail come to a reader, but the confirmation, which comes to `pending-…`; all their links are fresh."""
    reader = make_reader(parts, address, languages=[language])
    publish(parts, "one", "two", language=language)
    assert send_digest(parts, clock)
    ask(parts, f"pending-{address}", languages=[language])
    ask(parts, address, languages=[language])  # already_subscribed
    with parts.database.work() as work:
        ask_preferences(work, token=parts.links.manage_token(reader.id, 0), links=parts.links)
    run_due(parts.postroom)
    return reader


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"href", "src", "action"} and value]


def links_in(mail: EmailMessage) -> list[str]:
    """Return every web address in a mail: in its headers, its text and its HTML."""
    anchors = _Anchors()
    anchors.feed(html_of(mail))
    headers = " ".join(str(value) for value in mail.values())
    found: Sequence[str] = [*URL.findall(headers), *URL.findall(text_of(mail)), *anchors.found]
    return list(dict.fromkeys(link.rstrip(".,") for link in found if link.startswith("http")))


def ways_out(mail: EmailMessage) -> tuple[str, str]:
    """Return the web address and the mailbox of List-Unsubscribe (RFC 2369, RFC 8058)."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    https, mailto = re.findall(r"<([^>]+)>", mail["List-Unsubscribe"])
    assert mailto.startswith("mailto:")
    return https, mailto.removeprefix("mailto:")
