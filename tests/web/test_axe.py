"""axe-core finds nothing on any page: every language, desktop and phone, light and dark, with and without scripts."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, template_rendered
from jinja2 import Template
from playwright.sync_api import Page, sync_playwright
from werkzeug.routing import Rule

from newsletter.base.resources import resource
from scripts.walk_pages import ADDRESSES, launched, walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = (1280, 320)
COLOURS_ONLY = {"runOnly": ["color-contrast", "link-in-text-block"]}
TEMPLATES = resource("templates") / "web"
OF_PROGRAMS = {"static", "asking.challenge", "health.healthz", "theme.sheet", "theme.picture", "own_data.export"}
ONLY_LEAD_ON = {"signup.root", "signup.back_to_form"}


def found_on(page: Page, axe: Axe, options: dict[str, object] | None = None) -> list[str]:
    """Return what axe finds, a line each."""
    violations = axe.run(page, options=options).response["violations"]
    return [f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:120]}" for each in violations]


@pytest.mark.parametrize("newsletters", [1, 2])
@pytest.mark.parametrize("scripts", ["with scripts", "without scripts"])
@pytest.mark.parametrize("language", list(ADDRESSES))
def test_nothing_keeps_anybody_from_using_a_page(language: str, scripts: str, newsletters: int) -> None:
    axe, findings = Axe(), []
    has_scripts = scripts == "with scripts"

    def look(page: Page, name: str) -> None:
        if not has_scripts and not page.locator("script").count():
            return  # it is the same page as with scripts
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme="light")
            findings.extend(f"{name} {width} light: {each}" for each in found_on(page, axe))
        page.emulate_media(color_scheme="dark")
        findings.extend(f"{name} dark: {each}" for each in found_on(page, axe, COLOURS_ONLY))

    with sync_playwright() as playwright:
        browser = launched(playwright)
        walk(browser, look, [language], has_scripts=has_scripts, sites=[newsletters])
        browser.close()
    assert findings == []


def has_page(rule: Rule) -> bool:
    """Say whether a route answers a person's GET with a page of its own."""
    endpoint = str(rule.endpoint)
    is_other_spelling = endpoint.startswith("leaving.ask_") and endpoint[-1].isdigit()
    is_read = "GET" in (rule.methods or ()) and not endpoint.startswith("api.")
    return is_read and not is_other_spelling and endpoint not in OF_PROGRAMS | ONLY_LEAD_ON


def test_the_walk_stops_at_every_page_there_is(app: Flask) -> None:
    rendered, shown, endpoints, statuses = [""], set[str](), set[str](), set[int]()
    adapter = app.url_map.bind("localhost")

    def note(_sender: Flask, template: Template, **_context: object) -> None:
        if str(template.name).endswith(".html"):
            rendered[0] = str(template.name)

    def look(page: Page, _name: str) -> None:
        shown.add(rendered[0])
        path = page.evaluate("location.pathname")
        for method in ("GET", "POST"):
            if adapter.test(path, method):
                endpoints.add(adapter.match(path, method)[0])
        statuses.add(page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus"))

    with template_rendered.connected_to(note), sync_playwright() as playwright:
        browser = launched(playwright)
        walk(browser, look, ["fr"])
        browser.close()
    files = {f"{path.parent.name}/{path.name}" for path in TEMPLATES.glob("*/*.html")}
    pages = {each for each in files if each.startswith(("public/", "archive/", "embed/framed"))}
    assert shown == pages
    assert endpoints >= {str(rule.endpoint) for rule in app.url_map.iter_rules() if has_page(rule)}
    assert statuses >= {200, 400, 404, 409, 410, 429, 503}


def test_axe_would_find_a_field_without_its_label() -> None:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page()
        page.set_content("<!doctype html><html lang=fr><title>x</title><main><h1>x</h1><input></main>")
        assert any(each.startswith("label:") for each in found_on(page, Axe()))
        browser.close()
