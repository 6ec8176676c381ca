from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import everything, path, press, read

from factories import make_reader
from newsletter.base.errors import (
    ConfigError,
    Conflict,
    ExpiredToken,
    InvalidInput,
    InvalidToken,
    NewsletterError,
    NotFound,
    Unavailable,
)
from newsletter.bootstrap import Parts
from newsletter.db.database import Database
from newsletter.web.app import LARGEST_FORM, MOST_FIELDS, create_app

ADDRESS = "salma.bennani@gmail.com"


@pytest.fixture
def broken(parts: Parts) -> Iterator[Parts]:
    """The parts with a database that does not answer."""
    database = Database(f"sqlite:///{Path('/nowhere/at/all.db')}", clock=parts.clock)
    yield replace(parts, database=database)
    database.close()


@pytest.mark.parametrize(
    ("address", "header", "language"),
    [
        ("/none", "ar", "ar"),
        ("/none", "en-GB", "en"),
        ("/none", "", "fr"),
        ("/ar/none", "fr", "ar"),
        ("/xx/", "en", "en"),
    ],
)
def test_an_unknown_page_is_answered_in_the_readers_language(
    client: FlaskClient, address: str, header: str, language: str
) -> None:
    answer = client.get(address, headers={"Accept-Language": header})
    assert answer.status_code == 404
    page = read(answer)
    assert page.language == language
    assert f"/{language}/" in page.links


@pytest.mark.parametrize(
    ("family", "status"),
    [
        (InvalidInput, 400),
        (NotFound, 404),
        (InvalidToken, 404),
        (ExpiredToken, 410),
        (Conflict, 409),
        (Unavailable, 503),
        (ConfigError, 503),
    ],
)
def test_each_family_of_errors_has_its_status_and_a_page_in_each_language(
    app: Flask, family: type[NewsletterError], status: int
) -> None:
    def fail() -> None:
        raise family("secret@example.org did it")

    for language in ("fr", "ar", "en"):
        app.add_url_rule(f"/{language}/fail", f"fail_{language}", fail)
    answers = {language: app.test_client().get(f"/{language}/fail") for language in ("fr", "ar", "en")}
    assert {answer.status_code for answer in answers.values()} == {status}
    assert {language: read(answer).language for language, answer in answers.items()} == {each: each for each in answers}
    assert len({read(answer).one("h1").text for answer in answers.values()}) == 3
    assert all("secret" not in answer.text for answer in answers.values())


def test_an_oversized_form_is_refused_and_changes_nothing(client: FlaskClient, parts: Parts) -> None:
    reader = make_reader(parts, ADDRESS)
    token = parts.links.unsubscribe_token(reader.id, 0)
    before = everything(parts)
    large = {"address": ADDRESS, "newsletters": "hebdo", "more": "x" * LARGEST_FORM}
    many = {f"field{number}": "x" for number in range(MOST_FIELDS + 1)}
    answers = [
        client.post("/ar/subscriptions", data=large),
        client.post("/ar/subscriptions", data=large, content_type="multipart/form-data"),
        client.post("/ar/subscriptions", data=many, content_type="multipart/form-data"),
        client.post(f"/u/{token}", data=large),
    ]
    assert [answer.status_code for answer in answers] == [413] * 4
    assert [read(answer).language for answer in answers[:3]] == ["ar"] * 3
    assert everything(parts) == before


def test_a_wrong_method_is_answered_with_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/ar/subscriptions")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert read(answer).language == "ar"


def test_a_database_that_does_not_answer_is_told_kindly(broken: Parts, client: FlaskClient) -> None:
    answer = create_app(broken).test_client().get("/ar/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    page = read(answer)
    assert page.language == "ar"
    assert "nowhere" not in answer.text
    health = create_app(broken).test_client().get("/healthz")
    assert (health.status_code, health.get_json()["status"]) == (503, "unavailable")


def test_health_is_told_as_json(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok", "database": "ok"})
    assert client.head("/healthz").status_code == 200


def test_what_nobody_anticipated_gets_a_page_without_details(
    client: FlaskClient, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    mistaken = create_app(replace(parts, address_key="no bytes")).test_client()  # type: ignore[arg-type]
    answer = press(mistaken, read(client.get("/ar/")), {"address": ADDRESS})
    assert answer.status_code == 500
    assert read(answer).language == "ar"
    assert "TypeError" not in answer.text
    assert "TypeError" in caplog.text
    assert "/<spoken:lang>/subscriptions" in caplog.text


def test_the_log_names_no_address_and_no_link(
    client: FlaskClient, parts: Parts, broken: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    reader = make_reader(parts, ADDRESS)
    form = read(client.get("/fr/"))
    token = parts.links.unsubscribe_token(reader.id, 0)
    mistaken = replace(parts, address_key="no bytes")  # type: ignore[arg-type]
    for each in (parts, broken, mistaken, replace(parts, links=WithoutUnsubscribe(parts))):  # type: ignore[arg-type]
        visitor = create_app(each).test_client()
        press(visitor, form, {"address": ADDRESS})
        press(visitor, form, {"address": "somebody-else@gmail.com"})
        for link in (f"/u/{token}", f"/u/{token[:-4]}aaaa", path(parts.links.preferences(1, at=parts.clock.now()))):
            visitor.get(link)
            visitor.post(link)
    assert "failed" in caplog.text  # something was logged at all
    assert "gmail" not in caplog.text
    assert token[:20] not in caplog.text
    assert "preferences/a" not in caplog.text


class WithoutUnsubscribe:
    """Links that fail while reading one, with the link in the error."""

    def __init__(self, parts: Parts) -> None:
        self.base_url = parts.links.base_url

    def read_unsubscribe(self, token: str) -> None:
        raise RuntimeError(token)

    def read_old_preferences(self, token: str) -> None:
        raise RuntimeError(token)
