"""Walk through every public page in a browser, as a citizen comes to it, and stop at each.

A site with one newsletter and one with two are filled with the demo's articles. Whoever calls says what is done at
a stop: drawing it, or looking for what keeps people from using it.
"""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import Browser, Page, Playwright
from waitress.server import create_server

from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock
from newsletter.base.config import load_settings
from newsletter.base.resources import resource
from newsletter.bootstrap import Parts, build
from newsletter.db import migrations
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.operations.run_due import run_due
from newsletter.subscriptions.models import Choice, Request, RequestKind, Subscription
from newsletter.web.app import create_app

SAMPLES = resource("templates").parent / "newsletter" / "demo" / "site"
CHROMIUM = Path("/usr/bin/chromium")
T = TypeVar("T", Request, Subscription)
KEY = "only-for-pictures-only-for-pictures-only"
MONDAY = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
START = datetime(2026, 11, 16, 10, tzinfo=UTC)
ADDRESSES = {"fr": "salma.bennani@gmail.com", "ar": "youssef.alaoui@menara.ma", "en": "sam@example.org"}


@dataclass(frozen=True, slots=True)
class Site:
    """A running site and the hand that moves its clock."""

    parts: Parts
    clock: SetClock
    url: str


@dataclass(frozen=True, slots=True)
class Walk:
    """A citizen's way in one language; `stop` is called with the name of each page that is reached."""

    page: Page
    stop: Callable[[str], None]


def walk(
    browser: Browser,
    stop: Callable[[Page, str], None],
    languages: Sequence[str] = tuple(ADDRESSES),
    *,
    has_scripts: bool = True,
) -> None:
    """Visit every page in these languages, in a context of its own for each; without scripts ours do not arrive."""
    for newsletters in (1, 2):
        with serving(newsletters) as site:
            for code in languages:
                context = browser.new_context(locale=code)
                page = context.new_page()
                if not has_scripts:
                    page.route("**/*.js*", lambda route: route.abort())
                way = Walk(page, partial(stop, page))
                sign_up(site, way, code, many=newsletters > 1)
                if newsletters == 1:
                    confirm(site, way, code)
                    publish(site)
                    read(site, way, code)
                    leave_topic(site, way, code)
                    choose(site, way, code)
                    leave(site, way, code)
                else:
                    leave_all(site, way, code)
                context.close()


def launched(playwright: Playwright) -> Browser:
    """Start Chromium, the machine's own if there is one."""
    own = CHROMIUM if CHROMIUM.exists() else None
    return playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])


@contextmanager
def serving(newsletters: int) -> Iterator[Site]:
    """Serve a filled site on a free port of the loopback."""
    with tempfile.TemporaryDirectory() as home:
        listening = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = load_settings(
            {}, home=Path(home), base_url=url, mail_url="memory://", secret_keys=KEY, address_key=KEY
        )
        clock = SetClock(START)
        parts = build(settings, clock=clock)
        fill(parts, Path(home), newsletters)
        server = create_server(create_app(parts), sockets=[listening])
        threading.Thread(target=server.run, daemon=True).start()
        yield Site(parts, clock, url)
        parts.database.close()


def fill(parts: Parts, home: Path, newsletters: int) -> None:
    """Add the demo's newsletter with its articles, and a second newsletter if asked."""
    migrations.upgrade(parts.database)
    told = json.loads((SAMPLES / "newsletter.json").read_text(encoding="utf-8"))
    weekly = NewNewsletter(
        slug=told["slug"],
        names=told["names"],
        promises=told["promise"],
        institution=told["institution"],
        postal_address=told["postal_address"],
        cndp_reference=told["cndp_reference"],
        mail_domain="lettre.ministere.example",
        topics=[NewTopic(topic["slug"], topic["names"]) for topic in told["topics"]],
        rhythms=[NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0)],
    )
    with parts.database.work() as work:
        newsletter = add_newsletter(work, new=weekly)
        for code in ("fr", "ar", "en"):
            feed = home / f"feed.{code}.xml"
            text = (SAMPLES / feed.name).read_text(encoding="utf-8")
            feed.write_text(text.replace("{{site}}", "https://www.ministere.example"), encoding="utf-8")
            add_source(work, newsletter=newsletter, url=str(feed))
        if newsletters > 1:
            add_newsletter(work, new=tenders(weekly))


def tenders(other: NewNewsletter) -> NewNewsletter:
    return NewNewsletter(
        slug="marches",
        names={"fr": "Marchés publics", "ar": "الصفقات العمومية"},
        promises={
            "fr": "Les appels d’offres du ministère, le jour de leur publication.",
            "ar": "طلبات عروض الوزارة، يوم نشرها.",
        },
        institution=other.institution,
        cndp_reference=other.cndp_reference,
        mail_domain=other.mail_domain,
        languages=("fr", "ar"),
        accent="#7A3E00",
        topics=[NewTopic("travaux", {"fr": "Travaux", "ar": "الأشغال"})],
        rhythms=[NewRhythm(Frequency.DAILY, at=time(7, 30)), NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0)],
    )


