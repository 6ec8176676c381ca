"""Sending what is due of some lanes: the same in `run --due`, in a thread of `serve`, and in `worker`."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from newsletter.db.database import Database
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.lanes import Lane
from newsletter.deliveries.models import LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.sending import CHUNK, Sender, Tally, send_batch
from newsletter.mail.port import MailBackend

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
            postroom.database, postroom.backend, postroom.lanes[lane], batch_id, sender=_sender(postroom)
        )
        if sent.stopped:
            break
    return sent


def _sender(postroom: Postroom) -> Sender:
    """Name this sender so that no other one can ever mistake its rows for his own."""
    name = f"{socket.gethostname()[:20]}:{os.getpid()}:{threading.get_ident() % 10_000}:{uuid.uuid4().hex[:8]}"
    return Sender(name, window=postroom.window, in_doubt=postroom.in_doubt, chunk=postroom.chunk, stop=postroom.stop)
