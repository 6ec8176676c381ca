"""Whether an address is known shows neither in what is answered nor in how long it takes."""

from __future__ import annotations

import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from flask.testing import FlaskClient
from pages import read
from sqlalchemy import event
from werkzeug.test import TestResponse

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import address_hash
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.subscribers.actions import suppress
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions import leaving
from newsletter.subscriptions.models import EndReason, Subscription
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow
TIMES = 200
STATES = ("unknown", "pending", "active", "ended", "closed")
NOT_TOLD_APART = (0.4, 0.6)
Site = Callable[[float], tuple[Parts, FlaskClient]]


@pytest.fixture
def site(settings: Settings, clock: SetClock) -> Iterator[Site]:
    """Return a way to build the site with answers that take a multiple of so many seconds, and no limits in the way."""
    opened = []

    def build_site(answers_take: float) -> tuple[Parts, FlaskClient]:
        limits = dict.fromkeys(("sign_ups_per_network", "sign_ups_per_domain", "sign_ups_in_all"), 10**9)
        parts = build(settings.model_copy(update={"answers_take": answers_take, **limits}), clock=clock)
        opened.append(parts)
        if parts.database.is_sqlite:
            event.listen(parts.database.engine, "connect", never_wait_for_the_disk)
        return parts, create_app(parts).test_client()

    yield build_site
    for parts in opened:
        parts.database.close()


def never_wait_for_the_disk(connection: Any, _entry: object) -> None:
    """Leave the disk out of what is measured: how busy others keep it hides every difference."""
    connection.execute("PRAGMA synchronous=OFF").close()


def address_of(state: str, number: int) -> str:
    """Return addresses of one length that look alike when masked."""
    return f"s{STATES.index(state)}{number:04}a@example.org"


def leave(parts: Parts, reader: Subscription) -> None:
    with parts.database.work() as work:
        token = parts.links.unsubscribe_token(reader.id, 0)
        leaving.leave(work, token=token, links=parts.links, reason=EndReason.PAGE)


def prepare(parts: Parts, numbers: range) -> None:
    """Make addresses of every state."""
    for number in numbers:
        ask(parts, address_of("pending", number))
        make_reader(parts, address_of("active", number))
        leave(parts, make_reader(parts, address_of("ended", number)))
        with parts.database.work() as work:
            closed = address_hash(parts.address_key, address_of("closed", number))
            suppress(work, address_hash=closed, reason=SuppressionReason.COMPLAINT)


def timed(send: Callable[[], TestResponse]) -> tuple[float, TestResponse]:
    start = time.perf_counter()
    answer = send()
    return time.perf_counter() - start, answer


def slower(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the probability that a time of the one is longer than one of the other: 0.5 where nobody can tell."""
    ranked = sorted(other)
    return sum(bisect_left(ranked, each) + bisect_right(ranked, each) for each in one) / (2 * len(one) * len(other))


def told_apart(times: dict[str, list[float]]) -> dict[tuple[str, str], float]:
    """Return the pairs whose times can be told apart."""
    found = {(one, other): slower(times[one], times[other]) for one, other in combinations(times, 2)}
    low, high = NOT_TOLD_APART
    return {pair: share for pair, share in found.items() if not low <= share <= high}


def in_random_order(numbers: range) -> list[tuple[str, int]]:
    requests = [(state, number) for state in STATES for number in numbers]
    random.Random(4).shuffle(requests)
    return requests


def sign_ups(client: FlaskClient, clock: SetClock, numbers: range) -> tuple[dict[str, list[float]], list[TestResponse]]:
    """Sign every address up, in random order; return how long that took by state, and the answers."""
    fields: dict[str, Any] = read(client.get("/fr/")).fields()
    clock.advance(timedelta(seconds=5))
    times: dict[str, list[float]] = {state: [] for state in STATES}
    answers = []
    for state, number in in_random_order(numbers):
        data = {**fields, "address": address_of(state, number)}
        took, answer = timed(lambda data=data: client.post("/fr/subscriptions", data=data))
        times[state].append(took)
        answers.append(answer)
    return times, answers


def test_the_measure_sees_a_difference_and_sees_none_where_there_is_none() -> None:
    chance = random.Random(1)
    same = {name: [chance.gauss(10, 1) for _ in range(TIMES)] for name in "ab"}
    assert not told_apart(same)
    assert told_apart({"a": same["a"], "b": [each + 0.5 for each in same["b"]]})


def test_the_answer_to_a_sign_up_is_alike_and_takes_alike(site: Site, clock: SetClock) -> None:
    parts, client = site(0.05)
    make_newsletter(parts)
    prepare(parts, range(TIMES))
    clock.advance(timedelta(days=2))
    times, answers = sign_ups(client, clock, range(TIMES))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1
    assert not told_apart(times)


def test_without_even_times_the_same_measure_tells_addresses_apart(site: Site, clock: SetClock) -> None:
    parts, client = site(0)
    make_newsletter(parts)
    prepare(parts, range(TIMES))
    clock.advance(timedelta(days=2))
    times, _ = sign_ups(client, clock, range(TIMES))
    assert told_apart(times)


@pytest.mark.parametrize("answers_take", [0.05, 0])
def test_asking_for_the_preferences_link_takes_alike_for_readers_and_for_those_who_left(
    site: Site, clock: SetClock, answers_take: float
) -> None:
    parts, client = site(answers_take)
    make_newsletter(parts)
    readers = {
        "active": [make_reader(parts, address_of("active", number)) for number in range(TIMES)],
        "ended": [make_reader(parts, address_of("ended", number)) for number in range(TIMES)],
    }
    for reader in readers["ended"]:
        leave(parts, reader)
    times: dict[str, list[float]] = {state: [] for state in readers}
    answers = []
    requests = [(state, reader) for state, them in readers.items() for reader in them]
    random.Random(4).shuffle(requests)
    for state, reader in requests:
        link = f"/p/{parts.links.manage_token(reader.id, 0)}"
        took, answer = timed(lambda link=link: client.post(link))
        times[state].append(took)
        answers.append(answer)
    assert bool(told_apart(times)) == (answers_take == 0)
    assert {answer.status_code for answer in answers} == {200}
    assert len({len(answer.data) for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1
