"""Draw the public pages as pictures: python scripts/screenshot_pages.py FOLDER.

A site with one newsletter and one with two are filled with the demo's articles, and a browser walks through them in
French and Arabic (sign-up also in English); each page is drawn 1280, 360 and 320 pixels wide, light and dark.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import Page, sync_playwright
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
from newsletter.subscriptions.models import Request, RequestKind, Subscription
from newsletter.web.app import create_app

SAMPLES = resource("templates").parent / "newsletter" / "demo" / "site"
CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = (1280, 360, 320)
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
class Camera:
    """Draws what a browser shows, in every width and scheme."""

    page: Page
    folder: Path

    def draw(self, name: str) -> None:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                self.page.set_viewport_size({"width": width, "height": 740 if width < 400 else 860})
                self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                self.page.screenshot(path=self.folder / f"{name}.{width}.{scheme}.png", full_page=True)
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                print(f"{name} is wider than {width} pixels")


def main(folder: Path) -> None:
    """Draw every page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        own = CHROMIUM if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        for newsletters in (1, 2):
            with serving(newsletters) as site:
                cameras = {code: Camera(browser.new_page(locale=code), folder) for code in ADDRESSES}
                for code, camera in cameras.items():
                    sign_up(site, camera, code, many=newsletters > 1)
                    if newsletters == 1:
                        confirm(site, camera, code)
                if newsletters == 1:
                    publish(site)
                    for code in ("fr", "ar"):
                        read(site, cameras[code], code)
                        choose(site, cameras[code], code)
                        leave(site, cameras[code], code)
                for camera in cameras.values():
                    camera.page.close()
        browser.close()


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


def sign_up(site: Site, camera: Camera, code: str, *, many: bool) -> None:
    """Draw the form: empty, with something missing, and the page after it."""
    page, name = camera.page, "sign_up_to_one_of_two" if many else "sign_up"
    page.goto(f"{site.url}/{code}/")
    camera.draw(f"{name}.{code}")
    page.locator("#address").fill("salma.bennani@")
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("[name^=topics]").first.uncheck()
    page.locator("button").click()
    camera.draw(f"{name}_mistaken.{code}")
    page.goto(f"{site.url}/{code}/")
    page.locator("#address").fill(ADDRESSES[code])
    if many:
        for box in page.locator("[name=newsletters]").all():
            box.check()
    page.locator("button").click()
    if not many:
        camera.draw(f"look_in_your_mail.{code}")


def confirm(site: Site, camera: Camera, code: str) -> None:
    page, links = camera.page, site.parts.links
    page.goto(links.archive("hebdo", code))
    camera.draw(f"archive_empty.{code}")
    page.goto(links.confirm(newest(site.parts, Request).id, at=START))
    camera.draw(f"confirm.{code}")
    page.locator("button").click()
    camera.draw(f"confirmed.{code}")


def publish(site: Site) -> None:
    """Fetch the articles and send the first issue."""
    run_due(site.parts.postroom)
    site.clock.move_to(MONDAY)
    run_due(site.parts.postroom)


def read(site: Site, camera: Camera, code: str) -> None:
    page = camera.page
    page.goto(site.parts.links.archive("hebdo", code))
    camera.draw(f"archive.{code}")
    page.locator("h2 a").first.click()
    camera.draw(f"issue.{code}")
    page.goto(f"{site.url}/{code}/nothing-here")
    camera.draw(f"not_found.{code}")


def choose(site: Site, camera: Camera, code: str) -> None:
    page, parts, links = camera.page, site.parts, site.parts.links
    subscription = newest(parts, Subscription, code)
    manage = links.manage(links.manage_token(subscription.id, 0))
    page.goto(manage)
    camera.draw(f"ask_preferences.{code}")
    page.locator("button").click()
    camera.draw(f"preferences_mailed.{code}")
    asked = newest(parts, Request, code)
    assert asked.kind is RequestKind.PREFERENCES_LINK
    page.goto(links.preferences(asked.subscriber_id, at=site.clock.now()))
    camera.draw(f"preferences.{code}")
    for box in page.locator("[type=checkbox]").all():
        box.uncheck()
    page.locator("button").click()
    camera.draw(f"preferences_mistaken.{code}")
    page.locator("[type=checkbox]").nth(1).check()
    page.locator("select").nth(1).select_option("en")
    page.locator("button").click()
    camera.draw(f"preferences_saved.{code}")
    page.goto(links.preferences(asked.subscriber_id, at=START))
    camera.draw(f"preferences_expired.{code}")


def leave(site: Site, camera: Camera, code: str) -> None:
    page, parts, links = camera.page, site.parts, site.parts.links
    subscription = newest(parts, Subscription, code)
    page.goto(links.unsubscribe(links.unsubscribe_token(subscription.id, 0)))
    camera.draw(f"leave.{code}")
    page.locator("button").click()
    camera.draw(f"left.{code}")
    request = newest(parts, Request, code)
    page.goto(links.confirm(request.id, at=datetime(2026, 11, 1, tzinfo=UTC)))
    camera.draw(f"expired.{code}")
    page.goto(links.never(request.id))
    camera.draw(f"never.{code}")
    page.locator("button").click()
    camera.draw(f"never_again.{code}")


def newest(parts: Parts, table: type[T], code: str | None = None) -> T:
    """Return the last row, of the reader of this language if one is named."""
    with parts.database.work() as work:
        rows = work.session.query(table).order_by(table.id.desc()).all()
        return next(row for row in rows if code is None or row.subscriber.address == ADDRESSES[code])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
