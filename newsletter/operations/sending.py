"""Sending what is due of some lanes: the same in `run --due`, in a thread of `serve`, and in `worker`."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from newsletter.base.errors import NewsletterError
from newsletter.db.database import Database
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.lanes import Lane
from newsletter.deliveries.models import LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.sending import CHUNK, Sender, Tally, send_batch
from newsletter.mail.port import MailBackend

log = logging.getLogger(__name__)
BESIDE_EVERY = 0.3  # seconds between two looks at what a person waits for
TRANSACTIONAL = (LaneName.CONFIRMATION, LaneName.NOTICE)


@dataclass(frozen=True, slots=True)
class Postroom:
    """Everything that sending needs."""

    database: Database
    backend: MailBackend
    lanes: Mapping[LaneName, Lane]
    window: int
    in_doubt: InDoubt
    chunk: int = CHUNK
    stop: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass(slots=True)
class Sent:
    """What was done with each batch, by its number."""

    tallies: dict[int, Tally] = field(default_factory=dict)

    def add(self, more: Sent) -> None:
        """Add what another look sent; the newest stop is the one that counts."""
        for batch_id, tally in more.tallies.items():
            self.tallies.setdefault(batch_id, Tally()).add(tally)

    @property
    def accepted(self) -> int:
        return sum(tally.accepted for tally in self.tallies.values())

    @property
    def stopped(self) -> str | None:
        return next((tally.stopped for tally in self.tallies.values() if tally.stopped), None)


def send_due(postroom: Postroom, *, lanes: Sequence[LaneName]) -> Sent:
    """Send every due batch of these lanes; the first that the backend stops ends it. Safe to repeat and at once."""
    with postroom.database.reading() as work:
        due = ledger.due_batches(work, lanes=lanes)
    sent = Sent()
    for batch_id, lane in due:
        sent.tallies[batch_id] = send_batch(
            postroom.database, postroom.backend, postroom.lanes[lane], batch_id, sender=sender_of(postroom)
        )
        if sent.stopped:
            break
    return sent


@contextmanager
def transactional_beside(postroom: Postroom) -> Iterator[Sent]:
    """Send confirmations and notices in a thread of their own as long as the block lasts: none waits for an issue.

    What was sent is in the tallies when the block is over.
    """
    done, sent = threading.Event(), Sent()

    def keep_sending() -> None:
        while not done.wait(BESIDE_EVERY):
            try:
                sent.add(send_due(postroom, lanes=TRANSACTIONAL))
            except NewsletterError as error:
                log.warning("%s", error)

    thread = threading.Thread(target=keep_sending, name="transactional", daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


def sender_of(postroom: Postroom) -> Sender:
    """Name this sender so that no other one can ever mistake its rows for his own."""
    name = f"{socket.gethostname()[:20]}:{os.getpid()}:{threading.get_ident() % 10_000}:{uuid.uuid4().hex[:8]}"
    return Sender(name, window=postroom.window, in_doubt=postroom.in_doubt, chunk=postroom.chunk, stop=postroom.stop)
