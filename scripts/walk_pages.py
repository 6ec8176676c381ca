"""Walk through every public page in a browser, as a citizen comes to it, and stop at each.

Whoever calls says what is done at a stop: drawing it, or looking for what keeps people from using it.
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
from sqlalchemy import text, update
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
from newsletter.subscriptions.models import Choice, Request, RequestKind, SignUpCount, Subscription
from newsletter.web.app import create_app

SAMPLES = resource("templates").parent / "newsletter" / "demo" / "site"
CHROMIUM = Path("/usr/bin/chromium")
T = TypeVar("T", Request, Subscription)
KEY = "only-for-pictures-only-for-pictures-only"
MONDAY = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
START = datetime(2026, 11, 16, 10, tzinfo=UTC)
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
COMES_FROM = {"X-Forwarded-For": "203.0.113.7"}
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
    code: str


def walk(
    browser: Browser,
    stop: Callable[[Page, str], None],
    languages: Sequence[str] = tuple(ADDRESSES),
    *,
    has_scripts: bool = True,
    sites: Sequence[int] = (1, 2),
) -> None:
    """Visit every page in these languages, in a context of its own for each; without scripts ours do not arrive.

    `sites` are the sites to visit, each by its number of newsletters.
    """
    for newsletters in sites:
        with serving(newsletters) as site:
            ways = []
            for code in languages:
                page = browser.new_context(locale=code, extra_http_headers=COMES_FROM).new_page()
                if not has_scripts:
                    page.route("**/*.js*", lambda route: route.abort())
                ways.append(Walk(page, partial(stop, page), code))
            for way in ways:
                sign_up(site, way, many=newsletters > 1)
                confirm(site, way, many=newsletters > 1)
            publish(site)
            for step in STEPS[newsletters]:
                for way in ways:
                    step(site, way)
            for way in ways:
                way.page.context.close()


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
            {}, home=Path(home), base_url=url, mail_url="memory://", secret_keys=KEY, address_key=KEY, proxies=1
        )
        clock = SetClock(START)
        parts = build(settings, clock=clock)
        fill(parts, Path(home), newsletters)
        server = create_server(create_app(parts), sockets=[listening], clear_untrusted_proxy_headers=False)
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
        promises={"fr": "Les appels d’offres, le jour de leur publication.", "ar": "طلبات العروض، يوم نشرها."},
        institution=other.institution,
        cndp_reference=other.cndp_reference,
        mail_domain=other.mail_domain,
        languages=("fr", "ar"),
        accent="#7A3E00",
        topics=[NewTopic("travaux", {"fr": "Travaux", "ar": "الأشغال"})],
        rhythms=[NewRhythm(Frequency.DAILY, at=time(7, 30)), NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0)],
    )


def sign_up(site: Site, way: Walk, *, many: bool) -> None:
    """Stop at the form: empty, with something missing, and at the page after it."""
    page, code, name = way.page, way.code, "sign_up_to_one_of_two" if many else "sign_up"
    page.goto(f"{site.url}/{code}/")
    way.stop(f"{name}.{code}")
    page.locator("#address").fill("salma.bennani@")
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("[name^=topics]").first.uncheck()
    press(page)
    way.stop(f"{name}_mistaken.{code}")
    page.goto(f"{site.url}/{code}/")
    page.locator("#address").fill(ADDRESSES[code])
    if many:
        page.locator("[name=newsletters]").first.check()
    press(page)
    if many:
        return
    way.stop(f"look_in_your_mail.{code}")
    page.goto(f"{site.url}/{code}/embed")
    way.stop(f"frame.{code}")
    page.locator("#address").fill(ADDRESSES[code])
    press(page)
    way.stop(f"frame_answer.{code}")


def press(page: Page, button: str = "button:not(.second)") -> None:
    """Press the page's button, and wait for what it brings: a script may ask the server something first."""
    with page.expect_navigation():
        page.locator(button).first.click()


