"""Senders that work at the same time, and leases that are kept while a server takes its time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic, sleep

from ledger_parts import Channeled, PlainLane, always, claim, make_batch, only, rows, send, states, verdict

from newsletter.base.clock import SetClock
from newsletter.db.database import Database
from newsletter.deliveries import steps
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.memory.backend import MemoryBackend


def test_senders_that_work_at_once_send_each_mail_once(database: Database) -> None:
    batch_id = make_batch(database, 240)
    backend, together = MemoryBackend(), threading.Barrier(4)

    def work_with(others: int) -> int:
        together.wait()
        return send(database, backend, batch_id, name=f"sender {others}", window=7).accepted

    with ThreadPoolExecutor(4) as pool:
        accepted = list(pool.map(work_with, range(4)))
    assert Counter(message.key for message in backend.messages) == Counter(row.id for row in rows(database, batch_id))
    assert sum(accepted) == 240
    assert states(database, batch_id) == ["accepted"] * 240
    assert all(row.attempts == 1 for row in rows(database, batch_id))


def test_senders_that_find_the_same_dead_sender_take_each_row_back_once(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 60)
    claim(database, batch_id, "dead", most=60)
    clock.advance(timedelta(seconds=61))
    backend, together = MemoryBackend(), threading.Barrier(2)

    def work_with(other: int) -> None:
        together.wait()
        send(database, backend, batch_id, name=f"sender {other}", window=5)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work_with, range(2)))
    assert len(backend.messages) == 60
    assert {(str(row.state), row.doubts, row.possible_copies) for row in rows(database, batch_id)} == {
        ("accepted", 1, 1)
    }


def test_a_sender_keeps_its_leases_while_it_waits_for_a_slow_server(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    lease = timedelta(seconds=0.3)
    others: list[int] = []

    def slowly(messages: Sequence[Message]) -> Iterator[Verdict]:
        for _ in range(3):
            held_until = only(database, batch_id).lease_until
            assert held_until is not None
            clock.advance(lease * 0.9)
            wait_until_renewed(database, batch_id)
            others.append(send(database, always(Outcome.FAILED), batch_id, name="two").failed)
        for message in messages:
            yield verdict(message)

    def wait_until_renewed(database: Database, batch_id: int) -> None:
        give_up = monotonic() + 10
        while (until := only(database, batch_id).lease_until) is None or until < clock.now() + lease:
            assert monotonic() < give_up, "the lease was not renewed"
            sleep(0.01)

    tally = send(database, Channeled(slowly), batch_id, name="one", lease=lease)
    assert others == [0, 0, 0]
    assert (tally.accepted, tally.lost_leases) == (1, 0)


def test_a_lost_lease_is_not_renewed(database: Database, clock: SetClock) -> None:
    batch_id = make_batch(database, 1)
    claim(database, batch_id, "one")
    clock.advance(timedelta(seconds=60))
    with database.work() as work:
        steps.renew(work, owner="one", lease=timedelta(seconds=60))
    assert send(database, always(Outcome.ACCEPTED), batch_id, name="two", lane=PlainLane()).accepted == 1
