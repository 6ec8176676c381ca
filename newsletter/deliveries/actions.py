"""Putting a mail into the outbox, and sending a batch: intent before the bytes leave, result after."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from newsletter.base.errors import NewsletterError, Unavailable
from newsletter.db.database import Database, Work
from newsletter.deliveries import queries
from newsletter.deliveries.lanes import Claimed, Lane, Settled, Uncomposable
from newsletter.deliveries.models import Batch, BatchState, Delivery, DeliveryState
from newsletter.deliveries.policy import CANCELLED, InDoubt, after_verdict, ended, in_cancelled_batch
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
HEARTBEAT = timedelta(seconds=20)


@dataclass(slots=True)
class Tally:
    """What one sender did with a batch."""

    accepted: int = 0
    deferred: int = 0
    failed: int = 0
    skipped: int = 0
    uncertain: int = 0
    lost_leases: int = 0
    stopped: str | None = None


@dataclass(slots=True)
class _Window:
    """The rows on their way in this process; nothing is due where nothing was `claimed`."""

    claimed: int = 0
    held: dict[int, queries.Held] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def put(work: Work, *, batch_id: int, subscriber_id: int, content_id: int, occasion: int) -> Delivery:
    """Put one transactional mail into the outbox; it leaves when this work is committed."""
    delivery = Delivery(
        batch_id=batch_id,
        subscriber_id=subscriber_id,
        content_id=content_id,
        occasion=occasion,
        state=DeliveryState.PENDING,
        created_at=work.now,
    )
    work.session.add(delivery)
    work.session.flush()
    return delivery


@dataclass(frozen=True, slots=True)
class Sender:
    """One sending process or thread: its name in the ledger and its settings."""

    name: str
    window: int = 32
    in_doubt: InDoubt = "resend"
    lease: timedelta = LEASE


def send_batch(database: Database, backend: MailBackend, lane: Lane, batch_id: int, *, sender: Sender) -> Tally:
    """Send what is due of a batch until nothing is, or the backend says stop.

    Safe to run twice, at once, and after a crash: the row is the truth, and at most one window is ever in doubt.
    """
    tally = Tally()
    window = _Window()
    with backend.open() as channel, _heartbeat(database, sender):
        while True:
            with database.work() as work:
                _settle(work, lane, window, sender, tally)
                window = _next_window(work, lane, batch_id, sender, tally) if tally.stopped is None else _Window()
            if not window.claimed:
                return tally
            window.verdicts.extend(send_all(channel, window.messages))


def _next_window(work: Work, lane: Lane, batch_id: int, sender: Sender, tally: Tally) -> _Window:
    """Claim rows, drop those who must no longer get it, compose the rest; all in the intent work."""
    batch = queries.batch(work, batch_id)
    _take_back(work, lane, batch, "hold" if batch.state is BatchState.CANCELLED else sender.in_doubt)
    if batch.state is BatchState.CANCELLED:
        # A result that was written while the batch was being cancelled gave its row back to nobody.
        doubtful = queries.cancel_open(work, batch_id=batch_id, reason=CANCELLED)
        lane.settled(work, [Settled(row, DeliveryState.UNCERTAIN) for row in doubtful])
    if batch.state is not BatchState.OPEN:
        return _Window()
    held = queries.claim(work, batch_id=batch_id, owner=sender.name, lease=sender.lease, most=sender.window)
    refused = lane.refused(work, [each.row for each in held]) if held else {}
    _skip(work, lane, [(each, refused[each.row.id]) for each in held if each.row.id in refused], sender, tally)
    window = _Window(len(held), {each.row.id: each for each in held if each.row.id not in refused})
    for made in _compose(work, lane, [each.row for each in window.held.values()]):
        if isinstance(made, Uncomposable):
            window.verdicts.append(Verdict(made.id, Outcome.FAILED, None, made.reason, ""))
        else:
            window.messages.append(made)
    return window


def _skip(work: Work, lane: Lane, refused: Sequence[tuple[queries.Held, str]], sender: Sender, tally: Tally) -> None:
    results = []
    for each, reason in refused:
        step = ended(DeliveryState.SKIPPED, reason, doubts=each.doubts)
        queries.settle(work, row_id=each.row.id, owner=sender.name, step=replace(step, spends_attempt=False))
        _count(tally, step.state)
        results.append(Settled(each.row, step.state))
    if results:
        lane.settled(work, results)


def _compose(work: Work, lane: Lane, rows: Sequence[Claimed]) -> Sequence[Message | Uncomposable]:
    """Compose the rows together; if that fails, one by one, so that a bad one fails alone."""
    if not rows:
        return []
    try:
        return lane.compose(work, rows)
    except NewsletterError as error:
        if len(rows) == 1:
            log.warning("delivery %s cannot be composed: %s", rows[0].id, error)
            return [Uncomposable(rows[0].id, f"cannot_compose: {error.code}"[:60])]
        return [made for row in rows for made in _compose(work, lane, [row])]


def _settle(work: Work, lane: Lane, window: _Window, sender: Sender, tally: Tally) -> None:
    results = []
    batches: dict[int, Batch] = {}
    for verdict in window.verdicts:
        held = window.held[verdict.key]
        batch = batches.setdefault(held.row.batch_id, queries.batch(work, held.row.batch_id))
        step = after_verdict(
            verdict,
            now=work.now,
            give_up_at=held.created_at + timedelta(seconds=batch.patience),
            attempts=held.attempts,
            doubts=held.doubts,
            in_doubt=sender.in_doubt,
        )
        if batch.state is BatchState.CANCELLED:
            step = in_cancelled_batch(step, doubts=held.doubts)
        if verdict.outcome is Outcome.STOP and tally.stopped is None:
            tally.stopped = f"{verdict.reason}: {verdict.text}" if verdict.text else verdict.reason
        if not queries.settle(
            work, row_id=verdict.key, owner=sender.name, step=step, code=verdict.code, reply=verdict.text
        ):
            tally.lost_leases += 1
            log.warning("delivery %s: the lease was lost, its result (%s) is not written", verdict.key, verdict.outcome)
            continue
        _count(tally, step.state)
        results.append(Settled(held.row, step.state))
    if results:
        lane.settled(work, results)


def _take_back(work: Work, lane: Lane, batch: Batch, in_doubt: InDoubt) -> None:
    waiting = queries.take_back(work, batch_id=batch.id, in_doubt=in_doubt)
    doubtful = queries.give_up_doubtful(work, batch_id=batch.id)
    results = [Settled(row, DeliveryState.PENDING) for row in waiting]
    results += [Settled(row, DeliveryState.UNCERTAIN) for row in doubtful]
    if results:
        lane.settled(work, results)


def _count(tally: Tally, state: DeliveryState) -> None:
    match state:
        case DeliveryState.ACCEPTED:
            tally.accepted += 1
        case DeliveryState.DEFERRED:
            tally.deferred += 1
        case DeliveryState.FAILED:
            tally.failed += 1
        case DeliveryState.SKIPPED:
            tally.skipped += 1
        case DeliveryState.UNCERTAIN:
            tally.uncertain += 1
        case _:
            pass


@contextmanager
def _heartbeat(database: Database, sender: Sender) -> Iterator[None]:
    """Renew the leases of this sender while it may be waiting ten minutes for a server's answer."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(min(HEARTBEAT, sender.lease / 3).total_seconds()):
            try:
                with database.work() as work:
                    queries.renew(work, owner=sender.name, lease=sender.lease)
            except Unavailable as error:
                log.warning("the leases of %s were not renewed: %s", sender.name, error)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
