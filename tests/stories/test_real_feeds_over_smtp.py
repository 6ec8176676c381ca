"""Real French and Arabic feeds become digests that a real SMTP server takes, and every link in them leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from werkzeug.test import Client

from factories import html_of, make_newsletter, make_reader, parsed, text_of
from loopback import LoopbackController
from newsletter.articles import actions as articles
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.issues.press import SHOWN_ARTICLES
from newsletter.operations.fetching import read_source
from newsletter.operations.run_due import run_due
from newsletter.subscriptions.models import Subscription, SubscriptionState
from newsletter.web.app import create_app

FEEDS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "given" / "feeds"
FRENCH = ["fr_lemonde_2017_rss2.xml", "fr_clipos_anssi_atom.xml", "fr_reporterre_dcdate_rss2.xml"]
ARABIC = ["ar_psrecord_rss2.xml", "ar_syrianpulse_rss2.xml", "ar_made_jsonfeed.json", "ar_dztech_hugo_rss2.xml"]
URL = re.compile(r"https?://[^\s<>\"]+")

pytestmark = pytest.mark.skipif(not FEEDS.is_dir(), reason="the real feeds are not on this machine")


class Inbox:
    """An SMTP server's memory."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.senders: dict[str, str] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        (recipient,) = envelope.rcpt_tos
        assert recipient not in self.taken, "one transaction, one mail for each reader"
        self.taken[recipient] = bytes(envelope.original_content or b"")
        self.senders[recipient] = str(envelope.mail_from)
        return "250 taken"


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    memory = Inbox()
    controller = LoopbackController(memory, hostname="127.0.0.1", port=0)
    controller.start()
    yield memory, controller.port
    controller.stop()


@pytest.fixture
def smtp_parts(settings: Settings, clock: SetClock, inbox: tuple[Inbox, int]) -> Iterator[Parts]:
    url: Any = f"smtp://127.0.0.1:{inbox[1]}"
    built = build(Settings.model_validate({**settings.model_dump(), "mail_url": url}), clock=clock)
    yield built
    built.database.close()


def test_a_digest_of_real_feeds_arrives_and_each_of_its_links_leads_somewhere(
    smtp_parts: Parts, clock: SetClock, inbox: tuple[Inbox, int]
) -> None:
    parts, memory = smtp_parts, inbox[0]
    hebdo = make_newsletter(parts)
    french = make_reader(parts, "lectrice@example.com", languages=["fr"])
    arabic = make_reader(parts, "qari@example.com", languages=["ar", "fr"])
    with parts.database.work() as work:
        for name in FRENCH + ARABIC:
            articles.add_source(work, newsletter=hebdo, url=str(FEEDS / name))
    links_of = {
        language: {entry.link for name in names for entry in read_source(str(FEEDS / name)).entries}
        for language, names in (("fr", FRENCH), ("ar", ARABIC))
    }
    clock.advance(timedelta(days=7) - timedelta(minutes=50))  # Monday, 08:10

    report = run_due(parts.postroom)

    assert [each.error for each in report.fetched if each.error] == []
    assert set(memory.taken) == {"lectrice@example.com", "qari@example.com"}
    client = Client(create_app(parts))
    for subscription, language in ((french, "fr"), (arabic, "ar")):
        address = "lectrice@example.com" if language == "fr" else "qari@example.com"
        mail = parsed(memory.taken[address])
        assert mail["Content-Language"] == language
        in_text, in_html = URL.findall(text_of(mail)), Links()
        in_html.feed(html_of(mail))
        assert set(in_text) == set(in_html.found)
        ours = {url for url in in_text if url.startswith(parts.links.base_url)}
        theirs = set(in_text) - ours
        assert len(theirs) == SHOWN_ARTICLES
        assert theirs <= (links_of["fr"] if language == "fr" else links_of["ar"] | links_of["fr"])
        for url in ours:
            assert client.get(urlsplit(url).path).status_code == 200, url
        archive = client.get(urlsplit(next(url for url in ours if "/archive/" in url)).path).get_data(as_text=True)
        assert archive.count("<article") >= len(theirs)
        assert memory.senders[address].endswith("@lettre.example.ma")

        one_click = re.findall(r"<(https?://[^>]+)>", str(mail["List-Unsubscribe"]))[0]
        answer = client.post(urlsplit(one_click).path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        with parts.database.reading() as work:
            assert work.session.get_one(Subscription, subscription.id).state is SubscriptionState.ENDED
