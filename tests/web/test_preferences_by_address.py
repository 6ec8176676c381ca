"""The page where one types the address to get the link to the preferences: it tells nothing, the mail does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, press, read

from factories import ask, make_reader, parsed, text_of
from newsletter.base.addresses import address_hash
from newsletter.base.clock import SetClock
from newsletter.base.languages import LANGUAGES
from newsletter.bootstrap import Parts
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.models import Request, RequestKind

ADDRESS = "salma.bennani@gmail.com"


def links_mailed(parts: Parts) -> int:
    with parts.database.reading() as work:
        return work.session.query(Request).filter_by(kind=RequestKind.PREFERENCES_LINK).count()


def test_whoever_reads_at_the_address_gets_the_link_in_their_own_language(client: FlaskClient, parts: Parts) -> None:
    reader = make_reader(parts, ADDRESS, languages=["ar"])
    page = read(client.get("/fr/preferences"))
    assert page.language == "fr"
    answer = press(client, page, {"address": f" {ADDRESS.upper()} "})
    assert answer.status_code == 200
    assert read(answer).language == "fr"
    asked = newest(parts, Request)
    assert (asked.kind, asked.language, asked.subscriber_id) == (
        RequestKind.PREFERENCES_LINK,
        "ar",
        reader.subscriber_id,
    )
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    mail = parts.backend.messages[-1]  # type: ignore[attr-defined]
    assert mail.recipient == ADDRESS
    (link,) = [word for word in text_of(parsed(mail.data)).split() if "/preferences/" in word]
    assert read(client.get(path(link))).language == "ar"


def test_three_links_a_day_and_the_answer_stays_the_same(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    make_reader(parts, ADDRESS)
    answers = {client.post("/fr/preferences", data={"address": ADDRESS}).data for _ in range(6)}
    assert len(answers) == 1
    assert links_mailed(parts) == 3
    clock.advance(timedelta(days=1, seconds=1))
    client.post("/fr/preferences", data={"address": ADDRESS})
    assert links_mailed(parts) == 4


def test_the_answer_is_the_same_for_every_address(client: FlaskClient, parts: Parts) -> None:
    make_reader(parts, "s1a@example.org")
    ask(parts, "s2a@example.org")
    for number, reason in enumerate(SuppressionReason, start=4):
        with parts.database.work() as work:
            key = address_hash(parts.address_key, f"s{number}a@example.org")
            subscriber_actions.suppress(work, address_hash=key, reason=reason)
    answers = [client.post("/fr/preferences", data={"address": f"s{number}a@example.org"}) for number in range(1, 9)]
    assert len({(each.status_code, each.data, tuple(sorted(each.headers))) for each in answers}) == 1
    assert links_mailed(parts) == 1


@pytest.mark.parametrize("reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.NEVER])
def test_a_closed_address_gets_none(client: FlaskClient, parts: Parts, reason: SuppressionReason) -> None:
    make_reader(parts, ADDRESS)
    with parts.database.work() as work:
        subscriber_actions.suppress(work, address_hash=address_hash(parts.address_key, ADDRESS), reason=reason)
    client.post("/fr/preferences", data={"address": ADDRESS})
    assert links_mailed(parts) == 0


@pytest.mark.parametrize("typed", ["", "salma@", "a@b@c", "x" * 300])
def test_what_is_no_address_is_said_beside_its_field(client: FlaskClient, parts: Parts, typed: str) -> None:
    before = everything(parts)
    answer = press(client, read(client.get("/ar/preferences")), {"address": typed})
    assert answer.status_code == 400
    page = read(answer)
    assert page.language == "ar"
    assert page.by_id("address")["value"] == typed
    assert page.by_id("address-problem").text
    assert everything(parts) == before


def test_a_network_that_asks_and_asks_is_told_to_wait(client: FlaskClient, parts: Parts) -> None:
    from_afar = {"REMOTE_ADDR": "196.12.34.56"}
    codes = []
    for number in range(parts.settings.sign_ups_per_network * 4 + 2):
        data = {"address": f"nobody{number}@example.org"}
        codes.append(client.post("/fr/preferences", data=data, environ_base=from_afar).status_code)
    assert codes[0] == 200
    assert codes[-1] == 429


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_it_is_found_from_the_sign_up_page_and_in_every_language(client: FlaskClient, code: str) -> None:
    assert f"/{code}/preferences" in read(client.get(f"/{code}/")).links
    page = read(client.get(f"/{code}/preferences"))
    assert page.language == code
    others = {f"/{other}/preferences" for other in LANGUAGES if other != code}
    assert others <= set(page.links)
