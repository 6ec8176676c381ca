"""Failover and roundrobin: who gets which mail, and that none goes on that may have left."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict
from newsletter.mail.providers.failover.backend import FailoverBackend
from newsletter.mail.providers.failover.channel import REST
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.roundrobin.backend import RoundRobinBackend, share_of

DATA = b"From: a@b.c\r\n\r\nx\r\n"


class Watch:
    """Seconds that pass by hand, and a little at each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.000_1
        return self.seconds


def message(key: int, recipient: str = "r@example.org") -> Message:
    return Message(key, "s@b.c", recipient, (DATA,))


def submit(backend: MailBackend, *messages: Message) -> list[Verdict]:
    with backend.open() as channel:
        return send_all(channel, messages)


def stopping(_recipient: str) -> Outcome:
    return Outcome.STOP


def keys_of(backend: MemoryBackend) -> list[int]:
    return sorted(each.key for each in backend.messages)


@pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.FAILED, Outcome.UNCERTAIN])
def test_a_mail_that_got_an_answer_or_may_have_left_stays_where_it_was_offered(outcome: Outcome) -> None:
    first, second = MemoryBackend(lambda _recipient: outcome), MemoryBackend()
    assert {each.outcome for each in submit(FailoverBackend((first, second)), *map(message, range(5)))} == {outcome}
    assert second.messages == []


def test_where_one_stops_the_next_takes_over_with_what_was_not_taken() -> None:
    taken = 0

    def three(_recipient: str) -> Outcome:
        nonlocal taken
        taken += 1
        return Outcome.ACCEPTED if taken <= 3 else Outcome.STOP

    first, second = MemoryBackend(three), MemoryBackend()
    verdicts = submit(FailoverBackend((first, second)), *map(message, range(10)))
    assert {each.outcome for each in verdicts} == {Outcome.ACCEPTED}
    assert keys_of(first) == [0, 1, 2]
    assert keys_of(second) == list(range(3, 10))


def test_one_that_stopped_is_asked_again_after_its_rest_by_all_channels() -> None:
    watch, asked = Watch(), []

    def dead(recipient: str) -> Outcome:
        asked.append(recipient)
        return Outcome.STOP

    first, second = MemoryBackend(dead), MemoryBackend()
    backend = FailoverBackend((first, second), watch)
    with backend.open() as one, backend.open() as other:
        send_all(one, [message(1)])
        send_all(other, [message(2)])
        send_all(one, [message(3)])
        assert len(asked) == 1
        watch.seconds += REST
        first.decide = lambda _recipient: Outcome.ACCEPTED
        send_all(other, [message(4)])
        send_all(one, [message(5)])
    assert (keys_of(first), keys_of(second)) == ([4, 5], [1, 2, 3])


def test_when_all_stop_each_mail_gets_one_stop_and_a_later_submit_tries_again() -> None:
    first, second = MemoryBackend(stopping), MemoryBackend(stopping)
    backend = FailoverBackend((first, second), Watch())
    with backend.open() as channel:
        assert [each.outcome for each in send_all(channel, list(map(message, range(9))))] == [Outcome.STOP] * 9
        first.decide = lambda _recipient: Outcome.ACCEPTED
        assert send_all(channel, [message(10)])[0].outcome is Outcome.ACCEPTED


def test_that_another_took_over_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    backend = FailoverBackend((MemoryBackend(stopping), MemoryBackend()))
    with caplog.at_level(logging.WARNING):
        submit(backend, *map(message, range(20)))
        submit(backend, *map(message, range(20)))
    assert len([each for each in caplog.records if "others take over" in each.getMessage()]) == 1


def test_readers_are_shared_out_evenly_and_each_keeps_its_way() -> None:
    backends = MemoryBackend(), MemoryBackend(), MemoryBackend()
    mails = [message(key, f"reader{key}@example.org") for key in range(3000)]
    for _ in range(2):
        submit(RoundRobinBackend(backends), *mails)
    shares = [Counter(each.recipient for each in backend.messages) for backend in backends]
    assert all(900 < len(share) < 1100 for share in shares)
    assert all(set(share.values()) == {2} for share in shares), "the second time by the same way"


