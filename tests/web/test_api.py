"""The JSON API as a program meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import chosen, everything, newest, subscriptions
from sqlalchemy import select
from werkzeug.test import TestResponse

from factories import make_newsletter, make_reader
from newsletter.base.addresses import address_hash
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Frequency
from newsletter.subscribers.actions import suppress
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.leaving import leave
from newsletter.subscriptions.models import Consent, ConsentText, EndReason, Request, SubscriptionState
from newsletter.web.app import create_app

CONSENT = "En vous abonnant, vous acceptez de recevoir la lettre."
ASKED = {
    "address": "salma@example.org",
    "newsletters": ["hebdo"],
    "page_language": "fr",
    "consent_text": CONSENT,
}
SUBSCRIPTIONS = "/api/v1/subscriptions"


def send(client: FlaskClient, **changes: Any) -> TestResponse:
    """Send the usual body with these members changed; None leaves one out."""
    body = {name: value for name, value in {**ASKED, **changes}.items() if value is not None}
    return client.post(SUBSCRIPTIONS, json=body)


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = json.loads(answer.text)
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert told["type"].startswith("http://lettre.test/api/v1/openapi.json#/components/x-problems/")
    return told


def pointers(answer: TestResponse) -> list[str]:
    return [each["pointer"] for each in problem(answer, 400)["errors"]]


def test_a_sign_up_waits_for_confirmation_as_it_was_asked(client: FlaskClient, parts: Parts) -> None:
    answer = send(client, languages=["ar", "fr"], frequency="daily", topics={"hebdo": ["regions"]}, page_language="ar")
    assert answer.status_code == 202
    assert answer.headers["Content-Language"] == json.loads(answer.text)["language"] == "ar"
    assert answer.headers["Cache-Control"] == "no-store"
    (asked,) = subscriptions(parts)
    assert asked.state is SubscriptionState.PENDING
    assert chosen(parts) == (["regions"], ["ar", "fr"], Frequency.DAILY)
    assert newest(parts, Request).language == "ar"


def test_what_may_be_left_out_is_filled_in(client: FlaskClient, parts: Parts) -> None:
    assert send(client).status_code == 202
    assert chosen(parts) == (["services", "regions"], ["fr"], Frequency.WEEKLY)


def test_one_request_takes_several_newsletters(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="second", languages=("fr", "ar"))
    assert send(client, newsletters=["hebdo", "second"], topics={"second": ["services"]}).status_code == 202
    assert [each.newsletter_id for each in subscriptions(parts)] == [1, 2]
    assert chosen(parts, 1)[0] == ["services"]


@pytest.mark.parametrize(("headers", "version"), [({}, "api-1"), ({"Origin": "https://www.example.ma"}, "embedded-1")])
def test_the_register_keeps_the_text_that_the_caller_showed(
    client: FlaskClient, parts: Parts, headers: dict[str, str], version: str
) -> None:
    client.post(SUBSCRIPTIONS, json=ASKED, headers=headers)
    with parts.database.reading() as work:
        (consent,) = work.session.scalars(select(Consent))
        (text,) = work.session.scalars(select(ConsentText))
    assert (text.text, text.hash) == (CONSENT, consent.text_hash)
    assert (consent.form_version, consent.language) == (version, "fr")


def test_the_answer_is_the_same_for_every_address(client: FlaskClient, parts: Parts) -> None:
    make_reader(parts, "active@example.org")
    gone = make_reader(parts, "gone@example.org")
    with parts.database.work() as work:
        token = parts.links.unsubscribe_token(gone.id, 0)
        leave(work, token=token, links=parts.links, reason=EndReason.ONE_CLICK)
        for reason in SuppressionReason:
            closed = address_hash(parts.address_key, f"{reason}@example.org")
            suppress(work, address_hash=closed, reason=reason)
    names = ("active", "new", "new", "gone", *SuppressionReason, "a-much-longer-name")
    answers = [send(client, address=f"{name}@example.org") for name in names]
    assert len({(each.status_code, each.data, tuple(each.headers)) for each in answers}) == 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"address": None}, "#/address"),
        ({"address": "salma@"}, "#/address"),
        ({"address": " "}, "#/address"),
        ({"address": 7}, "#/address"),
        ({"address": "a" * 250 + "@example.org"}, "#/address"),
        ({"newsletters": []}, "#/newsletters"),
        ({"newsletters": "hebdo"}, "#/newsletters"),
        ({"newsletters": ["hebdo", "none"]}, "#/newsletters/1"),
        ({"newsletters": ["HEBDO"]}, "#/newsletters/0"),
        ({"newsletters": ["hebdo\x00"]}, "#/newsletters/0"),
        ({"newsletters": ["hebdo\n"]}, "#/newsletters/0"),
        ({"languages": ["tlh"]}, "#/languages/0"),
        ({"languages": []}, "#/languages"),
        ({"page_language": "tlh"}, "#/page_language"),
        ({"frequency": "monthly"}, "#/frequency"),
        ({"frequency": "hourly"}, "#/frequency"),
        ({"topics": {"hebdo": []}}, "#/topics/hebdo"),
        ({"topics": {"hebdo": ["sport"]}}, "#/topics/hebdo/0"),
        ({"topics": {"other/~": ["services"]}}, "#/topics/other~1~0"),
        ({"topics": []}, "#/topics"),
        ({"consent_text": None}, "#/consent_text"),
        ({"consent_text": "too short"}, "#/consent_text"),
        ({"consent_text": "x" * 2001}, "#/consent_text"),
        ({"consent_text": "a bell rings in this\x07 text"}, "#/consent_text"),
        ({"proof": "no base64!"}, "#/proof"),
        ({"name": "Salma"}, "#/name"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_nothing_changes(
    client: FlaskClient, parts: Parts, changes: dict[str, Any], where: str
) -> None:
    before = everything(parts)
    assert pointers(send(client, **changes)) == [where]
    assert everything(parts) == before


def test_all_that_is_wrong_is_told_at_once(client: FlaskClient) -> None:
    assert pointers(send(client, address=None, languages=["tlh"], more=1)) == ["#/address", "#/languages/0", "#/more"]


def test_a_newsletter_that_does_not_come_in_the_language_is_told(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="second", languages=("ar",))
    assert pointers(send(client, newsletters=["second"])) == ["#/languages"]


@pytest.mark.parametrize(
    ("changes", "headers", "language"),
    [
        ({"page_language": "ar", "frequency": "x"}, {"Accept-Language": "en"}, "ar"),
        ({"page_language": None}, {"Accept-Language": "ar"}, "ar"),
        ({"page_language": None}, {"Accept-Language": "en"}, "en"),
        ({"page_language": None}, {}, "fr"),
    ],
)
def test_problems_are_told_in_the_language_of_who_asks(
    client: FlaskClient, changes: dict[str, Any], headers: dict[str, str], language: str
) -> None:
    body = {name: value for name, value in {**ASKED, **changes}.items() if value is not None}
    answer = client.post(SUBSCRIPTIONS, json=body, headers=headers)
    told = problem(answer, 400)
    assert answer.headers["Content-Language"] == language
    titles = {
        "en": "The request cannot be taken as it is",
        "fr": "La demande ne peut pas être acceptée telle quelle",
        "ar": "لا يمكن قبول الطلب كما هو",
    }
    assert told["title"] == titles[language]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"address": NaN}',
        b'{"address": -Infinity}',
        b'{"address": "a", "address": "b"}',
        b'{"topics": {"a": [], "a": []}}',
        b'{"address": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"[" * 9000,
        b'{"a":' * 3000,
        b"[" * 5000 + b"]" * 5000,
        b'{"address": 1' + b"0" * 5000 + b"}",
        b"address=salma@example.org",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_what_is_no_json_object_is_refused_in_words(client: FlaskClient, parts: Parts, body: bytes) -> None:
    before = everything(parts)
    answer = client.post(SUBSCRIPTIONS, data=body, content_type="application/json")
    assert problem(answer, 400)["type"].endswith("/invalid_json")
    assert everything(parts) == before


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-16",
    ],
)
def test_only_json_is_read(client: FlaskClient, content_type: str | None) -> None:
    answer = client.post(SUBSCRIPTIONS, data=json.dumps(ASKED).encode(), content_type=content_type)
    problem(answer, 415)


@pytest.mark.parametrize("size", [16 * 1024 + 1, 80 * 1024])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_is_too_large_is_refused(client: FlaskClient, size: int, content_type: str) -> None:
    body = json.dumps(ASKED).encode().ljust(size)
    answer = client.post(SUBSCRIPTIONS, data=body, content_type=content_type)
    problem(answer, 413 if content_type.endswith("json") or size > 64 * 1024 else 415)


def test_a_body_just_as_large_as_allowed_is_taken(client: FlaskClient) -> None:
    body = json.dumps(ASKED).encode().ljust(16 * 1024)
    assert client.post(SUBSCRIPTIONS, data=body, content_type="application/json; charset=UTF-8").status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/none", 404),
        ("GET", "/api/", 404),
        ("POST", "/api/v2/subscriptions", 404),
        ("GET", SUBSCRIPTIONS, 405),
        ("DELETE", SUBSCRIPTIONS, 405),
        ("POST", "/api/v1/newsletters", 405),
    ],
)
def test_below_api_even_a_wrong_address_is_answered_with_a_problem(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    problem(answer, status)
    assert ("Allow" in answer.headers) is (status == 405)


@pytest.fixture
def strict(parts: Parts, hebdo: object) -> FlaskClient:
    few = parts.settings.model_copy(update={"sign_ups_per_network": 1})
    return create_app(replace(parts, settings=few)).test_client()


def test_a_network_that_asks_far_too_much_is_told_when_to_come_back(strict: FlaskClient) -> None:
    answers = [
        strict.post(
            SUBSCRIPTIONS,
            json={**ASKED, "address": f"a{number}@example.org"},
            environ_base={"REMOTE_ADDR": "196.12.34.56"},
        )
        for number in range(6)
    ]
    assert {each.status_code for each in answers} == {202, 429}
    problem(answers[-1], 429)
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_database_that_is_gone_is_told_as_a_problem(parts: Parts, settings: Settings, hebdo: object) -> None:
    lost = settings.model_copy(update={"database_url": type(settings.database_url)("sqlite:////nowhere/at/all.db")})
    with_lost = replace(parts, database=type(parts.database)(lost.database, clock=parts.clock))
    client = create_app(with_lost).test_client()
    for answer in (send(client), client.get("/api/v1/newsletters")):
        problem(answer, 503)
        assert answer.headers["Retry-After"] == "60"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(
        st.sampled_from([*ASKED, "languages", "frequency", "topics", "proof", "other"]), ANYTHING, max_size=3
    )
)
def test_whatever_is_sent_is_taken_or_refused_in_words(client: FlaskClient, changes: dict[str, Any]) -> None:
    answer = client.post(SUBSCRIPTIONS, data=json.dumps({**ASKED, **changes}), content_type="application/json")
    if answer.status_code != 202:
        problem(answer, 400)


# What there is to sign up to


def test_newsletters_tell_of_themselves_in_the_language_asked(client: FlaskClient) -> None:
    answer = client.get("/api/v1/newsletters?language=ar", headers={"Accept-Language": "en"})
    assert answer.headers["Content-Language"] == "ar"
    assert "Vary" not in answer.headers
    (told,) = json.loads(answer.text)["newsletters"]
    assert told["slug"] == "hebdo"
    assert told["name"] == {"text": "الأسبوعية", "language": "ar", "direction": "rtl"}
    assert told["promise"] is None
    assert told["topics"][0] == {
        "slug": "services",
        "name": {"text": "الخدمات", "language": "ar", "direction": "rtl"},
    }
    assert [each["frequency"] for each in told["frequencies"]] == ["weekly", "daily"]
    assert told["languages"] == ["fr", "ar", "en"]
    assert client.get(told["sign_up_page"].removeprefix("http://lettre.test")).status_code == 200
    assert client.get(told["archive"].removeprefix("http://lettre.test")).status_code == 200


def test_without_a_language_the_header_decides_and_is_named(client: FlaskClient) -> None:
    answer = client.get("/api/v1/newsletters", headers={"Accept-Language": "en"})
    assert json.loads(answer.text)["language"] == "en"
    assert answer.headers["Vary"] == "Accept-Language"


@pytest.mark.parametrize("asked", ["language=tlh", "language=", "language=fr&language=ar", "language=%00"])
def test_an_unknown_language_is_a_problem_of_the_parameter(client: FlaskClient, asked: str) -> None:
    told = problem(client.get(f"/api/v1/newsletters?{asked}"), 400)
    assert told["errors"][0]["parameter"] == "language"


@pytest.mark.parametrize("path", ["/api/v1/newsletters?language=fr", "/api/v1/openapi.json"])
def test_what_seldom_changes_may_be_kept_and_is_asked_again_by_its_tag(client: FlaskClient, path: str) -> None:
    first = client.get(path)
    assert first.cache_control.public
    assert first.cache_control.max_age == 300
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


# Which sites' scripts may use it

OURS, OTHER = "https://www.example.ma", "https://www.example.org"


@pytest.fixture
def embedded(parts: Parts, hebdo: object) -> FlaskClient:
    settings = parts.settings.model_copy(update={"embed_origins": (OURS,)})
    app: Flask = create_app(replace(parts, settings=settings))
    return app.test_client()


@pytest.mark.parametrize("path", [SUBSCRIPTIONS, "/api/v1/challenge"])
def test_a_browser_may_send_from_a_site_that_is_allowed(embedded: FlaskClient, path: str) -> None:
    asks = {"Origin": OURS, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = embedded.options(path, headers=asks)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Origin" in answer.vary
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_answers_can_be_read_on_a_site_that_is_allowed(embedded: FlaskClient) -> None:
    sent = [
        embedded.post(SUBSCRIPTIONS, json=body, headers={"Origin": OURS}) for body in (ASKED, {**ASKED, "address": "x"})
    ]
    for answer in (*sent, embedded.get("/api/v1/challenge", headers={"Origin": OURS})):
        assert answer.headers["Access-Control-Allow-Origin"] == OURS
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


@pytest.mark.parametrize("origin", [OTHER, f"{OURS}.evil.org", f"{OURS}:8443", OURS.replace("s:", ":"), "null", "*"])
def test_no_other_site_may_read_anything(embedded: FlaskClient, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for path in (SUBSCRIPTIONS, "/api/v1/challenge"):
        for answer in (
            embedded.options(path, headers=asks),
            embedded.post(path, json=ASKED, headers=asks),
            embedded.get(path, headers=asks),
        ):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
            assert "Origin" in answer.vary


@pytest.mark.parametrize("path", ["/api/v1/newsletters", "/api/v1/openapi.json", "/fr/", "/static/site.css"])
def test_nothing_but_the_form_needs_is_open_to_other_sites(embedded: FlaskClient, path: str) -> None:
    answer = embedded.get(path, headers={"Origin": OURS}, buffered=True)
    assert "Access-Control-Allow-Origin" not in answer.headers