def sign_up(site: Site, way: Walk, code: str, *, many: bool) -> None:
    """Draw the form: empty, with something missing, and the page after it."""
    page, name = way.page, "sign_up_to_one_of_two" if many else "sign_up"
    page.goto(f"{site.url}/{code}/")
    way.stop(f"{name}.{code}")
    page.locator("#address").fill("salma.bennani@")
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("[name^=topics]").first.uncheck()
    send(page)
    way.stop(f"{name}_mistaken.{code}")
    page.goto(f"{site.url}/{code}/")
    page.locator("#address").fill(ADDRESSES[code])
    if many:
        for box in page.locator("[name=newsletters]").all():
            box.check()
    send(page)
    if not many:
        way.stop(f"look_in_your_mail.{code}")


def send(page: Page) -> None:
    """Press the sign-up form's button: its script asks the server something first."""
    with page.expect_navigation():
        page.locator("button").click()


def confirm(site: Site, way: Walk, code: str) -> None:
    page, links = way.page, site.parts.links
    page.goto(links.archive("hebdo", code))
    way.stop(f"archive_empty.{code}")
    page.goto(links.confirm(newest(site.parts, Request).id, at=START))
    way.stop(f"confirm.{code}")
    page.locator("button").click()
    way.stop(f"confirmed.{code}")


def publish(site: Site) -> None:
    """Fetch the articles and send an issue."""
    run_due(site.parts.postroom)
    if site.clock.now() < MONDAY:
        site.clock.move_to(MONDAY)
        run_due(site.parts.postroom)


def read(site: Site, way: Walk, code: str) -> None:
    page = way.page
    page.goto(site.parts.links.archive("hebdo", code))
    way.stop(f"archive.{code}")
    page.locator("h2 a").first.click()
    way.stop(f"issue.{code}")
    page.goto(f"{site.url}/{code}/nothing-here")
    way.stop(f"not_found.{code}")


def choose(site: Site, way: Walk, code: str) -> None:
    page, parts, links = way.page, site.parts, site.parts.links
    subscription = newest(parts, Subscription, code)
    manage = links.manage(links.manage_token(subscription.id, 0))
    page.goto(manage)
    way.stop(f"ask_preferences.{code}")
    page.locator("button").click()
    way.stop(f"preferences_mailed.{code}")
    asked = newest(parts, Request, code)
    assert asked.kind is RequestKind.PREFERENCES_LINK
    page.goto(links.preferences(asked.subscriber_id, at=site.clock.now()))
    way.stop(f"preferences.{code}")
    for box in page.locator("[type=checkbox]").all():
        box.uncheck()
    page.locator("button").click()
    way.stop(f"preferences_mistaken.{code}")
    page.locator("[type=checkbox]").nth(1).check()
    page.locator("select").nth(1).select_option("en")
    page.locator("button").click()
    way.stop(f"preferences_saved.{code}")
    page.goto(links.preferences(asked.subscriber_id, at=START))
    way.stop(f"preferences_expired.{code}")


def leave_topic(site: Site, way: Walk, code: str) -> None:
    page, links = way.page, site.parts.links
    subscription = newest(site.parts, Subscription, code)
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    page.locator("summary").click()
    way.stop(f"leave_topics.{code}")
    page.locator("details a").first.click()
    way.stop(f"topic.{code}")
    page.locator("button").click()
    way.stop(f"topic_left.{code}")


def leave_all(site: Site, way: Walk, code: str) -> None:
    page, links = way.page, site.parts.links
    page.goto(links.confirm(newest(site.parts, Request).id, at=START))
    page.locator("button").click()
    page.locator("h1").wait_for()
    subscription = newest(site.parts, Subscription, code)
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    way.stop(f"leave_one_of_two.{code}")
    page.locator("button.second").click()
    way.stop(f"left_all.{code}")


def leave(site: Site, way: Walk, code: str) -> None:
    page, parts, links = way.page, site.parts, site.parts.links
    subscription = newest(parts, Subscription, code)
    with parts.database.reading() as work:
        (only_topic,) = work.session.get_one(Choice, subscription.choice_id).topic_ids
    page.goto(f"{site.url}/topic/{links.topic_token(subscription.id, only_topic)}")
    way.stop(f"topic_last.{code}")
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    way.stop(f"leave.{code}")
    page.locator("button").click()
    way.stop(f"left.{code}")
    page.goto(f"{site.url}{page.locator('form').get_attribute('action')}")
    way.stop(f"undo.{code}")
    page.locator("button").click()
    way.stop(f"undone.{code}")
    request = newest(parts, Request, code)
    page.goto(links.confirm(request.id, at=datetime(2026, 11, 1, tzinfo=UTC)))
    way.stop(f"expired.{code}")
    page.goto(links.never(request.id))
    way.stop(f"never.{code}")
    page.locator("button").click()
    way.stop(f"never_again.{code}")
    ended = newest(parts, Subscription, code)
    page.goto(f"{site.url}/undo/{links.undo_token(ended.id, at=site.clock.now())}")
    way.stop(f"undo_too_late.{code}")


def newest(parts: Parts, table: type[T], code: str | None = None) -> T:
    """Return the last row, of the reader of this language if one is named."""
    with parts.database.work() as work:
        rows = work.session.query(table).order_by(table.id.desc()).all()
        return next(row for row in rows if code is None or row.subscriber.address == ADDRESSES[code])
