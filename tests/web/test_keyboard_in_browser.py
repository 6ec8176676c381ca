"""A citizen with nothing but a keyboard: signs up, confirms, chooses, leaves and takes it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from newsletter.subscriptions.models import Request, Subscription, SubscriptionState
from scripts.walk_pages import START, Site, launched, newest, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADDRESS = "salma@example.org"
MOST_TABS = 40
SAME_LINE = 40  # pixels
FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
    return {
        is_seen: style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 3,
        is_on_screen: box.bottom > 0 && box.top < innerHeight && box.width > 1,
        top: box.top + scrollY,
        html: element.outerHTML.slice(0, 80),
    };
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(1) as site:
        yield site


@pytest.fixture
def phone() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser.new_page(viewport={"width": 360, "height": 740})
        browser.close()


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until an element that matches has the focus; on the way it is always seen, and moves downwards."""
    top = 0.0
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["is_seen"], focused
        assert focused["is_on_screen"], focused
        assert focused["top"] >= top - SAME_LINE, focused
        top = focused["top"]
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    pytest.fail(f"no Tab leads to {wanted}")


def press(page: Page, key: str) -> None:
    """Press the button that has the focus, and wait for what it brings."""
    with page.expect_navigation():
        page.keyboard.press(key)


@pytest.mark.parametrize("code", ["fr", "ar"])
def test_the_whole_way_needs_no_pointer(site: Site, phone: Page, code: str) -> None:
    links = site.parts.links
    phone.goto(f"{site.url}/{code}/")
    tab_to(phone, "#address")
    phone.keyboard.type(ADDRESS)
    tab_to(phone, "summary")
    phone.keyboard.press("Enter")
    tab_to(phone, "[name^=topics]")
    phone.keyboard.press("Space")
    tab_to(phone, "[name=language]")
    before = phone.locator("[name=language]:checked").get_attribute("value")
    phone.keyboard.press("ArrowDown")
    assert phone.locator("[name=language]:checked").get_attribute("value") != before
    phone.keyboard.press("ArrowUp")
    assert phone.locator("[name=language]:checked").get_attribute("value") == before == code
    tab_to(phone, "button")
    press(phone, "Enter")
    assert "s…a@example.org" in phone.locator("main").inner_text()

    phone.goto(links.confirm(newest(site.parts, Request).id, at=START))
    tab_to(phone, "button")
    press(phone, "Space")
    reader = newest(site.parts, Subscription)
    assert reader.state is SubscriptionState.ACTIVE

    phone.goto(links.preferences(reader.subscriber_id, at=START))
    tab_to(phone, "[name^=topics]")
    assert not phone.locator("[name^=topics]").first.is_checked()
    phone.keyboard.press("Space")
    tab_to(phone, "select[name$='.2']")
    while (second := phone.locator("select[name$='.2']").input_value()) in ("", code):
        phone.keyboard.press("ArrowDown")
    tab_to(phone, "summary")
    phone.keyboard.press("Space")
    tab_to(phone, "[type=date]")
    tab_to(phone, "button")
    press(phone, "Enter")
    assert phone.locator("[role=status]").is_visible()
    assert phone.locator("[name^=topics]").first.is_checked()
    assert phone.locator("select[name$='.2']").input_value() == second

    phone.goto(links.unsubscribe(links.unsubscribe_token(newest(site.parts, Subscription).id, 0)))
    tab_to(phone, "button")
    press(phone, "Enter")
    assert newest(site.parts, Subscription).state is SubscriptionState.ENDED
    tab_to(phone, "button")
    press(phone, "Enter")
    back = newest(site.parts, Subscription)
    assert (back.state, back.id > reader.id) == (SubscriptionState.ACTIVE, True)


def test_the_first_tab_leads_past_the_header_and_a_mistake_is_met_first(site: Site, phone: Page) -> None:
    phone.goto(f"{site.url}/fr/")
    tab_to(phone, ".skip")
    phone.keyboard.press("Enter")
    assert phone.evaluate("document.activeElement.id") == "content"
    tab_to(phone, "#address")
    press(phone, "Enter")
    assert phone.evaluate("document.activeElement.getAttribute('role')") == "alert"
    tab_to(phone, "[href='#address']")
    phone.keyboard.press("Enter")
    assert phone.evaluate("document.activeElement.id") == "address"
