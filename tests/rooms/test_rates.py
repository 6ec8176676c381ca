"""Rates: a family that says we are too fast rests alone, a backend that stops us as a whole; limits are shared."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from ledger_parts import Channeled, PlainLane, always, claim, make_batch, rows, send, states
from sqlalchemy import select, update

from newsletter.base.clock import SetClock
from newsletter.db.database import Database
from newsletter.deliveries import rates
from newsletter.deliveries.models import EVERY_FAMILY, Delivery, Rate
from newsletter.deliveries.pacing import BUSY_FOR, FULLY_OPEN, THROTTLED_FOR
from newsletter.deliveries.sending import Sender, send_batch
from newsletter.mail.port import Message, Outcome, Verdict

BACKEND = "channeled"
MINUTE = timedelta(minutes=1)


def make(database: Database, **families: int) -> int:
    """Make a batch with so many mails to each family, mixed as in life."""
    names = [family for family, mails in families.items() for _ in range(mails)]
    mixed = [names[(place * 7919) % len(names)] for place in range(len(names))] if len(names) % 7919 else names
    batch_id = make_batch(database, len(mixed))
    with database.work() as work:
        ids = work.session.scalars(select(Delivery.id).where(Delivery.batch_id == batch_id).order_by(Delivery.id)).all()
        for number, family in zip(ids, mixed, strict=True):
            work.session.execute(update(Delivery).where(Delivery.id == number).values(family=family))
    return batch_id


class Server(Channeled):
    """A mail server that answers by family, and knows how many mails were on their way to each at once."""

    def __init__(self, database: Database, answer: Callable[[str], Verdict] | None = None) -> None:
        super().__init__(self._answers)
        self.database = database
        self.answer = answer
        self.taken: Counter[str] = Counter()
        self.flying: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def submit(self, messages: Sequence[Message]) -> None:
        with self.database.reading() as work:
            wanted = select(Delivery.id, Delivery.family).where(Delivery.id.in_([each.key for each in messages]))
            self.families = getattr(self, "families", {}) | {row.id: row.family for row in work.session.execute(wanted)}
        self.flying.update(self.families[each.key] for each in messages)
        self.most |= self.flying
        super().submit(messages)

    def _answers(self, messages: Sequence[Message]) -> Iterator[Verdict]:
        for message in messages:
            family = self.families[message.key]
            said = self.answer(family) if self.answer else taken()
            self.flying[family] -= 1
            self.taken[family] += said.outcome is Outcome.ACCEPTED
            yield Verdict(message.key, said.outcome, said.code, said.reason, said.text)


def taken() -> Verdict:
    return Verdict(0, Outcome.ACCEPTED, 250, "accepted", "2.0.0 Ok")


def too_fast(*families: str) -> Callable[[str], Verdict]:
    said = Verdict(0, Outcome.DEFERRED, 421, "throttled", "4.7.28 too fast")
    return lambda family: said if family in families else taken()


def rate(database: Database, family: str = EVERY_FAMILY) -> Rate:
    with database.reading() as work:
        found = work.session.get_one(Rate, (BACKEND, family))
        work.session.expunge(found)
        return found


def limit(database: Database, family: str, *, per_minute: int | None = None, lines: int | None = None) -> None:
    with database.work() as work:
        rates.set_limits(work, BACKEND, family=family, per_minute=per_minute, lines=lines)


def by_family(database: Database, batch_id: int, state: str) -> dict[str, int]:
    return dict(Counter(row.family for row in rows(database, batch_id) if row.state == state))


# A family that throttles us


def test_a_family_that_says_we_are_too_fast_rests_and_the_others_go_on(database: Database, clock: SetClock) -> None:
    batch_id = make(database, gmail=40, outlook=40, others=40)
    first = Server(database, too_fast("gmail"))
    assert send(database, first, batch_id, window=8).stopped is None
    assert first.taken == {"outlook": 40, "others": 40, "gmail": 0}
    assert by_family(database, batch_id, "deferred")["gmail"] <= 8, "one window learnt it"
    assert by_family(database, batch_id, "pending")["gmail"] >= 32
    assert rate(database, "gmail").paused_until == clock.now() + THROTTLED_FOR
    assert rate(database, "gmail").reason == "4.7.28 too fast"


def test_a_neighbour_sends_nothing_to_a_family_that_rests(database: Database, clock: SetClock) -> None:
    batch_id = make(database, gmail=5, others=5)
    send(database, Server(database, too_fast("gmail")), batch_id, window=4)
    another = make(database, gmail=5, others=5)
    clock.advance(THROTTLED_FOR - timedelta(seconds=1))
    neighbour = Server(database)
    send(database, neighbour, another, name="two")
    assert neighbour.taken == {"others": 5}
    assert by_family(database, another, "pending") == {"gmail": 5}


def test_a_family_comes_back_with_one_mail_at_a_time_one_more_each_minute_and_in_the_end_without_a_limit(
    database: Database, clock: SetClock
) -> None:
    send(database, Server(database, too_fast("gmail")), make(database, gmail=1), window=1)
    clock.advance(THROTTLED_FOR)
    seen = []
    for _ in range(FULLY_OPEN + 1):
        server = Server(database)
        send(database, server, make(database, gmail=50), window=64)
        assert server.taken == {"gmail": 50}
        seen.append(server.most["gmail"])
        clock.advance(MINUTE)
    # The first result of a minute opens the next line, and the mails behind it use it.
    assert seen[:2] == [1, 2]
    assert {after - before for before, after in pairwise(seen[: FULLY_OPEN - 1])} == {1}
    assert seen[-1] == 50, "no limit any more"
    assert (rate(database, "gmail").opened, rate(database, "gmail").reason) == (None, None)


def test_many_small_domains_do_not_pay_for_one_of_them(database: Database) -> None:
    batch_id = make(database, others=10)
    said = iter([too_fast("others")("others")])
    server = Server(database, lambda _: next(said, taken()))
    send(database, server, batch_id, window=2)
    assert Counter(states(database, batch_id)) == {"accepted": 9, "deferred": 1}


# A backend in trouble


def busy() -> Verdict:
    return Verdict(0, Outcome.DEFERRED, 451, "server_busy", "4.3.0 try later")


def test_five_times_busy_in_a_row_leaves_the_backend_alone_for_five_minutes(
    database: Database, clock: SetClock
) -> None:
    batch_id = make(database, others=20)
    tally = send(database, Server(database, lambda _: busy()), batch_id, window=1)
    assert (tally.deferred, tally.stopped) == (5, "server_busy: 4.3.0 try later")
    assert rate(database).paused_until == clock.now() + BUSY_FOR
    clock.advance(BUSY_FOR - timedelta(seconds=1))
    waiting = send(database, Server(database), batch_id, name="two")
    assert waiting.accepted == 0
    assert waiting.stopped is not None
    assert waiting.stopped.startswith("server_busy: waiting until ")
    clock.advance(timedelta(seconds=1))
    assert send(database, Server(database), batch_id, name="two").accepted >= 15


def test_four_times_busy_and_one_accepted_is_no_trouble(database: Database) -> None:
    said = iter([busy(), busy(), busy(), busy(), taken()] * 4)
    tally = send(database, Server(database, lambda _: next(said)), make(database, others=20), window=1)
    assert (tally.deferred, tally.accepted, tally.stopped) == (16, 4, None)


def test_a_backend_that_stops_us_is_left_alone_for_one_two_four_and_at_most_fifteen_minutes(
    database: Database, clock: SetClock
) -> None:
    batch_id = make(database, others=3)
    waits = []
    for _ in range(6):
        assert send(database, always(Outcome.STOP), batch_id).stopped is not None
        until = rate(database).paused_until
        assert until is not None
        waits.append((until - clock.now()) / MINUTE)
        clock.move_to(until)
    assert waits == [1, 2, 4, 8, 15, 15]
    assert [row.attempts for row in rows(database, batch_id)] == [0, 0, 0]


def test_an_accepted_mail_forgets_all_stops(database: Database, clock: SetClock) -> None:
    batch_id = make(database, others=2)
    for _ in range(3):
        send(database, always(Outcome.STOP), batch_id)
        clock.advance(timedelta(minutes=15))
    assert send(database, Server(database), batch_id).accepted == 2
    assert (rate(database).troubles, rate(database).paused_until) == (0, None)
    send(database, always(Outcome.STOP), make(database, others=1))
    assert rate(database).paused_until == clock.now() + MINUTE


def test_senders_that_are_stopped_at_once_count_as_one_stop(database: Database, clock: SetClock) -> None:
    with database.work() as work:
        for _ in range(8):
            rates.stopped(work, BACKEND, reason="unreachable")
    assert (rate(database).troubles, rate(database).paused_until) == (1, clock.now() + MINUTE)


def test_another_backend_does_not_rest(database: Database) -> None:
    batch_id = make(database, others=2)
    send(database, always(Outcome.STOP), batch_id)
    other = Server(database)
    other.name = "another"
    assert send(database, other, batch_id).accepted == 2


def test_a_person_ends_all_pauses_of_a_backend_and_keeps_its_limits(database: Database) -> None:
    batch_id = make(database, gmail=2, others=2)
    limit(database, "gmail", lines=9)
    send(database, Server(database, too_fast("gmail")), batch_id)
    send(database, always(Outcome.STOP), make(database, others=1))
    with database.work() as work:
        assert rates.resume(work, BACKEND) == 2
        assert rates.resume(work, BACKEND) == 0
    gmail = rate(database, "gmail")
    assert (gmail.paused_until, gmail.opened, gmail.lines) == (None, None, 9)
    assert rate(database).troubles == 0


def test_a_pause_that_seems_longer_than_any_was_written_by_a_clock_that_has_been_set_back(
    database: Database, clock: SetClock
) -> None:
    batch_id = make(database, others=2)
    send(database, always(Outcome.STOP), batch_id)
    clock.advance(-timedelta(hours=1))
    assert send(database, Server(database), batch_id).accepted == 2


# Limits of an operator


def test_limits_by_the_minute_are_shared_by_senders_at_once(database: Database, clock: SetClock) -> None:
    limit(database, EVERY_FAMILY, per_minute=600)
    batches = [make(database, others=60), make(database, others=60)]
    began = clock.now()
    threads = [
        threading.Thread(target=send, args=(database, Server(database), number), kwargs={"name": f"s{number}"})
        for number in batches
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        clock.advance(timedelta(seconds=0.05))
        threads[0].join(0.005)
        threads[1].join(0.005)
    assert all(set(states(database, number)) == {"accepted"} for number in batches)
    # 120 mails at 10 a second, less the 20 that may leave at once.
    assert (clock.now() - began).total_seconds() >= 10


def test_limits_by_the_minute_of_a_family_do_not_slow_the_others(database: Database) -> None:
    limit(database, "gmail", per_minute=60)
    batch_id = make(database, gmail=20, others=60)
    server = Server(database)
    sender = Sender("one", window=8)
    thread = threading.Thread(
        target=send_batch, args=(database, server, PlainLane(), batch_id), kwargs={"sender": sender}
    )
    thread.start()
    for _ in range(500):
        thread.join(0.01)
        if server.taken.total() >= 62:
            break
    sender.stop.set()
    thread.join()
    assert server.taken == {"gmail": 2, "others": 60}, "60 a minute: 2 may leave at once, and no time has passed"


def test_a_limit_of_lines_counts_the_mails_on_their_way_of_all_senders(database: Database) -> None:
    limit(database, "gmail", lines=4)
    neighbours = claim(database, make(database, gmail=3), "neighbour")
    assert len(neighbours) == 3
    server = Server(database)
    send(database, server, make(database, gmail=30, outlook=30), window=16)
    assert server.most["gmail"] == 1
    assert server.most["outlook"] > 4
    assert server.taken == {"gmail": 30, "outlook": 30}


def test_a_limit_of_lines_holds_for_all_mail_together(database: Database) -> None:
    limit(database, EVERY_FAMILY, lines=3)
    server = Server(database)
    send(database, server, make(database, gmail=15, outlook=15), window=16)
    assert server.taken.total() == 30
    assert max(server.most.total(), 3) <= 6
    assert server.most["gmail"] <= 3


def test_a_sender_waits_for_a_familys_rate_by_the_minute(database: Database, clock: SetClock) -> None:
    limit(database, "gmail", per_minute=600)
    batch_id = make(database, gmail=60)
    thread = threading.Thread(target=send, args=(database, Server(database), batch_id))
    thread.start()
    while thread.is_alive():
        clock.advance(timedelta(seconds=0.05))
        thread.join(0.005)
    assert set(states(database, batch_id)) == {"accepted"}
