"""The door for sign-ups: its moment, its trap, its limits, and what it says under load."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from altcha.v1 import solve_challenge
from flask import Flask
from flask.testing import FlaskClient
from pages import everything, press, read, subscriptions
from sqlalchemy import event, select, text
from werkzeug.test import TestResponse

from factories import make_newsletter
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscribers.actions import know
from newsletter.subscriptions import limits
from newsletter.subscriptions.models import Consent, Scope, SignUpCount
from newsletter.web.app import create_app
from newsletter.web.signup_form import EMBEDDED

ADDRESS = "sam@example.org"
HERE = "196.12.34.56"
TEN, TWENTY = timedelta(minutes=10), timedelta(minutes=20)
Tight = Callable[..., FlaskClient]


@pytest.fixture
def tight(settings: Settings, parts: Parts, clock: SetClock) -> Iterator[Tight]:
    """Return a way to the same site with these settings."""
    make_newsletter(parts)
    opened = []

    def open_site(**values: Any) -> FlaskClient:
        opened.append(build(settings.model_copy(update=values), clock=clock))
        return create_app(opened[-1]).test_client()

    yield open_site
    for each in opened:
        each.database.close()


def sign_up(client: FlaskClient, address: str = ADDRESS, **fields: Any) -> TestResponse:
    """Fill the page's form in as a person does."""
    answer = press(client, read(client.get("/fr/")), {"address": address, **fields})
    assert answer.status_code in {200, 429}, answer.text
    return answer


def counts(parts: Parts) -> dict[Scope, int]:
    with parts.database.reading() as work:
        rows = work.session.scalars(select(SignUpCount)).all()
    return {row.scope: row.count for row in rows if row.scope not in {Scope.MAILED, Scope.CONFIRMED}}


def waits(parts: Parts) -> timedelta | None:
    """Return how long the last mail waits."""
    with parts.database.reading() as work:
        mail = work.session.scalars(select(Delivery).order_by(Delivery.id.desc()).limit(1)).one()
        if mail.state is DeliveryState.PENDING:
            return None
        assert (mail.state, mail.reason) == (DeliveryState.DEFERRED, "waits")
        assert mail.next_attempt_at is not None
        return mail.next_attempt_at - mail.created_at


def proof_of(client: FlaskClient) -> str:
    """Do what the page's script does."""
    asked = client.get("/api/v1/challenge?domain=example.org").get_json()
    assert asked.pop("needed")
    found = solve_challenge(asked["challenge"], asked["salt"], asked["algorithm"], asked.pop("maxNumber"), 0)
    assert found is not None
    return base64.b64encode(json.dumps({**asked, "number": found.number}).encode()).decode()


def test_who_takes_a_persons_time_is_mailed_at_once(client: FlaskClient, parts: Parts) -> None:
    sign_up(client)
    assert waits(parts) is None
    assert counts(parts) == {Scope.DOMAIN: 1, Scope.ALL: 1}


