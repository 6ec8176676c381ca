"""axe-core finds nothing on any page: every language, desktop and phone, light and dark, with and without scripts."""

from __future__ import annotations

from collections import Counter

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from scripts.walk_pages import ADDRESSES, launched, walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = (1280, 320)
COLOURS_ONLY = {"runOnly": ["color-contrast", "link-in-text-block"]}
FEWEST_PAGES = 22


def found_on(page: Page, axe: Axe, options: dict[str, object] | None = None) -> list[str]:
    """Return what axe finds, a line each."""
    violations = axe.run(page, options=options).response["violations"]
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:120]}" for each in violations]


@pytest.mark.parametrize("scripts", ["with scripts", "without scripts"])
@pytest.mark.parametrize("language", list(ADDRESSES))
def test_nothing_keeps_anybody_from_using_a_page(language: str, scripts: str) -> None:
    axe, findings, visited = Axe(), [], Counter[str]()

    def look(page: Page, name: str) -> None:
        visited[name] += 1
        for width in WIDTHS if scripts == "with scripts" else WIDTHS[1:]:
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                options = None if scheme == "light" else COLOURS_ONLY
                findings.extend(f"{name} {width} {scheme}: {each}" for each in found_on(page, axe, options))

    with sync_playwright() as playwright:
        browser = launched(playwright)
        walk(browser, look, [language], has_scripts=scripts == "with scripts")
        browser.close()
    assert findings == []
    assert len(visited) >= FEWEST_PAGES, sorted(visited)


def test_axe_would_find_a_field_without_its_label() -> None:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page()
        page.set_content("<!doctype html><html lang=fr><title>x</title><main><h1>x</h1><input></main>")
        assert any(each.startswith("label:") for each in found_on(page, Axe()))
        browser.close()
