"""The way of a citizen in a real browser: no JavaScript, a narrow phone, French and Arabic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pages import newest, subscriptions
from playwright.sync_api import Browser, Page
from served import served_site

from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import EndReason, Request, Subscription, SubscriptionState

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADDRESS = "salma.bennani.el-alaoui@administration.example"


@pytest.fixture
def site(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    """The parts of a site that is served on a free port of loopback."""
    with served_site(settings, clock) as parts:
        yield parts


def press(page: Page) -> None:
    """Press the page's button, and wait for what it brings."""
    with page.expect_navigation():
        page.locator("button").click()


def look(page: Page, *, language: str) -> None:
    """Check what must be true of every page that a citizen sees, once it is there: a click returns before that."""
    page.wait_for_load_state("load")
    page.locator("main").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    assert page.locator("html").get_attribute("lang") == language
    assert page.evaluate("getComputedStyle(document.body).direction") == ("rtl" if language == "ar" else "ltr")
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == (
        "19.44px" if language == "ar" else "18px"
    )
    for button in page.locator("button").all():
        assert button.bounding_box()["height"] >= 44  # type: ignore[index]


@pytest.fixture(params=[360, 320])
def phone(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": int(request.param), "height": 740})
    page = context.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if "//127.0.0.1:" not in asked.url else None)
    page.on("console", lambda said: elsewhere.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    assert not elsewhere
    assert not context.cookies()
    context.close()


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_a_citizen_signs_up_confirms_and_leaves(site: Parts, phone: Page, language: str) -> None:
    phone.goto(site.links.home(language))
    look(phone, language=language)
    phone.locator("#address").fill("salma@")
    with phone.expect_navigation():
        phone.keyboard.press("Enter")
    look(phone, language=language)
    assert phone.locator("[role=alert]").evaluate("element => element === document.activeElement")
    assert phone.locator("#address").input_value() == "salma@"
    for folded in phone.locator("summary").all():
        folded.click()
    look(phone, language=language)
    phone.locator("#address").fill(ADDRESS)
    press(phone)
    look(phone, language=language)
    assert "s…i@administration.example" in phone.locator("main").inner_text()

    phone.goto(site.links.confirm(newest(site, Request).id, at=site.clock.now()))
    look(phone, language=language)
    press(phone)
    look(phone, language=language)
    (reader,) = subscriptions(site)
    assert reader.state is SubscriptionState.ACTIVE

    phone.goto(site.links.preferences(reader.subscriber_id, at=site.clock.now()))
    look(phone, language=language)
    phone.locator("[type=checkbox]").first.uncheck()
    press(phone)
    look(phone, language=language)
    assert phone.locator("[role=status]").is_visible()

    phone.goto(site.links.archive("hebdo", language))
    look(phone, language=language)
    phone.goto(site.links.unsubscribe(site.links.unsubscribe_token(newest(site, Subscription).id, 0)))
    look(phone, language=language)
    press(phone)
    look(phone, language=language)
    (gone,) = subscriptions(site)
    assert (gone.state, gone.end_reason) == (SubscriptionState.ENDED, EndReason.PAGE)


def test_the_keyboard_reaches_everything_and_focus_is_seen(site: Parts, phone: Page) -> None:
    phone.goto(site.links.home("fr"))
    reached = []
    for _ in range(40):
        phone.keyboard.press("Tab")
        focused = phone.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element);
                return [element.tagName, element.name || element.getAttribute("href") || "",
                        style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if focused[0] == "BODY":
            break
        reached.append(focused)
    assert reached[0][:2] == ["A", "#content"]
    assert {"address", "language"} <= {name for _, name, *_ in reached}
    assert reached[-1][0] == "A"  # the contact in the legal line, after the button
    assert "BUTTON" in {tag for tag, *_ in reached}
    assert all(style == "solid" and width >= 3 for _, _, style, width in reached)


def test_what_a_finger_presses_is_large_enough(site: Parts, phone: Page) -> None:
    phone.goto(site.links.home("ar"))
    for folded in phone.locator("summary").all():
        folded.click()
    for choice in phone.locator("label.choice:visible, summary").all():
        assert choice.bounding_box()["height"] >= 44  # type: ignore[index]
    for link in phone.locator("header a").all():
        assert link.bounding_box()["height"] >= 24  # type: ignore[index]