def test_the_share_of_an_address_never_changes() -> None:
    """Written down: another process, or another version, must find the same way for a mail that is sent again."""
    assert [share_of(f"reader{number}@example.org", 3) for number in range(8)] == SHARES
    assert share_of("Reader1@Example.org", 3) == share_of("reader1@example.org", 3)


SHARES = [1, 2, 2, 1, 0, 1, 1, 1]


def test_readers_of_one_that_stops_go_to_the_next() -> None:
    backends = MemoryBackend(), MemoryBackend(stopping), MemoryBackend()
    mails = [message(key, f"reader{key}@example.org") for key in range(300)]
    verdicts = submit(RoundRobinBackend(backends), *mails)
    assert {each.outcome for each in verdicts} == {Outcome.ACCEPTED}
    assert sorted(keys_of(backends[0]) + keys_of(backends[2])) == list(range(300))
    kept = {each.key for each in backends[0].messages}
    assert {key for key in range(300) if share_of(f"reader{key}@example.org", 3) == 0} <= kept


def test_they_can_stand_inside_one_another() -> None:
    dead, alive, other = MemoryBackend(stopping), MemoryBackend(), MemoryBackend()
    backend = RoundRobinBackend((FailoverBackend((dead, alive)), FailoverBackend((other, dead))))
    mails = [message(key, f"reader{key}@example.org") for key in range(100)]
    assert {each.outcome for each in submit(backend, *mails)} == {Outcome.ACCEPTED}
    assert sorted(keys_of(alive) + keys_of(other)) == list(range(100))
    assert alive.messages
    assert other.messages


outcomes = st.sampled_from(list(Outcome))


@settings(max_examples=200, deadline=None)
@given(
    plans=st.lists(st.lists(outcomes, min_size=1, max_size=12), min_size=1, max_size=4),
    sizes=st.lists(st.integers(0, 9), max_size=5),
)
def test_whatever_they_answer_each_mail_gets_one_verdict_and_is_kept_at_most_once(
    plans: list[list[Outcome]], sizes: list[int]
) -> None:
    backends = tuple(MemoryBackend(_planned(plan)) for plan in plans)
    for backend in (FailoverBackend(backends, Watch()), RoundRobinBackend(backends, Watch())):
        for each in backends:
            each.messages.clear()
        given_out, found = 0, []
        with backend.open() as channel:
            for size in sizes:
                channel.submit([message(given_out + step, f"r{step}@example.org") for step in range(size)])
                given_out += size
                found += channel.verdicts(wait=1)
            while len(found) < given_out:
                found += channel.verdicts(wait=1)
            assert list(channel.verdicts(wait=1)) == []
        assert sorted(each.key for each in found) == list(range(given_out))
        kept = Counter(each.key for backend in backends for each in backend.messages)
        left = {each.key for each in found if each.outcome in {Outcome.ACCEPTED, Outcome.UNCERTAIN}}
        assert kept == Counter(left)


def _planned(plan: list[Outcome]) -> Callable[[str], Outcome]:
    answers = itertools.cycle(plan)
    return lambda _recipient: next(answers)


class Broken:
    """A backend whose check fails, once the other one's has begun, too."""

    name = "broken"

    def __init__(self, error: Exception, together: threading.Barrier) -> None:
        self.error = error
        self.together = together

    def check(self) -> None:
        self.together.wait(5)
        raise self.error


def test_a_check_looks_at_all_of_them_at_once_and_names_each_that_does_not_work() -> None:
    together = threading.Barrier(2)
    waiting, wrong = Unavailable("one: silent"), ConfigError("two: wrong key")
    backends = (Broken(waiting, together), Broken(wrong, together), MemoryBackend())
    for several in (FailoverBackend, RoundRobinBackend):
        with pytest.raises(ConfigError, match="one: silent; two: wrong key"):
            several(backends).check()  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        FailoverBackend((Broken(waiting, threading.Barrier(1)), MemoryBackend())).check()  # type: ignore[arg-type]
