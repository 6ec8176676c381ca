"""The ledger: a row goes one way, is held by one sender, and is never lost or doubled in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from ledger_parts import (
    PATIENCE,
    Channeled,
    Killed,
    PlainLane,
    always,
    claim,
    dies,
    make_batch,
    only,
    rows,
    send,
    set_state,
    settle,
    states,
    verdict,
)

from newsletter.base.clock import SetClock
from newsletter.db.database import Database
from newsletter.deliveries import queries
from newsletter.deliveries.models import BatchState, DeliveryState, LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.sending import LEASE
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.memory.backend import MemoryBackend

PAST_THE_LEASE = LEASE + timedelta(seconds=1)


def crash(database: Database, batch_id: int, clock: SetClock, *, in_doubt: InDoubt = "resend") -> None:
    """Let a sender die with everything on its way, and its leases run out."""
    with pytest.raises(Killed):
        send(database, Channeled(dies), batch_id, in_doubt=in_doubt)
    clock.advance(PAST_THE_LEASE)


def test_a_row_is_claimed_once(database: Database) -> None:
    batch_id = make_batch(database, 3)
    assert len(claim(database, batch_id, "one", most=2)) == 2
    assert len(claim(database, batch_id, "two")) == 1
    assert claim(database, batch_id, "three") == []


def test_a_claim_alone_is_no_doubt(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    claim(database, batch_id, "one", intend=False)
    row = only(database, batch_id)
    assert (row.state, row.owner, row.attempts, row.intent_at) == (DeliveryState.SENDING, "one", 0, None)
    clock.advance(PAST_THE_LEASE)
    send(database, always(Outcome.ACCEPTED), batch_id, name="two")
    row = only(database, batch_id)
    assert (row.state, row.attempts, row.doubts, row.possible_copies) == (DeliveryState.ACCEPTED, 1, 0, 0)


def test_an_intent_is_written_before_anything_leaves(database: Database) -> None:
    batch_id = make_batch(database, 1)
    seen = []

    def looks(messages: Sequence[Message]) -> Iterator[Verdict]:
        for message in messages:
            seen.append([(row.intent_at is not None, row.attempts, row.owner) for row in rows(database, batch_id)])
            yield verdict(message)

    send(database, Channeled(looks), batch_id, name="one")
    assert seen == [[(True, 1, "one")]]


def test_only_who_holds_a_row_settles_it(database: Database) -> None:
    batch_id = make_batch(database, 1)
    (held,) = claim(database, batch_id, "one")
    assert not settle(database, held, "two")
    assert states(database, batch_id) == ["sending"]
    assert settle(database, held, "one")
    assert not settle(database, held, "one", DeliveryState.FAILED), "it is settled already"
    assert states(database, batch_id) == ["accepted"]


def test_a_result_that_comes_after_the_lease_is_logged_and_not_written(
    database: Database, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = make_batch(database, 1)
    taken = MemoryBackend()

    def slowly(messages: Sequence[Message]) -> Iterator[Verdict]:
        clock.advance(PAST_THE_LEASE)
        send(database, taken, batch_id, name="two")
        for message in messages:
            yield verdict(message, Outcome.FAILED)

    with caplog.at_level(logging.WARNING):
        tally = send(database, Channeled(slowly), batch_id, name="one")
    assert tally.lost_leases == 1
    assert (tally.failed, tally.accepted) == (0, 0)
    assert "the lease was lost" in caplog.text
    row = only(database, batch_id)
    assert (row.state, row.possible_copies) == (DeliveryState.ACCEPTED, 1)
    assert len(taken.messages) == 1


def test_a_living_lease_is_not_taken_back(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    claim(database, batch_id, "one")
    clock.advance(LEASE - timedelta(seconds=1))
    assert send(database, always(Outcome.ACCEPTED), batch_id, name="two").accepted == 0
    assert states(database, batch_id) == ["sending"]


def test_what_a_dead_sender_held_is_sent_again_and_counted_as_a_possible_copy(
    database: Database, clock: SetClock
) -> None:
    batch_id = make_batch(database, 2)
    crash(database, batch_id, clock)
    backend = MemoryBackend()
    send(database, backend, batch_id)
    assert len(backend.messages) == 2
    assert [(str(row.state), row.possible_copies, row.attempts) for row in rows(database, batch_id)] == [
        ("accepted", 1, 2)
    ] * 2


def test_what_a_dead_sender_held_waits_for_a_person_where_doubt_means_to_hold(
    database: Database, clock: SetClock
) -> None:
    batch_id = make_batch(database, 1)
    crash(database, batch_id, clock, in_doubt="hold")
    lane, backend = PlainLane(), MemoryBackend()
    send(database, backend, batch_id, lane=lane, in_doubt="hold")
    row = only(database, batch_id)
    assert (row.state, row.reason, row.possible_copies) == (DeliveryState.UNCERTAIN, "sender_died", 0)
    assert lane.heard == [(row.id, "uncertain")]
    assert backend.messages == []


def test_three_senders_that_died_over_a_row_are_enough(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    for _ in range(3):
        crash(database, batch_id, clock)
    backend = MemoryBackend()
    send(database, backend, batch_id)
    row = only(database, batch_id)
    assert (row.state, row.attempts, row.possible_copies) == (DeliveryState.UNCERTAIN, 3, 2)
    assert backend.messages == []


def test_an_uncertain_mail_is_sent_once_more_and_then_left_to_a_person(database: Database) -> None:
    batch_id = make_batch(database, 1)
    backend, lane = MemoryBackend(lambda _: Outcome.UNCERTAIN), PlainLane()
    send(database, backend, batch_id, lane=lane)
    row = only(database, batch_id)
    assert (row.state, row.attempts, row.doubts, row.possible_copies) == (DeliveryState.UNCERTAIN, 2, 2, 1)
    assert len(backend.messages) == 2
    assert lane.heard == [(row.id, "pending"), (row.id, "uncertain")]


def test_an_uncertain_mail_is_not_sent_again_where_doubt_means_to_hold(database: Database) -> None:
    batch_id = make_batch(database, 1)
    backend = MemoryBackend(lambda _: Outcome.UNCERTAIN)
    send(database, backend, batch_id, in_doubt="hold")
    assert states(database, batch_id) == ["uncertain"]
    assert len(backend.messages) == 1


@pytest.mark.parametrize("second", [Outcome.FAILED, Outcome.DEFERRED])
def test_a_mail_that_may_have_left_never_ends_as_failed(database: Database, clock: SetClock, second: Outcome) -> None:
    """As failed its articles would be planned anew, and could be given twice."""
    batch_id = make_batch(database, 1)
    answers = [Outcome.UNCERTAIN]
    backend = MemoryBackend(lambda _: answers.pop() if answers else second)
    lane = PlainLane()
    send(database, backend, batch_id, lane=lane)
    clock.advance(PATIENCE)
    send(database, backend, batch_id, lane=lane)
    assert states(database, batch_id) == ["uncertain"]
    assert lane.heard[-1][1] == "uncertain"


def test_a_mail_that_may_have_left_is_uncertain_when_its_reader_is_refused(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 2)
    crash(database, batch_id, clock)
    closed = rows(database, batch_id)[0]
    lane = PlainLane(closed={closed.subscriber_id})
    tally = send(database, always(Outcome.ACCEPTED), batch_id, lane=lane)
    assert states(database, batch_id) == ["uncertain", "accepted"]
    assert (tally.uncertain, tally.skipped) == (1, 0)
    assert (closed.id, "uncertain") in lane.heard


def test_a_refused_reader_is_skipped_without_an_attempt(database: Database) -> None:
    batch_id = make_batch(database, 2)
    closed = rows(database, batch_id)[0]
    backend = MemoryBackend()
    tally = send(database, backend, batch_id, lane=PlainLane(closed={closed.subscriber_id}))
    row = rows(database, batch_id)[0]
    assert (row.state, row.reason, row.attempts) == (DeliveryState.SKIPPED, "suppressed", 0)
    assert (tally.skipped, len(backend.messages)) == (1, 1)


def test_a_stop_gives_everything_back_without_spending_an_attempt(database: Database) -> None:
    batch_id = make_batch(database, 5)
    backend = MemoryBackend(lambda _: Outcome.STOP)
    tally = send(database, backend, batch_id, window=3)
    assert tally.stopped == "stop"
    assert [(str(row.state), row.attempts, row.doubts, row.owner) for row in rows(database, batch_id)] == [
        ("pending", 0, 0, None)
    ] * 5


def test_a_stop_in_the_middle_keeps_what_was_accepted_before(database: Database) -> None:
    batch_id = make_batch(database, 5)
    answers = [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.STOP]
    tally = send(database, MemoryBackend(lambda _: answers.pop(0)), batch_id, window=2)
    assert states(database, batch_id) == ["accepted"] * 3 + ["pending"] * 2
    assert tally.accepted == 3


@pytest.mark.parametrize("raises", [False, True])
def test_a_mail_that_cannot_be_composed_fails_alone(database: Database, *, raises: bool) -> None:
    batch_id = make_batch(database, 4)
    bad = rows(database, batch_id)[1]
    lane = PlainLane(bad={bad.id}, raises=raises)
    backend = MemoryBackend()
    send(database, backend, batch_id, lane=lane)
    assert states(database, batch_id) == ["accepted", "failed", "accepted", "accepted"]
    assert rows(database, batch_id)[1].reason == "cannot_compose: invalid_input"
    assert len(backend.messages) == 3


def test_a_deferred_mail_waits_longer_each_time_and_is_given_up_when_patience_ends(
    database: Database, clock: SetClock
) -> None:
    batch_id = make_batch(database, 1)
    began, waits = clock.now(), []
    while True:
        send(database, always(Outcome.DEFERRED), batch_id)
        row = only(database, batch_id)
        if row.next_attempt_at is None:
            break
        waits.append((row.next_attempt_at - clock.now()) / timedelta(minutes=1))
        clock.move_to(row.next_attempt_at - timedelta(seconds=1))
        assert send(database, always(Outcome.ACCEPTED), batch_id).accepted == 0, "too early"
        clock.move_to(row.next_attempt_at)
    meant = [min(5 * 2**n, 240) for n in range(len(waits))]
    assert all(0.8 * mean <= wait <= 1.2 * mean for wait, mean in zip(waits, meant, strict=True))
    assert 240 in meant
    assert (row.state, row.reason) == (DeliveryState.FAILED, "gave up: deferred")
    assert PATIENCE - timedelta(hours=5) < clock.now() - began <= PATIENCE


def test_a_pause_acts_within_one_window(database: Database) -> None:
    batch_id = make_batch(database, 10)
    sent: list[int] = []

    def paused_meanwhile(messages: Sequence[Message]) -> Iterator[Verdict]:
        set_state(database, batch_id, BatchState.PAUSED)
        for message in messages:
            sent.append(message.key)
            yield verdict(message)

    send(database, Channeled(paused_meanwhile), batch_id, window=4)
    assert len(sent) == 4
    assert sorted(states(database, batch_id)) == ["accepted"] * 4 + ["pending"] * 6
    send(database, always(Outcome.ACCEPTED), batch_id)
    assert states(database, batch_id).count("accepted") == 4, "a paused batch sends nothing"
    set_state(database, batch_id, BatchState.OPEN)
    send(database, always(Outcome.ACCEPTED), batch_id)
    assert states(database, batch_id) == ["accepted"] * 10


def test_rows_of_a_dead_sender_come_back_while_the_batch_is_paused(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    crash(database, batch_id, clock)
    set_state(database, batch_id, BatchState.PAUSED)
    send(database, always(Outcome.ACCEPTED), batch_id)
    assert states(database, batch_id) == ["pending"]


@pytest.mark.parametrize("left", ["deferred", "dead", "doubted"])
def test_nothing_stays_open_in_a_cancelled_batch(database: Database, clock: SetClock, left: str) -> None:
    """A row that stayed open would keep every later issue from its reader."""
    batch_id = make_batch(database, 1)
    if left == "deferred":
        send(database, always(Outcome.DEFERRED), batch_id)
    else:
        crash(database, batch_id, clock)
    if left == "doubted":
        send(database, always(Outcome.STOP), batch_id)
    set_state(database, batch_id, BatchState.CANCELLED)
    with database.reading() as work:
        assert (batch_id, LaneName.DIGEST) in queries.due_batches(work, lanes=[LaneName.DIGEST])
    lane = PlainLane()
    send(database, always(Outcome.ACCEPTED), batch_id, lane=lane)
    row = only(database, batch_id)
    assert str(row.state) == ("cancelled" if left == "deferred" else "uncertain")
    assert lane.heard == ([] if left == "deferred" else [(row.id, "uncertain")])
    with database.reading() as work:
        assert queries.due_batches(work, lanes=[LaneName.DIGEST]) == []


def test_the_results_of_a_batch_that_was_cancelled_in_flight_are_written(database: Database) -> None:
    batch_id = make_batch(database, 4)
    outcomes = [Outcome.ACCEPTED, Outcome.FAILED, Outcome.DEFERRED, Outcome.UNCERTAIN]

    def cancelled_meanwhile(messages: Sequence[Message]) -> Iterator[Verdict]:
        set_state(database, batch_id, BatchState.CANCELLED)
        for message, outcome in zip(messages, outcomes, strict=True):
            yield verdict(message, outcome)

    send(database, Channeled(cancelled_meanwhile), batch_id)
    assert states(database, batch_id) == ["accepted", "failed", "cancelled", "uncertain"]
