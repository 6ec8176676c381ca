from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import chosen, everything, newest, path, press, read, subscriptions
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from factories import make_newsletter, make_reader, parsed
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.models import Frequency
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscriptions import leaving
from newsletter.subscriptions.models import Consent, EndReason, Request, SubscriptionState

LANGUAGES = ("fr", "ar", "en")


@pytest.mark.parametrize(
    ("header", "language"),
    [("fr-MA,fr;q=0.9", "fr"), ("ar", "ar"), ("en-US,en;q=0.8,fr;q=0.5", "en"), ("de, ar;q=0.2", "ar"), ("", "fr")],
)
def test_the_root_leads_to_the_browsers_language(client: FlaskClient, header: str, language: str) -> None:
    answer = client.get("/", headers={"Accept-Language": header})
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/{language}/"
    assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_citizen_asks_and_is_told_to_look_in_the_mail(client: FlaskClient, parts: Parts, language: str) -> None:
    page = read(client.get(f"/{language}/"))
    answer = press(client, page, {"address": "salma.bennani@gmail.com"})
    assert answer.status_code == 200
    told = read(answer)
    assert told.language == language
    assert "s…i@gmail.com" in told.one("main").text
    assert "salma" not in answer.text
    (asked,) = subscriptions(parts)
    assert asked.state is SubscriptionState.PENDING
    assert chosen(parts)[1] == [language]
    assert newest(parts, Request).language == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_foretells_how_the_mails_subject_begins(client: FlaskClient, parts: Parts, language: str) -> None:
    told = read(press(client, read(client.get(f"/{language}/")), {"address": "sam@example.org"}))
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert isinstance(parts.backend, MemoryBackend)
    (mail,) = parts.backend.messages
    subject = str(parsed(mail.data)["Subject"])
    start = {"fr": "Confirmez votre abonnement", "ar": "المرجو تأكيد اشتراككم", "en": "Confirm your subscription"}[
        language
    ]
    assert start in told.one("main").text
    assert subject.startswith(start)


def test_everything_chosen_in_the_form_is_kept(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get("/fr/"))
    changes = {
        "address": " Salma@Example.org ",
        "topics.hebdo": ["regions"],
        "language": "ar",
        "also": ["en", "fr"],
        "frequency": "daily",
    }
    assert press(client, page, changes).status_code == 200
    assert chosen(parts) == (["regions"], ["ar", "en", "fr"], Frequency.DAILY)


def test_an_address_and_a_newsletter_are_enough(client: FlaskClient, parts: Parts) -> None:
    answer = client.post("/ar/subscriptions", data={"address": "sam@example.org", "newsletters": "hebdo"})
    assert answer.status_code == 200
    assert chosen(parts) == (["services", "regions"], ["ar"], Frequency.WEEKLY)


def test_the_consent_is_the_sentence_that_was_shown(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get("/fr/"))
    press(client, page, {"address": "sam@example.org"})
    with parts.database.work() as work:
        consent = work.session.scalars(select(Consent)).one()
    shown = re.sub("[ \n]+", " ", page.by_id("consent").text).strip()
    assert consent.text_hash == sha256(shown.encode()).hexdigest()
    assert consent.form_version == "page-1"
    for said in ("Ministère de l’Exemple", "ne sert à rien d’autre", "09-08", "contact@", "D-000/2026"):
        assert said in shown


