"""Whoever signs up or leaves does not wait for the sender's lock, however fast an issue leaves."""

from __future__ import annotations

import threading
from time import perf_counter, sleep

from ledger_parts import make_batch, send, states

from newsletter.db.database import Database
from newsletter.deliveries.models import Batch
from newsletter.mail.providers.memory.backend import MemoryBackend

MAILS = 4_000
LONGEST_WAIT = 0.3  # seconds


def test_a_door_gets_the_lock_while_an_issue_leaves(database: Database) -> None:
    batch_id = make_batch(database, MAILS)
    sender = threading.Thread(target=send, args=(database, MemoryBackend(), batch_id))
    waits: list[float] = []
    sender.start()
    while sender.is_alive():
        began = perf_counter()
        with database.work() as work:
            waits.append(perf_counter() - began)
            work.session.get_one(Batch, batch_id)
        sleep(0.005)
    sender.join()
    assert states(database, batch_id) == ["accepted"] * MAILS
    assert len(waits) > 10, "the sender left no room for a comparison"
    assert max(waits) < LONGEST_WAIT, f"the longest wait was {max(waits):.3f} s of {len(waits)}"
