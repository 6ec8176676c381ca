"""Nothing is lost, small or moving where people enlarge, space out or touch: every page, both directions."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, sync_playwright

from scripts.walk_pages import launched, walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"width": 360, "height": 740}
HALF = {"width": 640, "height": 400}  # what is left of 1280 × 800 at 200 %
SPACED_OUT = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important } p { margin-block-end: 2em !important }`);
    document.adoptedStyleSheets = [sheet];
}"""  # WCAG 2.2, 1.4.12
LOST = """() => [...document.querySelectorAll("body, main, main *, .law *, .letterhead *")].filter(element => {
    const style = getComputedStyle(element);
    if (element.closest(".hidden, .skip, [hidden]") || style.display === "inline" || !element.clientWidth) return false;
    const is_higher = element.scrollHeight > element.clientHeight + 1;
    return element.scrollWidth > element.clientWidth + 1 || (is_higher && /BUTTON|SUMMARY/.test(element.tagName));
}).map(element => element.outerHTML.slice(0, 120))"""
PRESSED = "a, button, summary, select, input:not([type=hidden])"
SMALL = """pressed => [...document.querySelectorAll(pressed)].filter(element => {
    if (!element.checkVisibility() || element.closest(".hidden, .skip, [hidden]")) return false;
    const stands_in_text = element.tagName === "A" && getComputedStyle(element).display === "inline"
        && element.parentElement.innerText.trim() !== element.innerText.trim();
    const height = (element.closest("label") || element).getBoundingClientRect().height;
    const alone = element.tagName === "A" && element.parentElement.innerText.trim() === element.innerText.trim();
    const room = alone ? Math.max(height, element.parentElement.getBoundingClientRect().height) : height;
    const is_button = /BUTTON|SUMMARY/.test(element.tagName) || element.matches(".button, .choice *");
    return !stands_in_text && room < (is_button ? 43.9 : 24);
}).map(element => element.outerHTML.slice(0, 120))"""
MOVING = """() => [document.documentElement, ...document.querySelectorAll("body *")].filter(element => {
    const style = getComputedStyle(element);
    const is_animated = style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
    return style.scrollBehavior !== "auto" || is_animated;
}).map(element => element.outerHTML.slice(0, 120))"""
IS_WIDER = "document.documentElement.scrollWidth > innerWidth"


@pytest.mark.parametrize("code", ["fr", "ar"])
def test_nothing_is_lost_on_any_page(code: str) -> None:
    findings: list[str] = []

    def note(name: str, what: str, found: list[str]) -> None:
        findings.extend(f"{name} {what}: {each}" for each in found)

    def look(page: Page, name: str) -> None:
        page.set_viewport_size(HALF)
        note(name, "at 200 %", ["is wider"] * page.evaluate(IS_WIDER) + page.evaluate(LOST))
        page.set_viewport_size(PHONE)
        note(name, "is too small", page.evaluate(SMALL, PRESSED))
        if name.startswith("sign_up."):
            box = page.locator("button").bounding_box()
            assert box is not None
            note(name, "on one screen", ["the button is not"] * (box["y"] + box["height"] > PHONE["height"]))
        note(name, "moves", page.evaluate(MOVING))
        page.evaluate(SPACED_OUT)
        note(name, "spaced out", ["is wider"] * page.evaluate(IS_WIDER) + page.evaluate(LOST))
        page.evaluate("document.adoptedStyleSheets = []")

    with sync_playwright() as playwright:
        browser = launched(playwright)
        walk(browser, look, [code])
        browser.close()
    assert findings == []


def test_the_measures_find_what_they_look_for() -> None:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page(viewport=PHONE)
        page.set_content(
            """<!doctype html><main style="scroll-behavior: smooth">
            <p><button style="height: 30px; padding: 0">Go</button>
            <p><a href="#" style="font-size: 10px">x</a>
            <div style="width: 80px; overflow: hidden; white-space: nowrap">What does not fit, and is cut</div>"""
        )
        assert len(page.evaluate(SMALL, PRESSED)) == 2
        assert [each[:4] for each in page.evaluate(LOST)] == ["<div"]
        assert [each[:5] for each in page.evaluate(MOVING)] == ["<main"]
        browser.close()