def test_a_form_sent_back_at_once_counts_threefold_and_its_mail_waits(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    fields = {**read(client.get("/fr/")).fields(), "address": ADDRESS}
    clock.advance(timedelta(seconds=1))
    answer = client.post("/fr/subscriptions", data=fields)
    assert answer.status_code == 200
    wait = waits(parts)
    assert wait is not None
    assert TEN <= wait <= TWENTY
    assert counts(parts) == {Scope.DOMAIN: 3, Scope.ALL: 3}
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert len(parts.backend.messages) == 0  # type: ignore[attr-defined]
    clock.advance(TWENTY)
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert len(parts.backend.messages) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("moment", [None, "", "a" * 44, "no moment", "٣" * 44])
def test_a_form_without_its_moment_counts_threefold_and_its_mail_waits(
    client: FlaskClient, parts: Parts, moment: str | None
) -> None:
    fields = {"address": ADDRESS, "newsletters": "hebdo"} | ({} if moment is None else {"moment": moment})
    assert client.post("/fr/subscriptions", data=fields).status_code == 200
    assert waits(parts) is not None
    assert counts(parts)[Scope.ALL] == 3


def test_a_page_left_open_for_days_is_no_longer_believed(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    page = read(client.get("/fr/"))
    clock.advance(timedelta(hours=23))
    press(client, page, {"address": ADDRESS})
    assert waits(parts) is None
    clock.advance(timedelta(hours=2))
    press(client, page, {"address": "other@example.org"})
    assert waits(parts) is not None


def test_mending_a_mistake_quickly_makes_nobody_a_robot(client: FlaskClient, parts: Parts) -> None:
    again = read(press(client, read(client.get("/fr/")), {"address": "sam@"}))
    fields = {**again.fields(), "address": ADDRESS}
    assert client.post("/fr/subscriptions", data=fields).status_code == 200
    assert waits(parts) is None


def test_the_embedded_form_has_no_moment_and_counts_double(client: FlaskClient, parts: Parts) -> None:
    fields = {"address": ADDRESS, "newsletters": "hebdo", "form": EMBEDDED}
    assert client.post("/fr/subscriptions", data=fields).status_code == 200
    assert waits(parts) is None
    assert counts(parts)[Scope.ALL] == 2
    with parts.database.reading() as work:
        assert work.session.scalars(select(Consent)).one().form_version == EMBEDDED


def test_whoever_fills_in_the_field_that_nobody_sees_is_answered_alike_and_only_counted(
    client: FlaskClient, parts: Parts
) -> None:
    seen = sign_up(client, "sim@example.org")
    before = everything(parts)
    trapped = sign_up(client, "sam@example.org", remarks="buy now")
    assert trapped.data == seen.data
    assert list(trapped.headers) == list(seen.headers)
    after = everything(parts)
    assert {name for name in after if after[name] != before[name]} == {"sign_up_count"}
    assert counts(parts)[Scope.ALL] == 4


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_people_browsers_and_screen_readers_leave_the_trap_alone(client: FlaskClient, language: str) -> None:
    page = read(client.get(f"/{language}/"))
    trap = page.by_id("remarks")
    assert trap["autocomplete"] == "off"
    assert trap["tabindex"] == "-1"
    (hiding,) = [each for each in page.all("div") if "hidden" in each.attributes]
    assert hiding.text.strip(), "where nothing is hidden, a label says to leave it empty"
    assert [each.tag for each in page.elements if each["name"] == "remarks"] == ["input"]
    assert page.fields()["remarks"] == [""]


def test_beyond_a_networks_limit_mails_wait_and_beyond_four_times_it_there_is_a_kind_page(
    tight: Tight, parts: Parts
) -> None:
    client = tight(sign_ups_per_network=2, proxies=1)
    client.environ_base["HTTP_X_FORWARDED_FOR"] = HERE
    waited = []
    for number in range(8):
        assert sign_up(client, f"reader{number}@example.org").status_code == 200
        waited.append(waits(parts) is not None)
    assert waited == [False] * 2 + [True] * 6
    before = everything(parts)
    for language in ("fr", "ar", "en"):
        answer = press(client, read(client.get(f"/{language}/")), {"address": "late@example.org"})
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "3600"
        page = read(answer)
        assert page.language == language
        assert page.one("h1").text
    assert everything(parts) == before
    client.environ_base["HTTP_X_FORWARDED_FOR"] = "196.12.35.1"
    assert sign_up(client, "neighbour@example.org").status_code == 200
    assert waits(parts) is None


def test_neither_a_domain_nor_all_together_are_ever_refused(tight: Tight, parts: Parts) -> None:
    client = tight(sign_ups_per_domain=2, sign_ups_in_all=10)
    for number in range(30):
        assert sign_up(client, f"reader{number}@example.org").status_code == 200
    assert waits(parts) is not None


def test_under_load_a_proof_of_work_lets_the_mail_leave_at_once_and_serves_once(tight: Tight, parts: Parts) -> None:
    client = tight(sign_ups_in_all=2)
    assert client.get("/api/v1/challenge").get_json() == {"needed": False}
    for number in range(2):
        sign_up(client, f"reader{number}@example.org")
    proof = proof_of(client)
    sign_up(client, "first@example.org", proof=proof)
    assert waits(parts) is None
    sign_up(client, "second@example.org", proof=proof)
    assert waits(parts) is not None
    sign_up(client, "third@example.org", proof="bm90aGluZw==")
    assert waits(parts) is not None


def test_whether_a_proof_is_needed_is_told_by_domain_too_and_kept_by_nobody(tight: Tight, parts: Parts) -> None:
    client = tight(sign_ups_per_domain=2)
    for number in range(2):
        sign_up(client, f"reader{number}@Example.org")
    needed = client.get("/api/v1/challenge?domain=EXAMPLE.org")
    assert needed.get_json()["needed"]
    assert needed.headers["Cache-Control"] == "no-store"
    assert client.get("/api/v1/challenge?domain=elsewhere.org").get_json() == {"needed": False}
    before = everything(parts)
    for _ in range(3):
        client.get("/api/v1/challenge?domain=example.org")
    assert everything(parts) == before


def test_when_hardly_anybody_confirms_everybody_waits_or_proves(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    with parts.database.work() as work:
        for _ in range(limits.FEWEST_MAILED):
            limits.count_mailed(work)
    clock.advance(timedelta(hours=3))
    sign_up(client)
    assert waits(parts) is not None
    sign_up(client, "other@example.org", proof=proof_of(client))
    assert waits(parts) is None


@pytest.mark.parametrize(
    ("proxies", "forwarded", "network"),
    [
        (0, f"{HERE} | 127.0.0.1", None),
        (0, f"{HERE} | 41.250.1.2", "41.250.1.0/24"),
        (1, f"{HERE} | 127.0.0.1", "196.12.34.0/24"),
        (1, f"41.250.1.2, {HERE} | 10.0.0.1", "196.12.34.0/24"),
        (2, f"1.1.1.1, {HERE}, 41.250.1.2 | 10.0.0.1", "196.12.34.0/24"),
        (1, "2001:4860:1234:5678::9 | 127.0.0.1", "2001:4860:1234::/48"),
        (1, "192.168.7.7 | 127.0.0.1", None),
        (1, "nobody knows | 127.0.0.1", None),
    ],
)
def test_the_network_is_believed_of_as_many_proxies_as_are_set(
    tight: Tight, parts: Parts, proxies: int, forwarded: str, network: str | None
) -> None:
    client = tight(proxies=proxies)
    told, _, peer = forwarded.partition(" | ")
    client.environ_base.update({"HTTP_X_FORWARDED_FOR": told, "REMOTE_ADDR": peer})
    sign_up(client)
    with parts.database.reading() as work:
        consent = work.session.scalars(select(Consent)).one()
    assert consent.network == network
    assert (Scope.NETWORK in counts(parts)) == (network is not None)


@pytest.mark.parametrize("is_known", [True, False])
def test_sign_ups_of_one_address_at_once_are_one_subscription_and_one_mail(
    app: Flask, parts: Parts, is_known: bool
) -> None:
    make_newsletter(parts)
    if is_known:
        with parts.database.work() as work:
            know(work, address=read_address(ADDRESS), address_key=parts.address_key)
    fields = {"address": ADDRESS, "newsletters": "hebdo", "form": EMBEDDED}
    ready, answers = threading.Barrier(6), []

    def send() -> None:
        client = app.test_client()
        ready.wait()
        answers.append(client.post("/fr/subscriptions", data=fields).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers == [200] * 6
    assert len(subscriptions(parts)) == 1
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert len(parts.backend.messages) == 1  # type: ignore[attr-defined]
    assert counts(parts)[Scope.ALL] == 12


def test_a_database_that_stays_locked_is_answered_kindly_and_nothing_is_half_done(
    client: FlaskClient, parts: Parts
) -> None:
    page = read(client.get("/fr/"))
    before = everything(parts)

    @event.listens_for(parts.database.engine, "connect")
    def hurry(connection: Any, _entry: object) -> None:
        impatient = "PRAGMA busy_timeout=100" if parts.database.is_sqlite else "SET lock_timeout = '100ms'"
        connection.execute(impatient).close()
        if not parts.database.is_sqlite:
            connection.commit()

    parts.database.engine.dispose()
    with parts.database.work() as work:
        if not parts.database.is_sqlite:
            work.session.execute(text("LOCK TABLE sign_up_count IN EXCLUSIVE MODE"))
        answer = press(client, page, {"address": ADDRESS})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert read(answer).language == "fr"
    assert everything(parts) == before
    assert press(client, page, {"address": ADDRESS}).status_code == 200, "and what was typed can be sent again"
    assert len(subscriptions(parts)) == 1