def test_every_address_gets_the_same_answer(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    """Unknown, pending, active, ended, closed: as many bytes, the same ones (the addresses look alike when masked)."""
    form = read(client.get("/fr/"))
    press(client, form, {"address": "samia@example.org"})
    make_reader(parts, "sonia@example.org")
    left = make_reader(parts, "safia@example.org")
    token = parts.links.unsubscribe_token(left.id, 0)
    with parts.database.work() as work:
        leaving.leave(work, token=token, links=parts.links, reason=EndReason.PAGE)
    press(client, form, {"address": "soraya@example.org"})
    closed = newest(parts, Request, "soraya@example.org")
    client.post(path(parts.links.never(closed.id)))
    clock.advance(timedelta(days=2))
    addresses = [f"{name}@example.org" for name in ("sarra", "samia", "sonia", "safia", "soraya")]
    answers = [press(client, form, {"address": address}) for address in addresses]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "address", ["", "salma", "salma@", "@example.org", "a b@example.org", "x@example.org\r\nBcc: y@z.ma"]
)
def test_a_bad_address_is_named_beside_its_field(
    client: FlaskClient, parts: Parts, language: str, address: str
) -> None:
    before = everything(parts)
    answer = press(client, read(client.get(f"/{language}/")), {"address": address, "also": ["en"]})
    assert answer.status_code == 400
    page = read(answer)
    assert page.language == language
    field = page.by_id("address")
    assert field["aria-invalid"] == "true"
    message = page.by_id(field["aria-describedby"]).text
    (link,) = [element for element in page.all("a") if element["href"] == "#address"]
    assert link.text == message
    assert everything(parts) == before


def test_a_refused_form_keeps_all_that_was_typed(client: FlaskClient) -> None:
    changes = {
        "address": "salma@",
        "topics.hebdo": ["regions"],
        "language": "ar",
        "also": ["en"],
        "frequency": "daily",
    }
    page = read(press(client, read(client.get("/fr/")), changes))
    kept = page.fields()
    assert {name: kept[name] for name in changes} == {
        name: value if isinstance(value, list) else [value] for name, value in changes.items()
    }


def test_all_that_is_missing_is_said_at_once(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="second")
    page = read(client.get("/fr/"))
    data = MultiDict((name, value) for name, values in page.fields().items() for value in values)
    answer = client.post("/fr/subscriptions", data=data)
    assert [link for link in read(answer).links if link in {"#address", "#newsletters"}] == ["#address", "#newsletters"]
    data.setlist("newsletters", ["second"])
    data.setlist("topics.second", [])
    again = read(client.post("/fr/subscriptions", data=data))
    assert "#topics-second" in again.links
    assert again.by_id("topics-second")["aria-invalid"] == "true"


def test_newsletters_that_differ_in_languages_are_chosen_together(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="arabic", languages=("ar",))
    page = read(client.get("/fr/"))
    changes = {"address": "sam@example.org", "newsletters": ["hebdo", "arabic"], "also": ["ar"]}
    assert press(client, page, changes).status_code == 200
    assert [chosen(parts, position)[1] for position in (0, 1)] == [["fr", "ar"], ["ar"]]


def test_a_newsletter_that_does_not_come_in_the_language_is_named(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="arabic", languages=("ar",))
    page = read(client.get("/fr/"))
    answer = press(client, page, {"address": "sam@example.org", "newsletters": ["arabic"]})
    assert answer.status_code == 400
    assert "#language" in read(answer).links


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("newsletters", "none-such", 404),
        ("newsletters", "heb\x00do", 404),
        ("topics.hebdo", "\x00", 400),
        ("topics.hebdo", "none-such", 400),
        ("language", "xx", 400),
        ("also", "xx", 400),
        ("frequency", "hourly", 400),
        ("frequency", "monthly", 400),
    ],
)
def test_what_the_form_never_offered_is_refused_in_the_readers_language(
    client: FlaskClient, parts: Parts, field: str, value: str, status: int
) -> None:
    before = everything(parts)
    answer = press(client, read(client.get("/ar/")), {"address": "sam@example.org", field: value})
    assert answer.status_code == status
    assert read(answer).language == "ar"
    assert everything(parts) == before


def test_the_address_of_the_answer_leads_back_to_the_form(client: FlaskClient) -> None:
    answer = client.get("/ar/subscriptions")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ar/")


def test_a_newsletter_can_be_chosen_by_link(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="second")
    assert read(client.get("/fr/?newsletters=second")).fields()["newsletters"] == ["second"]
    assert "newsletters" not in read(client.get("/fr/")).fields()


def test_without_a_newsletter_the_page_says_so(app: Flask) -> None:
    page = read(app.test_client().get("/fr/"))
    assert not page.all("form")
    assert page.one("h1").text
