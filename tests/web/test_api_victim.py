"""Nobody's mailbox is filled by signing them up: through the API, from many networks, all day long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import subscriptions

from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.operations.sending import TRANSACTIONAL, send_due

DAY = timedelta(hours=24)
SPELLINGS = ("victim@example.org", "Victim@Example.org", "VICTIM@EXAMPLE.ORG", " victim@example.org ")
SHOWN = "By subscribing you agree to receive the newsletter."


def sign_up_again_and_again(client: FlaskClient, clock: SetClock, parts: Parts, *, times: int, networks: int) -> None:
    """Ask for the same person through a whole day, in every spelling and language; the mails leave all along."""
    start = clock.now()
    for number in range(times):
        clock.move_to(start + DAY * number / times)
        taken = client.post(
            "/api/v1/subscriptions",
            json={
                "address": SPELLINGS[number % len(SPELLINGS)],
                "newsletters": ["hebdo"],
                "languages": [("fr", "ar", "en")[number % 3]],
                "topics": {"hebdo": [("services", "regions")[number % 2]]},
                "page_language": ("fr", "ar", "en")[number % 3],
                "consent_text": SHOWN,
            },
            environ_base={"REMOTE_ADDR": f"196.{number % networks // 250}.{number % networks % 250}.7"},
        )
        assert taken.status_code == 202, taken.text
        if number % 100 == 0:
            send_due(parts.postroom, lanes=TRANSACTIONAL)
    clock.move_to(start + DAY - timedelta(seconds=1))
    send_due(parts.postroom, lanes=TRANSACTIONAL)


@pytest.mark.parametrize(
    ("times", "networks"), [(200, 10), pytest.param(10_000, 500, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_a_victim_of_many_sign_ups_gets_one_mail_a_day(
    client: FlaskClient, clock: SetClock, parts: Parts, times: int, networks: int
) -> None:
    sign_up_again_and_again(client, clock, parts, times=times, networks=networks)
    assert isinstance(parts.backend, MemoryBackend)
    assert [message.recipient for message in parts.backend.messages] == ["victim@example.org"]
    assert len(subscriptions(parts)) == 1
