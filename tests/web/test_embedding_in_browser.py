"""The printed form on another site, in a real browser: with a script and without, where it is allowed and where not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from flask import Flask, Response
from pages import subscriptions
from playwright.sync_api import Browser, Page, Route, expect
from served import served
from sqlalchemy import select

from factories import make_newsletter
from newsletter.__main__ import group
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.newsletters.queries import all_newsletters
from newsletter.subscriptions.models import Consent, ConsentText, SubscriptionState
from newsletter.web.app import create_app
from newsletter.web.consent import consent
from newsletter.web.speech import speak

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ADDRESS = "salma.bennani@example.org"
PAGE = '<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Ministère</title><body>{html}</body></html>'


@dataclass
class Institution:
    """The institution's site, what stands on its page, and our parts; `other` is not among the allowed sites."""

    parts: Parts
    environment: dict[str, str]
    page: str = ""
    url: str = ""

    @property
    def other(self) -> str:
        return self.url.replace("127.0.0.1", "localhost")

    def paste(self, language: str, *options: str) -> None:
        words = ["embed", "--newsletter", "hebdo", "--language", language, *options]
        printed = CliRunner().invoke(group, words, env=self.environment, catch_exceptions=False)
        assert printed.exit_code == 0, printed.output
        assert not printed.stderr
        self.page = PAGE.format(language=language, html=printed.stdout)


@pytest.fixture(params=[{}])
def institution(
    request: pytest.FixtureRequest, settings: Settings, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Institution]:
    site = Flask("institution")
    with served(lambda _: site) as url:
        limits = {"embed_origins": (url,), **request.param}
        parts: list[Parts] = []

        def ours(base_url: str) -> Flask:
            parts.append(build(settings.model_copy(update={"base_url": base_url, **limits}), clock=clock))
            make_newsletter(parts[0])
            return create_app(parts[0])

        with served(ours) as base_url:
            key = settings.keys[0]
            environment = {
                "NEWSLETTER_HOME": str(settings.home),
                "NEWSLETTER_DATABASE_URL": settings.database,
                "NEWSLETTER_BASE_URL": base_url,
                "NEWSLETTER_EMBED_ORIGINS": url,
                "NEWSLETTER_SECRET_KEYS": key,
                "NEWSLETTER_ADDRESS_KEY": key,
            }
            made = Institution(parts[0], environment, url=url)
            site.add_url_rule("/", view_func=lambda: Response(made.page, mimetype="text/html"))
            yield made
        parts[0].database.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    yield context.new_page()
    assert not context.cookies()
    context.close()


