"""The form's own script in a real browser: it asks, works a proof out, says so, and sends whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from altcha.v1 import ChallengeOptions, create_challenge
from playwright.sync_api import Browser, Page, Route, expect
from served import served_site
from sqlalchemy import select

from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.subscriptions.models import SpentProof
from newsletter.subscriptions.proofs import LARGEST_NUMBER, Proofs
from newsletter.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADDRESS = "salma@example.org"
CHECKING = {"fr": "Un instant", "ar": "لحظة"}


@pytest.fixture
def busy(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    """The parts of a served site that asks everybody for a proof."""
    with served_site(settings, clock, sign_ups_in_all=1) as parts:
        client = create_app(parts).test_client()
        for number in range(2):
            client.post("/fr/subscriptions", data={"address": f"reader{number}@example.org", "newsletters": "hebdo"})
        yield parts


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    assert not refused
    context.close()


def open_form(busy: Parts, clock: SetClock, page: Page, language: str = "fr") -> None:
    page.goto(busy.links.home(language))
    clock.advance(timedelta(seconds=5))
    page.locator("#address").fill(ADDRESS)


def send(page: Page) -> None:
    with page.expect_navigation():
        page.locator("button").click()
    assert "s…a@example.org" in page.locator("main").inner_text()


def last_mail(busy: Parts) -> Delivery:
    with busy.database.reading() as work:
        return work.session.scalars(select(Delivery).order_by(Delivery.id.desc()).limit(1)).one()


def spent(busy: Parts) -> int:
    with busy.database.reading() as work:
        return len(work.session.scalars(select(SpentProof)).all())


def hardest(busy: Parts, clock: SetClock) -> dict[str, Any]:
    """Return a challenge of this site whose number is found last."""
    key, until = Proofs(busy.settings.keys)._keys[0], clock.now() + timedelta(minutes=5)
    made = create_challenge(
        ChallengeOptions(number=LARGEST_NUMBER, max_number=LARGEST_NUMBER, hmac_key=key, expires=until)
    )
    return dict(made.to_dict())


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_under_load_the_script_proves_and_the_mail_leaves_at_once(
    busy: Parts, clock: SetClock, page: Page, language: str
) -> None:
    open_form(busy, clock, page, language)
    status = page.get_by_role("status")
    expect(status).to_have_text("")
    page.evaluate(
        """() => {
            const status = document.querySelector("#checking");
            const keep = () => status.textContent && sessionStorage.setItem("said", status.textContent);
            new MutationObserver(keep).observe(status, { childList: true });
        }"""
    )
    send(page)
    assert CHECKING[language] in page.evaluate("sessionStorage.getItem('said')")
    assert last_mail(busy).state is DeliveryState.PENDING
    assert spent(busy) == 1


def test_the_page_stays_alive_while_it_proves(busy: Parts, clock: SetClock, page: Page) -> None:
    """On a machine six times slower than this one: what a person does meanwhile is done meanwhile."""
    open_form(busy, clock, page)
    page.route("**/api/v1/challenge*", lambda route: route.fulfill(json={"needed": True, **hardest(busy, clock)}))
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    page.evaluate(
        """() => {
            const status = document.querySelector("#checking"), times = [];
            const tick = () => {
                if (status.textContent) {
                    times.push(performance.now());
                    sessionStorage.setItem("times", JSON.stringify(times));
                }
                setTimeout(tick, 5);
            };
            tick();
        }"""
    )
    send(page)
    times = json.loads(page.evaluate("sessionStorage.getItem('times')"))
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert len(gaps) >= 5, "the page did other things in between"
    assert median(gaps) < 150
    assert max(gaps) < sum(gaps) / 2
    assert times[-1] - times[0] < 10_000
    assert spent(busy) == 1


def test_a_server_that_does_not_say_whether_it_needs_a_proof_gets_the_form_all_the_same(
    busy: Parts, clock: SetClock, page: Page
) -> None:
    open_form(busy, clock, page)
    page.route("**/api/v1/challenge*", lambda route: route.abort())
    send(page)
    assert last_mail(busy).state is DeliveryState.DEFERRED
    assert spent(busy) == 0


def test_pressing_twice_sends_once_and_coming_back_lets_one_send_again(
    busy: Parts, clock: SetClock, page: Page
) -> None:
    open_form(busy, clock, page)
    posts: list[str] = []
    page.on("request", lambda asked: posts.append(asked.url) if asked.method == "POST" else None)

    def late(route: Route) -> None:
        page.locator("button").click()
        route.continue_()

    page.route("**/api/v1/challenge*", late)
    send(page)
    assert len(posts) == 1
    page.unroute("**/api/v1/challenge*")
    page.go_back()
    expect(page.get_by_role("status")).to_have_text("")
    send(page)
    assert len(posts) == 2
    assert spent(busy) == 2


def test_without_scripts_the_form_works_and_under_load_its_mail_waits(
    busy: Parts, clock: SetClock, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    open_form(busy, clock, page)
    send(page)
    assert last_mail(busy).state is DeliveryState.DEFERRED
    context.close()


def test_the_trap_is_seen_and_reached_by_nobody(busy: Parts, clock: SetClock, page: Page) -> None:
    open_form(busy, clock, page)
    assert not page.locator("#remarks").is_visible()
    assert page.locator("#remarks").bounding_box() is None
    page.locator("#address").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") != "remarks"
    assert "remarks" not in page.locator("form").aria_snapshot()
    assert "Laissez" not in page.locator("form").aria_snapshot()
