from __future__ import annotations

import sys
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import newest, path, read
from werkzeug.test import TestResponse

from factories import ask, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Request


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


PLAIN = ["/fr/", "/ar/", "/archive/hebdo/fr/", "/theme/hebdo.css", "/healthz", "/static/site.css", "/none"]


FORMS = ("/fr/", "/ar/")  # the only pages with a script of ours


def policy(answer: TestResponse) -> dict[str, str]:
    told = answer.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, _, sources in (each.partition(" ") for each in told)}


def test_every_answer_allows_nothing_from_elsewhere_and_sets_no_cookie(
    client: FlaskClient, with_tokens: list[str]
) -> None:
    answers = [client.get(link, buffered=True) for link in (*PLAIN, *with_tokens)]
    answers += [client.post(link) for link in with_tokens]
    for answer in answers:
        rules = policy(answer)
        assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["style-src"] == rules["img-src"] == rules["form-action"] == "'self'"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        is_form = answer.request.path in FORMS
        assert (rules.get("script-src"), rules.get("connect-src")) == (("'self'",) * 2 if is_form else (None, None))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers


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
