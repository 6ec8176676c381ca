"""What a screen reader, a keyboard and a small finger need, as far as markup shows it (WCAG 2.2 AA)."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from flask.testing import FlaskClient
from pages import Page, newest, path, press, read

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.languages import LANGUAGES
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Request

LABELLED = {"text", "email", "date", "checkbox", "radio"}


@pytest.fixture(params=list(LANGUAGES))
def pages(request: pytest.FixtureRequest, client: FlaskClient, parts: Parts, clock: SetClock) -> dict[str, Page]:
    """Every page in one language."""
    code, links = str(request.param), parts.links
    make_newsletter(parts, slug="second")
    ask(parts, "youssef@example.org", languages=[code])
    asked = newest(parts, Request)
    reader = make_reader(parts, "salma@example.org", languages=[code])
    found = {
        name: client.get(link)
        for name, link in {
            "form": f"/{code}/",
            "archive": f"/archive/hebdo/{code}/",
            "not found": f"/{code}/none",
            "confirm": path(links.confirm(asked.id, at=clock.now())),
            "leave": path(links.unsubscribe(links.unsubscribe_token(reader.id, 0))),
            "never": path(links.never(asked.id)),
            "ask": path(links.manage(links.manage_token(reader.id, 0))),
            "preferences": path(links.preferences(reader.subscriber_id, at=clock.now())),
            "expired": path(links.preferences(reader.subscriber_id, at=clock.now() - timedelta(days=1))),
        }.items()
    }
    answers = {name: read(answer) for name, answer in found.items()}
    answers["mistaken form"] = read(press(client, answers["form"], {"address": "x"}))
    answers["mistaken preferences"] = read(press(client, answers["preferences"], {"topics.hebdo": []}))
    answers["saved"] = read(press(client, answers["preferences"], {"topics.hebdo": ["regions"]}))
    answers["look"] = read(press(client, answers["form"], {"address": "sam@example.org", "newsletters": ["hebdo"]}))
    for name, after in (("ask", "mailed"), ("confirm", "confirmed"), ("leave", "left"), ("never", "never again")):
        answers[after] = read(press(client, answers[name]))
    preferences = path(links.preferences(reader.subscriber_id, at=clock.now()))
    answers |= moving(client, parts, preferences, code)
    answers["preferences by address"] = read(client.get(f"/{code}/preferences"))
    answers["mistaken preferences by address"] = read(press(client, answers["preferences by address"]))
    answers["mailed if known"] = read(press(client, answers["preferences by address"], {"address": "sam@example.org"}))
    assert {page.language for page in answers.values()} == {code}
    return answers


def moving(client: FlaskClient, parts: Parts, preferences: str, code: str) -> dict[str, Page]:
    """Walk from the preferences to another address; with a pause on the way, and a newsletter more."""
    make_reader(parts, "salma@example.org", slug="second", languages=[code])
    make_newsletter(parts, slug="third")
    shown = read(client.get(preferences))
    answers = {"paused preferences": read(press(client, shown, {"pause.second": "2026-12-07"}))}
    answers["preferences with one more"] = read(press(client, shown, to=f"{preferences}/subscribe"))
    answers["stale preferences"] = read(press(client, shown, {"topics.second": ["regions"]}))
    answers["new address"] = read(client.get(f"{preferences}/address"))
    answers["mistaken new address"] = read(press(client, answers["new address"]))
    answers["new address mailed"] = read(press(client, answers["new address"], {"address": "new@example.org"}))
    with parts.database.reading() as work:
        link = path(
            parts.links.change_address_with(parts.links.change_address_token(newest(parts, Request).id, at=work.now))
        )
        old = parts.links.change_address_token(newest(parts, Request).id, at=work.now - timedelta(days=2))
    answers["new address expired"] = read(client.get(path(parts.links.change_address_with(old))))
    answers["confirm address"] = read(client.get(link))
    answers["address changed"] = read(press(client, answers["confirm address"]))
    return answers


def test_every_page_says_its_language_direction_and_title(pages: dict[str, Page]) -> None:
    for page in pages.values():
        html = page.one("html")
        assert html["dir"] == LANGUAGES[html["lang"]].direction
        assert page.one("title").text.strip()
    titles = Counter(page.one("title").text for name, page in pages.items() if "preferences" not in name)
    assert max(titles.values()) <= 4  # the mail to look into is said on four pages


def test_every_page_has_one_heading_and_no_level_is_left_out(pages: dict[str, Page]) -> None:
    for page in pages.values():
        levels = [int(each.tag[1]) for each in page.all("h1", "h2", "h3", "h4")]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_landmarks_and_the_way_past_the_header(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert page.one("header")
        assert page.by_id(page.all("a")[0]["href"].removeprefix("#")).tag == "main"
        assert all(each["aria-label"] for each in page.all("nav"))


def test_ids_are_single_and_what_names_one_finds_it(pages: dict[str, Page]) -> None:
    for page in pages.values():
        ids = Counter(each["id"] for each in page.elements if each["id"])
        assert not [each for each, count in ids.items() if count > 1]
        for element in page.elements:
            for name in ("aria-describedby", "aria-labelledby", "for"):
                assert set(element[name].split()) <= set(ids)
        assert {link[1:] for link in page.links if link.startswith("#")} <= set(ids)


def test_every_field_has_a_label_and_every_group_a_legend(pages: dict[str, Page]) -> None:
    for page in pages.values():
        named = {each["for"] for each in page.all("label")}
        for element in page.all("input", "select"):
            if element.tag == "select" or element["type"] in LABELLED:
                wrapped = any(parent.startswith("label=") for parent in element.parents)
                assert wrapped or element["id"] in named, element
            if element["type"] == "radio":
                assert any(parent.startswith("fieldset=") for parent in element.parents)
        assert len(page.all("fieldset")) == len([each for each in page.all("legend") if each.text.strip()])


def test_links_and_buttons_have_words(pages: dict[str, Page]) -> None:
    for page in pages.values():
        for element in page.all("a", "button", "summary"):
            assert re.search(r"\w", element.text), element


def test_one_button_a_page(pages: dict[str, Page]) -> None:
    """Others are quieter."""
    for page in pages.values():
        buttons = [each["class"] for each in page.all("button")]
        assert buttons.count("") <= 1
        assert set(buttons) <= {"", "second"}


def test_links_to_other_languages_are_in_them(pages: dict[str, Page]) -> None:
    for page in pages.values():
        for element in page.all("a"):
            if element["hreflang"]:
                assert (element["lang"], element["dir"]) == (
                    element["hreflang"],
                    LANGUAGES[element["hreflang"]].direction,
                )
                assert element.text == LANGUAGES[element["hreflang"]].name


def test_addresses_run_from_left_to_right_on_every_page(pages: dict[str, Page]) -> None:
    for page in pages.values():
        shown = [each for each in page.all("bdi", "a", "input") if "@" in each.text and "#" not in each["href"]]
        assert all(each["dir"] == "ltr" for each in shown)
        told = page.one("main").text.count("…")
        assert told == sum(each.text.count("…") for each in page.all("bdi"))


def test_mistakes_are_announced_above_and_beside(pages: dict[str, Page]) -> None:
    for name in ("mistaken form", "mistaken preferences"):
        page = pages[name]
        (alert,) = [each for each in page.elements if each["role"] == "alert"]
        wrong = [each for each in page.elements if each["aria-invalid"] == "true"]
        assert wrong
        for each in wrong:
            assert page.by_id(each["aria-describedby"]).text in alert.text
    assert [each for each in pages["saved"].elements if each["role"] == "status"]
