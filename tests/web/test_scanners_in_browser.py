"""A mail scanner with a real browser follows every link of every mail, and the links of where it lands.

Nothing happens. Then a person presses one button on each page, and it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from pages import everything, subscriptions
from playwright.sync_api import Browser, BrowserContext, Page
from post import links_in, mails, one_of_each
from served import served_site

from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.subscriptions.models import Subscription, SubscriptionState

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TIMES = 3
KINDS = {"confirm", "never", "u", "p", "preferences", "topic"}


@pytest.fixture
def scanner(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that runs scripts and goes nowhere but to us."""
    context = browser.new_context(java_script_enabled=True)
    context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", lambda route: route.abort())
    yield context
    context.close()


@pytest.fixture
def site(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    """A site on a free port of loopback that sent every kind of mail."""
    # A second one, so that the pages offer to leave everything, too.
    with served_site(settings, clock, slugs=("hebdo", "second")) as parts:
        yield parts


@pytest.fixture
def reader(site: Parts, clock: SetClock) -> Subscription:
    return one_of_each(site, clock, "salma@example.org", language="ar")


def ours(site: Parts, *, within: list[str]) -> list[str]:
    whole = (urldefrag(link).url for link in within)
    return [link for link in dict.fromkeys(whole) if link.startswith(site.links.base_url)]


def mailed(site: Parts) -> list[str]:
    """Return every link of ours in every mail."""
    assert isinstance(site.backend, MemoryBackend)
    found = mails(site)
    assert len(found) == 4  # digest, confirmation, already_subscribed, preferences_link
    return ours(site, within=[link for mail in found for link in links_in(mail)])


def purpose(link: str) -> str:
    return urlsplit(link).path.strip("/").partition("/")[0]


def scan(page: Page, link: str, *, until: Literal["load", "networkidle"] = "networkidle") -> list[str]:
    """Open a page as a scanner does, let its scripts run, look at all of it; returns the links on it."""
    answer = page.goto(link)
    assert answer is not None
    assert answer.status < 500, link
    page.wait_for_load_state(until)
    for folded in page.locator("summary").all():
        folded.evaluate("element => { element.parentElement.open = true }")
    page.mouse.wheel(0, 2000)
    return [urljoin(link, each) for each in page.locator("a").evaluate_all("all => all.map(a => a.href)")]


def test_a_scanner_that_follows_everything_changes_no_row(
    site: Parts, reader: Subscription, scanner: BrowserContext
) -> None:
    links = mailed(site)
    assert {purpose(link) for link in links} >= KINDS - {"topic"}
    page, before = scanner.new_page(), everything(site)
    further: dict[str, None] = {}
    for time in range(TIMES):
        until: Literal["load", "networkidle"] = "networkidle" if time == 0 else "load"  # once scripts have their say
        for link in links:
            further |= dict.fromkeys(ours(site, within=scan(page, link, until=until)))
        for link in further:
            scan(page, link, until=until)
        for link in {*links, *further}:
            assert scanner.request.head(link).status < 500
    assert {purpose(link) for link in {*links, *further}} >= KINDS
    assert everything(site) == before
    assert not scanner.cookies()


def press(page: Page) -> None:
    """Press the page's first button: one tap."""
    with page.expect_navigation():
        page.locator("main button").first.click()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_person_needs_one_tap(site: Parts, reader: Subscription, scanner: BrowserContext, kind: str) -> None:
    page = scanner.new_page()
    links = mailed(site)
    if kind == "topic":
        (way_out,) = {link for link in links if purpose(link) == "u"}
        links = scan(page, way_out)
    page.goto(next(link for link in links if purpose(link) == kind))
    before = everything(site)
    press(page)
    assert page.locator("h1").is_visible()
    after = everything(site)
    changed = {name for name in before if before[name] != after[name]}
    expected = {
        "confirm": "subscription",
        "never": "suppression",
        "u": "subscription",
        "p": "request",
        "preferences": None,
        "topic": "choice",
    }[kind]
    assert expected is None or expected in changed


def test_who_left_by_one_tap_is_back_by_one_more(site: Parts, reader: Subscription, scanner: BrowserContext) -> None:
    page = scanner.new_page()
    page.goto(next(link for link in mailed(site) if purpose(link) == "u"))
    press(page)
    before = everything(site)
    undo = page.locator("main form").get_attribute("action")
    looking = scanner.new_page()
    for _ in range(TIMES):
        scan(looking, f"{site.links.base_url}{undo}")
        assert scanner.request.head(f"{site.links.base_url}{undo}").status == 200
    assert everything(site) == before
    press(page)
    mine = [each.state for each in subscriptions(site) if each.subscriber_id == reader.subscriber_id]
    assert mine == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]
