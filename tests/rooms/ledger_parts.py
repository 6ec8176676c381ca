"""A batch of plain mails, and a lane that composes them: what the ledger's tests stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice

from sqlalchemy import insert, select

from newsletter.base.errors import InvalidInput
from newsletter.db.database import Database, Work
from newsletter.deliveries import steps
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Claimed, Refused, Settled, Uncomposable
from newsletter.deliveries.models import Batch, BatchState, Delivery, DeliveryState, LaneName
from newsletter.deliveries.policy import InDoubt, Step
from newsletter.deliveries.sending import LEASE, Sender, Tally, send_batch
from newsletter.deliveries.steps import Held, Result
from newsletter.mail.port import Channel, MailBackend, Message, Outcome, Verdict
from newsletter.subscribers.models import Subscriber

PATIENCE = timedelta(days=3)


def make_batch(database: Database, mails: int) -> int:
    """Make a batch with so many mails to send, to so many new persons."""
    with database.work() as work:
        batch = Batch(lane=LaneName.DIGEST, patience=int(PATIENCE.total_seconds()), created_at=work.now)
        work.session.add(batch)
        work.session.flush()
        people = [
            {
                "address": f"reader{batch.id}-{number}@example.org",
                "address_key": f"reader{batch.id}-{number}@example.org",
                "needs_smtputf8": False,
                "address_hash": f"{batch.id}-{number}",
                "created_at": work.now,
            }
            for number in range(mails)
        ]
        numbers = work.session.scalars(insert(Subscriber).returning(Subscriber.id), people).all()
        work.session.execute(
            insert(Delivery),
            [
                {
                    "batch_id": batch.id,
                    "subscriber_id": number,
                    "occasion": 0,
                    "state": DeliveryState.PENDING,
                    "created_at": work.now,
                }
                for number in numbers
            ],
        )
        return batch.id


def rows(database: Database, batch_id: int) -> Sequence[Delivery]:
    """Return the rows of a batch as they are now."""
    with database.reading() as work:
        found = work.session.scalars(select(Delivery).where(Delivery.batch_id == batch_id).order_by(Delivery.id)).all()
        work.session.expunge_all()
        return found


def only(database: Database, batch_id: int) -> Delivery:
    (row,) = rows(database, batch_id)
    return row


def states(database: Database, batch_id: int) -> list[str]:
    return [str(row.state) for row in rows(database, batch_id)]


def set_state(database: Database, batch_id: int, state: BatchState) -> None:
    with database.work() as work:
        work.session.get_one(Batch, batch_id).state = state


@dataclass
class PlainLane:
    """Composes one line of text for each row; `bad` rows cannot be composed, `closed` persons get nothing."""

    bad: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    raises: bool = False
    heard: list[tuple[int, str]] = field(default_factory=list)

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
        if self.raises and any(row.id in self.bad for row in rows):
            raise InvalidInput("a mail that nobody can write")
        wanted = select(Subscriber.id, Subscriber.address).where(Subscriber.id.in_([row.subscriber_id for row in rows]))
        found = {row.id: row.address or "" for row in work.session.execute(wanted)}
        return [self._made(row, found[row.subscriber_id]) for row in rows]

    def _made(self, row: Claimed, address: str) -> Message | Refused | Uncomposable:
        if row.subscriber_id in self.closed:
            return Refused(row.id, "suppressed")
        if row.id in self.bad:
            return Uncomposable(row.id, "cannot_compose: invalid_input")
        return Message(row.id, "", address, (b"Subject: news\r\n\r\nnews\r\n",))

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        self.heard += [(result.row.id, str(result.state)) for result in results]


class Channeled:
    """A backend made of one function, which is given each window of messages and yields its verdicts."""

    name = "channeled"

    def __init__(self, submit: Callable[[Sequence[Message]], Iterator[Verdict]]) -> None:
        self._submit = submit
        self._verdicts: Iterator[Verdict] = iter(())

    def open(self) -> AbstractContextManager[Channel]:
        return nullcontext(self)

    def submit(self, messages: Sequence[Message]) -> None:
        self._verdicts = chain(self._verdicts, self._submit(messages))

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        return list(islice(self._verdicts, 1)) if wait > 0 else ()

    def check(self) -> None:
        pass

    def describe(self) -> str:
        return "nowhere"


def verdict(message: Message, outcome: Outcome = Outcome.ACCEPTED) -> Verdict:
    return Verdict(message.key, outcome, None, str(outcome), "")


def always(outcome: Outcome) -> Channeled:
    """Return a backend that says the same of every mail."""
    return Channeled(lambda messages: (verdict(message, outcome) for message in messages))


def claim(
    database: Database, batch_id: int, owner: str, *, most: int = 10, lease: timedelta = LEASE, intend: bool = True
) -> list[Held]:
    """Claim rows as a sender of this name, and mark the intent to send them."""
    with database.work() as work:
        held = steps.claim(
            work, batch_id=batch_id, owner=owner, lease=lease, most=most, after=0, without=(), moves=Moves()
        )
        if intend:
            steps.intend(work, held, owner=owner, margin=timedelta())
        return held


def settle(database: Database, held: Held, owner: str, state: DeliveryState = DeliveryState.ACCEPTED) -> bool:
    """Write a result as a sender of this name."""
    with database.work() as work:
        return bool(steps.settle(work, [Result(held, Step(state))], owner=owner, moves=Moves()))


class Killed(Exception):
    """The sender dies here."""


def dies(messages: Sequence[Message]) -> Iterator[Verdict]:
    """Take the bytes and die before the answer is written."""
    raise Killed
    yield from ()


def send(
    database: Database,
    backend: MailBackend,
    batch_id: int,
    *,
    name: str = "one",
    lane: PlainLane | None = None,
    window: int = 32,
    in_doubt: InDoubt = "resend",
    lease: timedelta = LEASE,
) -> Tally:
    """Send a batch as a sender of this name."""
    sender = Sender(name, window=window, in_doubt=in_doubt, lease=lease)
    return send_batch(database, backend, lane or PlainLane(), batch_id, sender=sender)