def confirm(site: Site, way: Walk, *, many: bool) -> None:
    page, code, links = way.page, way.code, site.parts.links
    if not many:
        page.goto(links.archive("hebdo", code))
        way.stop(f"archive_empty.{code}")
    link = links.confirm(newest(site.parts, Request).id, at=START)
    page.goto(link)
    if not many:
        way.stop(f"confirm.{code}")
    press(page)
    if not many:
        way.stop(f"confirmed.{code}")
        page.goto(link)
        way.stop(f"confirmed_before.{code}")


def publish(site: Site) -> None:
    run_due(site.parts.postroom)
    site.clock.move_to(MONDAY)
    run_due(site.parts.postroom)


def read(site: Site, way: Walk) -> None:
    page, code = way.page, way.code
    page.goto(site.parts.links.archive("hebdo", code))
    way.stop(f"archive.{code}")
    page.locator("h2 a").first.click()
    way.stop(f"issue.{code}")
    page.goto(f"{site.url}/{code}/nothing-here")
    way.stop(f"not_found.{code}")
    page.goto(f"{site.url}/confirm/{'a' * 40}?{code}")
    way.stop(f"link_not_complete.{code}")


def leave_topic(site: Site, way: Walk) -> None:
    page, code, links = way.page, way.code, site.parts.links
    subscription = newest(site.parts, Subscription, code)
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    page.locator("summary").click()
    way.stop(f"leave_topics.{code}")
    page.locator("details a").first.click()
    way.stop(f"topic.{code}")
    press(page)
    way.stop(f"topic_left.{code}")


def ask_preferences(site: Site, way: Walk) -> None:
    page, code, links = way.page, way.code, site.parts.links
    subscription = newest(site.parts, Subscription, code)
    page.goto(links.manage(links.manage_token(subscription.id, 0)))
    way.stop(f"ask_preferences.{code}")
    press(page)
    way.stop(f"preferences_mailed.{code}")
    assert newest(site.parts, Request, code).kind is RequestKind.PREFERENCES_LINK
    page.goto(f"{site.url}/{code}/preferences")
    way.stop(f"preferences_by_address.{code}")
    page.locator("#address").fill("salma.bennani")
    press(page)
    way.stop(f"preferences_by_address_mistaken.{code}")
    page.locator("#address").fill(ADDRESSES[code])
    press(page)
    way.stop(f"preferences_mailed_if_known.{code}")


def choose(site: Site, way: Walk) -> None:
    page, code = way.page, way.code
    page.goto(opened(site, way))
    way.stop(f"preferences.{code}")
    for box in page.locator("[name^=topics]").all():
        box.uncheck()
    press(page)
    way.stop(f"preferences_mistaken.{code}")
    page.locator("[name^=topics]").nth(1).check()
    page.locator("select").nth(1).select_option("en" if code != "en" else "fr")
    press(page)
    way.stop(f"preferences_saved.{code}")
    page.locator("[name^=seen]").evaluate("field => { field.value = 'another' }")
    page.locator("[name^=topics]").nth(2).check()
    press(page)
    way.stop(f"preferences_stale.{code}")
    page.locator("summary").click()
    page.locator("[type=date]").fill("2026-12-14")
    press(page)
    way.stop(f"preferences_paused.{code}")
    press(page, "button.second")
    page.goto(opened(site, way, late=True))
    way.stop(f"preferences_expired.{code}")


def leave(site: Site, way: Walk) -> None:
    page, code, parts, links = way.page, way.code, site.parts, site.parts.links
    subscription = newest(parts, Subscription, code)
    with parts.database.reading() as work:
        (only_topic,) = work.session.get_one(Choice, subscription.choice_id).topic_ids
    page.goto(f"{site.url}/topic/{links.topic_token(subscription.id, only_topic)}")
    way.stop(f"topic_last.{code}")
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    way.stop(f"leave.{code}")
    press(page)
    way.stop(f"left.{code}")
    page.goto(f"{site.url}{page.locator('form').get_attribute('action')}")
    way.stop(f"undo.{code}")
    press(page)
    way.stop(f"undone.{code}")
    request = newest(parts, Request, code)
    page.goto(links.confirm(request.id, at=LONG_AGO))
    way.stop(f"expired.{code}")
    page.goto(links.never(request.id))
    way.stop(f"never.{code}")
    press(page)
    way.stop(f"never_again.{code}")
    ended = newest(parts, Subscription, code)
    page.goto(f"{site.url}/undo/{links.undo_token(ended.id, at=site.clock.now())}")
    way.stop(f"undo_too_late.{code}")


