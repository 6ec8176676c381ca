"""The preferences in a real browser without JavaScript, on a narrow phone: every button does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pages import chosen, subscriptions
from playwright.sync_api import Browser, Page
from post import links_in, mails
from served import served_site

from factories import make_reader
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscriptions.models import SubscriptionState

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OLD, NEW = "salma.bennani@gmail.com", "salma@menara.ma"


@pytest.fixture
def site(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    """The parts of a site with two newsletters that is served on a free port of loopback."""
    with served_site(settings, clock, slugs=("hebdo", "second")) as parts:
        yield parts


@pytest.fixture(params=["fr", "ar"])
def phone(request: pytest.FixtureRequest, browser: Browser, site: Parts) -> Iterator[Page]:
    """A phone on which the preferences of a reader of the first newsletter are open."""
    reader = make_reader(site, OLD, languages=[request.param])
    context = browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 740})
    page = context.new_page()
    page.goto(site.links.preferences(reader.subscriber_id, at=site.clock.now()))
    yield page
    context.close()


def press(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.locator(button).click()
    page.locator("main").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_pause_is_set_by_the_one_button_and_ended_by_its_own(site: Parts, phone: Page) -> None:
    phone.locator("summary").click()
    phone.locator("[type=date]").fill("2026-12-07")
    phone.locator("[value=afresh]").check()
    with phone.expect_navigation():
        phone.locator("[type=date]").press("Enter")  # the first button of the form is the one that saves
    assert subscriptions(site)[0].paused_until is not None
    assert phone.locator("[type=date]").is_visible()
    phone.locator("[name='topics.hebdo']").first.uncheck()  # not saved: the other button is about the pause alone
    press(phone, "button[form]")
    assert subscriptions(site)[0].paused_until is None
    assert chosen(site)[0] == ["services", "regions"]
    assert phone.locator("[role=status]").is_visible()
    phone.reload()  # sends the form once more
    assert subscriptions(site)[0].paused_until is None


def test_one_tap_adds_a_newsletter(site: Parts, phone: Page) -> None:
    press(phone, ".offer button")
    assert [each.state for each in subscriptions(site)] == [SubscriptionState.ACTIVE] * 2
    assert phone.locator("form section").count() == 2
    assert not phone.locator(".offer").count()


def test_going_back_and_saving_an_old_form_takes_nothing_back(site: Parts, phone: Page) -> None:
    phone.locator("[name='topics.hebdo']").first.uncheck()
    press(phone, "form:has([name=shown]) > button")
    assert chosen(site)[0] == ["regions"]
    phone.go_back()
    phone.locator("[name='topics.hebdo']").first.check()
    phone.locator("[value=daily]").check()
    press(phone, "form:has([name=shown]) > button")
    is_fresh = phone.locator("[role=status]").is_visible()  # or the browser kept the old page, and is told so
    assert is_fresh != phone.locator("[role=alert]").is_visible()
    assert chosen(site)[0] == (["services", "regions"] if is_fresh else ["regions"])


def test_another_address_is_reached_by_links_and_two_buttons(site: Parts, phone: Page) -> None:
    with phone.expect_navigation():
        phone.locator("a[href$='/address']").click()
    phone.locator("#address").fill(NEW)
    press(phone, "main button")
    assert "s…a@menara.ma" in phone.locator("main").inner_text()
    send_due(site.postroom, lanes=TRANSACTIONAL)
    (link,) = {each for each in links_in(mails(site)[-1]) if re.search("/address/", each)}
    phone.goto(link)
    press(phone, "main button")
    assert "s…a@menara.ma" in phone.locator("main").inner_text()
    assert subscriptions(site)[0].state is SubscriptionState.ACTIVE
