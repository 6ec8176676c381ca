"""A wish that came after the mail may be somebody else's: it is shown, not ticked, and waits if nobody ticks it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from flask.testing import FlaskClient
from pages import newest, path, press, read, subscriptions

from factories import ask, make_newsletter
from newsletter.base.clock import SetClock
from newsletter.base.tokens import Tokens
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Request, SubscriptionState

ADDRESS = "salma@example.org"


@pytest.fixture
def link(client: FlaskClient, parts: Parts, clock: SetClock) -> str:
    """The link of a mail that asked about one newsletter, when another one was asked for since."""
    make_newsletter(parts, slug="second")
    ask(parts, ADDRESS)
    found = path(parts.links.confirm(newest(parts, Request, ADDRESS).id, at=clock.now()))
    clock.advance(timedelta(minutes=5))
    ask(parts, ADDRESS, slug="second")
    return found


def test_one_tap_confirms_what_the_mail_asked_and_nothing_else(client: FlaskClient, parts: Parts, link: str) -> None:
    page = read(client.get(link))
    box = next(each for each in page.all("input") if each["type"] == "checkbox")
    assert (box["value"], "checked" in box.attributes) == ("second", False)
    assert press(client, page).status_code == 200
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ACTIVE, SubscriptionState.PENDING]


def test_what_the_person_ticks_is_confirmed_too(client: FlaskClient, parts: Parts, link: str) -> None:
    assert press(client, read(client.get(link)), {"shown": ["hebdo", "second"]}).status_code == 200
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ACTIVE] * 2


def test_the_numbers_of_two_requests_cannot_be_told_from_their_links(parts: Parts) -> None:
    """Whoever signs up before and after somebody else would learn from the numbers whether a request was written."""
    tokens = Tokens([parts.settings.keys[0]], purpose="confirm", numbers=1)
    payloads = [tokens._decode(tokens.make(number))[:6] for number in range(1000, 1200)]
    numbers = [int.from_bytes(each) for each in payloads]
    assert len(set(numbers)) == 200
    apart = [abs(one - other) for one, other in pairwise(numbers)]
    assert min(apart) > 2**20
    assert {number & 1 for number in numbers} == {0, 1}