def change_address(site: Site, way: Walk) -> None:
    page, code, links = way.page, way.code, site.parts.links
    page.goto(opened(site, way))
    way.stop(f"preferences_with_offer.{code}")
    press(page, ".offer button")
    way.stop(f"preferences_of_two.{code}")
    page.goto(f"{opened(site, way)}/address")
    way.stop(f"new_address.{code}")
    page.locator("#address").fill(ADDRESSES[code])
    press(page)
    way.stop(f"new_address_mistaken.{code}")
    links_mailed = []
    for which in ("other", "new"):
        page.goto(f"{opened(site, way)}/address")
        page.locator("#address").fill(f"{which}.{ADDRESSES[code]}")
        press(page)
        asked = newest(site.parts, Request, code)
        links_mailed.append(links.change_address_with(links.change_address_token(asked.id, at=site.clock.now())))
    way.stop(f"new_address_mailed.{code}")
    page.goto(links_mailed[0])
    way.stop(f"address_kept.{code}")
    page.goto(links.change_address_with(links.change_address_token(asked.id, at=LONG_AGO)))
    way.stop(f"new_address_expired.{code}")
    page.goto(links_mailed[1])
    way.stop(f"confirm_address.{code}")
    press(page)
    way.stop(f"address_changed.{code}")


def leave_all(site: Site, way: Walk) -> None:
    page, code, links = way.page, way.code, site.parts.links
    subscription = newest(site.parts, Subscription, code)
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    way.stop(f"leave_one_of_two.{code}")
    press(page, "button.second")
    way.stop(f"left_all.{code}")
    page.goto(f"{site.url}{page.locator('form').get_attribute('action')}")
    way.stop(f"undo_all.{code}")
    press(page)


def erase(site: Site, way: Walk) -> None:
    page, code, links = way.page, way.code, site.parts.links
    subscription = newest(site.parts, Subscription, code)
    page.goto(f"{opened(site, way)}/data")
    way.stop(f"own_data.{code}")
    page.goto(f"{opened(site, way)}/erase")
    way.stop(f"own_data_erase.{code}")
    press(page)
    way.stop(f"own_data_erased.{code}")
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)) + f"?{code}")
    way.stop(f"nothing_kept.{code}")


def be_refused(site: Site, way: Walk) -> None:
    page, code = way.page, way.code
    for _ in range(2):  # the first is counted, as if it were very many
        page.goto(f"{site.url}/{code}/")
        page.locator("#address").fill(ADDRESSES[code])
        page.locator("[name=newsletters]").first.check()
        press(page)
        with site.parts.database.work() as work:
            work.session.execute(update(SignUpCount).values(count=10 * site.parts.settings.sign_ups_in_all))
    way.stop(f"too_many.{code}")


def be_failed(site: Site, way: Walk) -> None:
    with site.parts.database.work() as work:
        work.session.execute(text("ALTER TABLE newsletter RENAME TO elsewhere"))
    way.page.goto(f"{site.url}/{way.code}/")
    way.stop(f"failed.{way.code}")
    with site.parts.database.work() as work:
        work.session.execute(text("ALTER TABLE elsewhere RENAME TO newsletter"))


STEPS: dict[int, Sequence[Callable[[Site, Walk], None]]] = {
    1: (read, leave_topic, ask_preferences, choose, leave),
    2: (change_address, leave_all, erase, be_refused, be_failed),
}


def opened(site: Site, way: Walk, *, late: bool = False) -> str:
    """Return the link to somebody's preferences, good or from long ago."""
    at = LONG_AGO if late else site.clock.now()
    return site.parts.links.preferences(newest(site.parts, Subscription, way.code).subscriber_id, at=at)


def newest(parts: Parts, table: type[T], code: str | None = None) -> T:
    """Return the last row, of the reader of this language if one is named."""
    with parts.database.work() as work:
        rows = work.session.query(table).order_by(table.id.desc()).all()
        return next(row for row in rows if code is None or (row.subscriber.address or "").endswith(ADDRESSES[code]))