@pytest.fixture
def plain(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    yield context.new_page()
    context.close()


def arrived(parts: Parts, language: str) -> Delivery:
    """Check that the sign-up arrived, with what the form said as evidence, and return its mail."""
    (asked,) = subscriptions(parts)
    assert asked.state is SubscriptionState.PENDING
    with parts.database.reading() as work:
        assert work.session.get(type(asked), asked.id).language == language  # type: ignore[union-attr]
        (evidence,) = work.session.scalars(select(Consent))
        (text,) = work.session.scalars(select(ConsentText))
        assert (evidence.form_version, evidence.language) == ("embedded-1", language)
        with create_app(parts).test_request_context():
            speak(language)
            assert text.text == consent(all_newsletters(work))
        return work.session.scalars(select(Delivery)).one()


def send(page: Page) -> None:
    page.locator("[name=address]").fill(ADDRESS)
    page.locator("button").click()


def reads_our_page(page: Page, institution: Institution, language: str) -> None:
    page.wait_for_url(f"{institution.parts.settings.base_url}/{language}/subscriptions")
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert "s…i@example.org" in page.locator("main").inner_text()


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_with_its_script_the_form_answers_in_place(institution: Institution, page: Page, language: str) -> None:
    institution.paste(language)
    page.goto(institution.url)
    taken = page.locator("form").get_attribute("data-taken")
    assert page.locator("form").evaluate("form => getComputedStyle(form).direction") == (
        "rtl" if language == "ar" else "ltr"
    )
    send(page)
    expect(page.locator("[role=status]")).to_have_text(str(taken))
    expect(page.locator("[role=status]")).to_be_focused()
    expect(page.locator("button")).to_be_hidden()
    assert page.url.rstrip("/") == institution.url
    assert arrived(institution.parts, language).state is DeliveryState.PENDING


@pytest.mark.parametrize("institution", [{"sign_ups_in_all": 1}], indirect=True)
def test_with_its_script_the_form_proves_work_where_it_is_asked(institution: Institution, page: Page) -> None:
    institution.paste("fr")
    page.goto(institution.url)
    send(page)
    expect(page.locator("[role=status]")).to_be_focused(timeout=20_000)
    assert arrived(institution.parts, "fr").state is DeliveryState.PENDING  # without a proof it waited


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_without_a_script_the_form_leads_to_our_page(institution: Institution, plain: Page, language: str) -> None:
    institution.paste(language)
    plain.goto(institution.url)
    send(plain)
    reads_our_page(plain, institution, language)
    assert arrived(institution.parts, language).state is DeliveryState.PENDING


def test_topics_and_frequency_are_asked_in_both_ways(institution: Institution, page: Page, plain: Page) -> None:
    institution.paste("fr", "--topics", "regions", "--frequency", "daily")
    for visitor, address in ((page, "a@example.org"), (plain, "b@example.org")):
        visitor.goto(institution.url)
        visitor.locator("[name=address]").fill(address)
        visitor.locator("button").click()
        expect(visitor.locator("[role=status]:focus, main h1")).to_be_visible()
    scripted, by_form = subscriptions(institution.parts)
    assert (scripted.choice_id, scripted.frequency) == (by_form.choice_id, by_form.frequency)
    assert scripted.frequency == "daily"


def test_on_a_site_that_is_not_allowed_the_form_still_works(institution: Institution, page: Page) -> None:
    institution.paste("fr")
    page.goto(institution.other)
    send(page)
    reads_our_page(page, institution, "fr")
    arrived(institution.parts, "fr")


@pytest.mark.parametrize("fails", ["**/api/v1/challenge*", "**/api/v1/subscriptions"])
@pytest.mark.parametrize("how", ["gone", "error"])
def test_when_the_api_fails_the_form_is_sent_as_without_a_script(
    institution: Institution, page: Page, fails: str, how: str
) -> None:
    def fail(route: Route) -> None:
        if how == "gone":
            route.abort()
        else:
            route.fulfill(status=503, body="no json", headers={"Access-Control-Allow-Origin": institution.url})

    institution.paste("fr")
    page.route(fails, fail)
    page.goto(institution.url)
    send(page)
    if fails.endswith("challenge*") and how == "error":
        expect(page.locator("[role=status]")).to_be_focused()  # no proof, and the mail may wait
    else:
        reads_our_page(page, institution, "fr")
    arrived(institution.parts, "fr")


def test_what_is_wrong_is_told_by_our_page(institution: Institution, page: Page) -> None:
    institution.paste("fr")
    page.goto(institution.url)
    page.locator("[name=address]").fill("salma@localhost")  # a browser takes it, and no mail goes there
    page.locator("button").click()
    page.wait_for_url("**/fr/subscriptions")
    expect(page.locator("[role=alert]")).to_be_visible()
    assert page.locator("#address").input_value() == "salma@localhost"
    assert not subscriptions(institution.parts)


@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize("scripted", [True, False])
def test_the_frame_takes_a_sign_up_where_it_stands(
    institution: Institution, page: Page, plain: Page, language: str, scripted: bool
) -> None:
    visitor = page if scripted else plain
    institution.paste(language, "--frame")
    visitor.goto(institution.url)
    frame = visitor.frame_locator("iframe")
    expect(frame.locator("header")).to_have_count(0)
    frame.locator("#address").fill("salma@")
    frame.locator("button").click()
    expect(frame.locator("[role=alert]")).to_be_visible()
    frame.locator("#address").fill(ADDRESS)
    frame.locator("button").click()
    expect(frame.locator("main")).to_contain_text("s…i@example.org")
    assert visitor.url.rstrip("/") == institution.url
    assert [each.state for each in subscriptions(institution.parts)] == [SubscriptionState.PENDING]


def test_the_frame_stays_empty_on_a_site_that_is_not_allowed(institution: Institution, page: Page) -> None:
    institution.paste("fr", "--frame")
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.goto(institution.other)
    page.wait_for_timeout(500)
    assert any("frame-ancestors" in each for each in refused)
    assert page.frame_locator("iframe").locator("#address").count() == 0


@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize("options", [(), ("--frame",)], ids=["form", "frame"])
def test_axe_finds_nothing_in_what_is_pasted(
    institution: Institution, page: Page, language: str, options: tuple[str, ...]
) -> None:
    institution.paste(language, *options)
    institution.page = institution.page.replace("<body>", "<body><main><h1>Ministère</h1>").replace(
        "</body>", "</main>"
    )
    page.goto(institution.url)
    looked_at = [page] if not options else [page, page.context.new_page()]
    if options:
        looked_at[1].goto(str(page.locator("iframe").get_attribute("src")))
    for each in looked_at:
        assert [found["id"] for found in Axe().run(each).response["violations"]] == []
    if not options:
        send(page)
        expect(page.locator("[role=status]")).to_be_focused()
        assert [found["id"] for found in Axe().run(page).response["violations"]] == []
