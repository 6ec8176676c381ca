"""Ten thousand sign-ups for one victim, from five hundred networks, in a day: one mail."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import path, read, subscriptions
from sqlalchemy import func, select

from factories import make_newsletter, parsed, text_of
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import SubscriptionState
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow
VICTIM = "lectrice@example.org"
TIMES, NETWORKS = 10_000, 500
STEP = timedelta(hours=24) / (TIMES + 1)


@pytest.fixture
def behind_a_proxy(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    parts = build(settings.model_copy(update={"proxies": 1}), clock=clock)
    make_newsletter(parts)
    make_newsletter(parts, slug="mensuel")
    yield parts
    parts.database.close()


def sign_up(client: FlaskClient, chance: random.Random, page_token: str, network: int) -> int:
    """Sign the victim up in one of the ways and spellings that lead to the same mailbox."""
    fields = {
        "address": chance.choice([VICTIM, VICTIM.upper(), f" {VICTIM.title()} "]),
        "newsletters": chance.choice([["hebdo"], ["mensuel"], ["hebdo", "mensuel"]]),
        "language": chance.choice(["fr", "ar", "en"]),
        "moment": page_token,
    }
    address = f"41.{100 + network // 250}.{network % 250}.{chance.randrange(1, 255)}"
    language = chance.choice(["fr", "ar", "en"])
    return client.post(f"/{language}/subscriptions", data=fields, headers={"X-Forwarded-For": address}).status_code


def test_ten_thousand_sign_ups_for_one_victim_are_one_mail_in_a_day(behind_a_proxy: Parts, clock: SetClock) -> None:
    parts, chance, start = behind_a_proxy, random.Random(7), clock.now()
    client, page_token, answers = create_app(parts).test_client(), "", []
    mails = parts.backend.messages  # type: ignore[attr-defined]
    for number in range(TIMES):
        if number % 400 == 0:
            page_token = read(client.get("/fr/")).fields()["moment"][0]
            send_due(parts.postroom, lanes=TRANSACTIONAL)
        clock.advance(STEP)
        answers.append(sign_up(client, chance, page_token, number % NETWORKS))
    clock.move_to(start + timedelta(hours=24, minutes=-1))
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert answers == [200] * TIMES
    assert len(mails) == 1
    with parts.database.reading() as work:
        assert work.session.scalar(select(func.count()).select_from(Subscriber)) == 1
    assert {wish.state for wish in subscriptions(parts)} == {SubscriptionState.PENDING}

    (never,) = re.findall(r"http://lettre.test/never/\S+", text_of(parsed(mails[0].data)))
    assert client.post(path(never)).status_code == 200
    for day in range(1, 40):
        clock.move_to(start + timedelta(days=day, hours=1))
        assert sign_up(client, chance, read(client.get("/fr/")).fields()["moment"][0], day) == 200
        send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert len(mails) == 1, "never again means never"


def test_a_flood_within_minutes_is_one_mail_too(behind_a_proxy: Parts, clock: SetClock) -> None:
    parts, chance = behind_a_proxy, random.Random(8)
    client = create_app(parts).test_client()
    page_token = read(client.get("/fr/")).fields()["moment"][0]
    clock.advance(timedelta(seconds=5))
    answers = [sign_up(client, chance, page_token, number % 20) for number in range(1500)]
    assert set(answers) == {200}
    clock.advance(timedelta(minutes=21))
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    assert len(parts.backend.messages) == 1  # type: ignore[attr-defined]
