from __future__ import annotations

import re
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from doors import good_tokens, purpose_of, rules_with_token
from flask import Flask
from flask.testing import FlaskClient
from pages import newest, path, read
from werkzeug.test import TestResponse

from factories import ask, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.subscriptions.models import Request
from newsletter.web.app import create_app


@pytest.fixture
def with_tokens(client: FlaskClient, parts: Parts, clock: SetClock) -> list[str]:
    """Every page that is opened by a link out of a mail."""
    reader = make_reader(parts, "salma@example.org")
    ask(parts, "youssef@example.org")
    request, links, now = newest(parts, Request), parts.links, clock.now()
    return [
        path(link)
        for link in (
            links.confirm(request.id, at=now),
            links.never(request.id),
            links.unsubscribe(links.unsubscribe_token(reader.id, 0)),
            links.manage(links.manage_token(reader.id, 0)),
            links.preferences(reader.subscriber_id, at=now),
        )
    ]


@pytest.fixture
def answers(app: Flask, client: FlaskClient, parts: Parts) -> list[TestResponse]:
    """What every route answers to every method: first what only looks, then what does."""
    tokens, found = good_tokens(parts), []
    others = {"lang": "fr", "newsletter": "hebdo", "issue_id": 1, "filename": "site.css"}
    adapter = app.url_map.bind("localhost")
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        for rule in app.url_map.iter_rules():
            values = {**others, "token": tokens.get(purpose_of(rule), "") if "token" in rule.arguments else ""}
            link = adapter.build(str(rule.endpoint), {name: values[name] for name in rule.arguments})
            found.append(client.open(link, method=method, buffered=True))
    return found


PLAIN = ["/fr/", "/ar/", "/archive/hebdo/fr/", "/theme/hebdo.css", "/healthz", "/static/site.css", "/none"]


FORMS = ("/fr/", "/ar/")
WITH_SCRIPT = {"signup.form", "embedding.form"}  # and what shows the same form with what is missing
ASKING = {"signup.subscribe", "embedding.subscribe"}


def policy(answer: TestResponse) -> dict[str, str]:
    told = answer.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, _, sources in (each.partition(" ") for each in told)}


def test_every_answer_allows_nothing_from_elsewhere_and_sets_no_cookie(answers: list[TestResponse]) -> None:
    assert {answer.status_code for answer in answers} >= {200, 302, 400, 404, 405}
    for answer in answers:
        rules = policy(answer)
        assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["style-src"] == rules["img-src"] == rules["form-action"] == "'self'"
        assert not re.search(r"unsafe|\*|data:|https?:", answer.headers["Content-Security-Policy"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Set-Cookie" not in answer.headers


def test_scripts_run_only_where_the_form_is(app: Flask, answers: list[TestResponse]) -> None:
    adapter = app.url_map.bind("localhost")
    for answer in answers:
        rules, method = policy(answer), answer.request.method
        has_script = "sign_up.js" in answer.text if answer.mimetype == "text/html" else False
        if has_script:
            assert adapter.match(answer.request.path, method)[0] in WITH_SCRIPT | ASKING
        if has_script or method == "GET":
            expected = ("'self'",) * 2 if has_script else (None, None)
            assert (rules.get("script-src"), rules.get("connect-src")) == expected


def test_a_page_may_use_nothing_of_the_device(answers: list[TestResponse]) -> None:
    for answer in answers:
        given = answer.headers["Permissions-Policy"].split(", ")
        assert {"camera=()", "geolocation=()", "microphone=()", "payment=()"} <= set(given)
        assert all(each.endswith("=()") for each in given)


def test_other_sites_may_show_the_logo_the_form_and_its_script_and_nothing_else(
    app: Flask, answers: list[TestResponse]
) -> None:
    adapter = app.url_map.bind("localhost")
    shown = {
        answer.request.path
        for answer in answers
        if answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin" and adapter.test(answer.request.path)
    }
    assert shown == {"/theme/hebdo/logo", "/fr/embed", "/api/v1/challenge"}
    kept = {answer.headers["Cross-Origin-Resource-Policy"] for answer in answers}
    assert kept == {"same-origin", "cross-origin"}
    script = app.test_client().get("/static/embed.js", buffered=True)
    assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize(
    ("base_url", "told"),
    [("https://lettre.example.org", "max-age=63072000"), ("http://lettre.example.org", None)],
)
def test_browsers_are_held_to_https_for_two_years_where_the_site_has_it(
    settings: Settings, parts: Parts, base_url: str, told: str | None
) -> None:
    links = build(settings.model_copy(update={"base_url": base_url}), clock=parts.clock).links
    visitor = create_app(replace(parts, links=links)).test_client()
    answers = [visitor.open(link, method=method, buffered=True) for link in PLAIN for method in ("GET", "HEAD", "POST")]
    assert {answer.headers.get("Strict-Transport-Security") for answer in answers} == {told}


def test_no_answer_to_a_token_and_no_error_is_kept_or_indexed(app: Flask, answers: list[TestResponse]) -> None:
    paths = re.compile("|".join(re.sub(r"<[^>]+>", "[^/]+", str(rule)) for rule in rules_with_token(app)))
    found = [each for each in answers if paths.fullmatch(each.request.path) or each.status_code >= 400]
    assert len(found) > 4 * 15
    for answer in found:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_pages_of_a_person_are_neither_kept_nor_indexed(client: FlaskClient, with_tokens: list[str]) -> None:
    form = {"address": "sam@example.org", "newsletters": "hebdo"}
    answers = [client.open(link, method=method) for link in with_tokens for method in ("GET", "HEAD", "POST")]
    answers += [client.post("/fr/subscriptions", data=form), client.get("/u/none")]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_public_pages_may_be_indexed(client: FlaskClient) -> None:
    for link in ("/fr/", "/archive/hebdo/ar/"):
        assert "X-Robots-Tag" not in client.get(link).headers


def test_nothing_is_loaded_from_another_host_and_no_script_stands_in_a_page(
    client: FlaskClient, with_tokens: list[str]
) -> None:
    for link in [*PLAIN[:3], "/none", *with_tokens]:
        page = read(client.get(link))
        loaded = [each["href"] for each in page.all("link")] + [each["src"] for each in page.all("img", "script")]
        assert [each.text for each in page.all("script")] == [""] * (link in FORMS)
        assert all(not urlsplit(each).netloc for each in loaded)
        assert not page.all("style", "iframe", "object", "base")
        assert all("style" not in each.attributes for each in page.elements)
        assert not [name for each in page.elements for name in each.attributes if name.startswith("on")]
        for each in loaded:
            assert client.get(each, buffered=True).status_code == 200


def test_a_full_address_stands_on_no_page(client: FlaskClient, with_tokens: list[str]) -> None:
    answers = [client.get(link) for link in with_tokens] + [client.post(link) for link in with_tokens]
    assert all("salma" not in each.text for each in answers)
    assert all("youssef" not in each.text for each in answers)


def test_a_newsletters_accent_comes_as_a_style_sheet(client: FlaskClient) -> None:
    (own,) = [each["href"] for each in read(client.get("/fr/")).all("link") if each["href"].startswith("/theme/")]
    answer = client.get(own)
    assert answer.mimetype == "text/css"
    assert "--accent: #0B5D3B" in answer.text
    assert answer.cache_control.max_age
    assert client.get("/theme/none.css").status_code == 404


def test_every_blueprint_declares_its_access(app: Flask) -> None:
    for blueprint in app.blueprints.values():
        assert getattr(sys.modules[blueprint.import_name], "ACCESS", None) == "public", blueprint.name
