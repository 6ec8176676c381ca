"""The pasted form and the framed one as the server sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from pages import chosen, read, subscriptions
from sqlalchemy import select
from werkzeug.test import TestResponse

from factories import make_newsletter
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import by_slug
from newsletter.operations.embedding import frame, snippet
from newsletter.subscriptions.models import Consent, ConsentText, SubscriptionState
from newsletter.web.app import create_app

OURS, SECOND = "https://www.example.ma", "https://intranet.example.ma"
ADDRESS = "salma@example.org"


@pytest.fixture
def allowed(parts: Parts, hebdo: object) -> FlaskClient:
    """The site with two sites that may frame its form, and a second newsletter of another house."""
    make_newsletter(parts, slug="second")
    with parts.database.work() as work:
        second = by_slug(work, "second")
        second.institution = {"fr": "Agence du Sud", "ar": "وكالة الجنوب", "en": "Agency of the South"}
        second.owner = "contact@sud.example.ma"
    return create_app(
        replace(parts, settings=parts.settings.model_copy(update={"embed_origins": (OURS, SECOND)}))
    ).test_client()


def framed_by(answer: TestResponse) -> str:
    rules = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    return rules["frame-ancestors"]


def pasted(parts: Parts, language: str, **options: object) -> str:
    with parts.database.reading() as work:
        newsletter = by_slug(work, "hebdo")
        return snippet(newsletter, spoken=language, base_url=parts.links.base_url, **options)  # type: ignore[arg-type]


def evidence(parts: Parts) -> tuple[str | None, str]:
    with parts.database.reading() as work:
        (consent,) = work.session.scalars(select(Consent))
        text = work.session.get(ConsentText, consent.text_hash)
        assert text is not None
        return consent.form_version, text.text


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_what_stands_in_the_pasted_form_is_kept_as_evidence(allowed: FlaskClient, parts: Parts, language: str) -> None:
    form = read(pasted(parts, language))
    action = form.one("form")["action"].removeprefix("http://lettre.test")
    answer = allowed.post(action, data={**form.fields(), "address": ADDRESS}, headers={"Origin": OURS})
    assert answer.status_code == 200
    assert read(answer).language == language
    legal = form.by_id(f"newsletter-hebdo-{language}-legal").text
    version, kept = evidence(parts)
    assert version == "embedded-1"
    assert kept == " ".join(legal.replace("\n", " ").split(" ")).strip()
    assert "Sud" not in kept


def test_the_pasted_form_asks_for_its_topics_and_frequency(allowed: FlaskClient, parts: Parts) -> None:
    form = read(pasted(parts, "ar", topics=["regions"], frequency=Frequency.DAILY))
    action = form.one("form")["action"].removeprefix("http://lettre.test")
    allowed.post(action, data={**form.fields(), "address": ADDRESS})
    assert chosen(parts) == (["regions"], ["ar"], Frequency.DAILY)


def test_a_robot_that_fills_in_every_field_signs_nobody_up(allowed: FlaskClient, parts: Parts) -> None:
    form = read(pasted(parts, "fr"))
    action = form.one("form")["action"].removeprefix("http://lettre.test")
    answer = allowed.post(action, data={**form.fields(), "address": ADDRESS, "remarks": "hello"})
    assert answer.status_code == 200
    assert not subscriptions(parts)


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_the_framed_form_is_shown_by_the_allowed_sites_only(allowed: FlaskClient, parts: Parts, language: str) -> None:
    with parts.database.reading() as work:
        html = frame(by_slug(work, "hebdo"), spoken=language, base_url=parts.links.base_url)
    url = read(html).one("iframe")["src"].removeprefix("http://lettre.test")
    answer = allowed.get(url)
    assert framed_by(answer) == f"{OURS} {SECOND}"
    form = read(answer)
    assert form.language == language
    assert not form.all("header", "nav")
    assert [each["target"] for each in form.all("base")] == ["_blank"]
    assert form.fields()["newsletters"] == ["hebdo"]
    sent = allowed.post(form.one("form")["action"], data={**form.fields(), "address": ADDRESS})
    assert sent.status_code == 200
    assert framed_by(sent) == f"{OURS} {SECOND}"
    assert not read(sent).all("header")
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING]


def test_what_is_wrong_is_shown_in_the_frame_too(allowed: FlaskClient) -> None:
    form = read(allowed.get("/fr/embed?newsletters=hebdo"))
    answers = [
        allowed.post(form.one("form")["action"], data={**form.fields(), "address": "salma@"}),
        allowed.get("/fr/embed?newsletters=none"),
        allowed.post("/fr/embed", data={"address": ADDRESS, "newsletters": "none"}),
    ]
    assert [each.status_code for each in answers] == [400, 404, 404]
    assert {framed_by(each) for each in answers} == {f"{OURS} {SECOND}"}
    assert read(answers[0]).one("form")["action"] == "/fr/embed?newsletters=hebdo"


def test_the_frame_offers_what_its_address_names(allowed: FlaskClient) -> None:
    both = read(allowed.get("/fr/embed?newsletters=hebdo&newsletters=second"))
    assert both.fields()["newsletters"] == ["hebdo", "second"]
    assert read(allowed.get("/fr/embed")).fields()["newsletters"] == ["hebdo", "second"]
    assert read(allowed.get("/fr/embed?newsletters=second")).fields()["newsletters"] == ["second"]


def test_no_other_page_is_framed_and_none_where_no_site_is_set(allowed: FlaskClient, client: FlaskClient) -> None:
    for path in ("/fr/", "/fr/subscriptions", "/archive/hebdo/fr/", "/none", "/api/v1/newsletters"):
        assert framed_by(allowed.get(path)) == "'none'"
    assert framed_by(client.get("/fr/embed?newsletters=hebdo")) == "'none'"


@pytest.mark.parametrize("script", ["embed.js", "proof.js"])
def test_the_scripts_may_be_fetched_by_the_allowed_sites_only(allowed: FlaskClient, script: str) -> None:
    path = f"/static/{script}"
    answer = allowed.get(path, headers={"Origin": OURS}, buffered=True)
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert "Origin" in answer.vary
    other = allowed.get(path, headers={"Origin": "https://other.example"}, buffered=True)
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Origin" in other.vary
