"""Sending a batch: claim, intent before the bytes leave, result after, and never more than a window between them."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.base.errors import NewsletterError, Unavailable
from newsletter.db.database import Database, Work
from newsletter.deliveries import deciding, queries, rates, steps
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Claimed, Lane, Refused, Settled, Uncomposable
from newsletter.deliveries.models import Batch, BatchState, DeliveryState, LaneName
from newsletter.deliveries.pacing import BUSY_IN_A_ROW
from newsletter.deliveries.policy import CANCELLED, InDoubt, after_verdict, ended, in_cancelled_batch
from newsletter.deliveries.steps import Held, Result
from newsletter.mail.port import Channel, MailBackend, Message, Outcome, Verdict

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
HEARTBEAT = timedelta(seconds=20)
MARGIN = 1 / 6  # of a lease must be left for an intent
CHUNK = 256  # rows are claimed at once
STOPPING = "stopping"
LISTENING = 0.0005  # seconds between two looks at what servers say while the ledger is written
PATIENCE = 1.0  # seconds until a quiet line is left for a look at what was paused, cancelled or stopped
GAP = 0.003  # seconds without a result after which those in hand are written, though fewer than half a window
RATE_PAUSE = 0.1  # seconds between two looks at a rate that gives no room


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

    def add(self, more: Tally) -> None:
        """Add what the same sender did later."""
        for name in ("accepted", "deferred", "failed", "skipped", "uncertain", "lost_leases"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        self.stopped = more.stopped

    def count(self, state: DeliveryState) -> None:
        if state.value in {"accepted", "deferred", "failed", "skipped", "uncertain"}:
            setattr(self, state.value, getattr(self, state.value) + 1)


@dataclass(frozen=True, slots=True)
class Sender:
    """One sending process or thread: its name in the ledger, its settings, and the event that ends it."""

    name: str
    window: int = 32
    in_doubt: InDoubt = "resend"
    lease: timedelta = LEASE
    chunk: int = CHUNK
    stop: threading.Event = field(default_factory=threading.Event, compare=False)


def send_batch(database: Database, backend: MailBackend, lane: Lane, batch_id: int, *, sender: Sender) -> Tally:
    """Send what is due of a batch until nothing is, or the backend says stop.

    Safe to run twice, at once, and after a crash: the row is the truth, and at most one window is ever in doubt.
    """
    with backend.open() as channel, _heartbeat(database, sender):
        return _Sending(database, channel, lane, backend=backend.name, batch_id=batch_id, sender=sender).run()


def recover(work: Work, lane: Lane, batch: Batch, *, in_doubt: InDoubt, moves: Moves) -> tuple[int, int]:
    """Take back the rows of dead senders; returns how many wait again, and how many are left to a person.

    Safe to repeat. In a cancelled batch nothing goes again.
    """
    policy: InDoubt = "hold" if batch.state is BatchState.CANCELLED else in_doubt
    waiting = steps.take_back(work, batch_id=batch.id, in_doubt=policy, moves=moves)
    doubtful = steps.give_up_doubtful(work, batch_id=batch.id, moves=moves)
    results = [Settled(row, DeliveryState.PENDING) for row in waiting]
    results += [Settled(row, DeliveryState.UNCERTAIN) for row in doubtful]
    if results:
        lane.settled(work, results)
    return len(waiting), len(doubtful)


class _Sending:
    """One sender at one batch: rows in hand are claimed, rows in flight have an intent and no result yet."""

    def __init__(
        self, database: Database, channel: Channel, lane: Lane, *, backend: str, batch_id: int, sender: Sender
    ) -> None:
        self.database, self.backend, self.channel = database, backend, channel
        self.lane, self.batch_id, self.sender = lane, batch_id, sender
        self.tally = Tally()
        self.hand: deque[Held] = deque()
        self.flying: dict[int, Held] = {}
        self.verdicts: list[Verdict] = []
        self.after = 0
        self.is_over = False
        self.is_waiting = False
        self.is_swept = False
        self.busy_in_a_row = 0
        with database.work() as work:
            batch = queries.batch(work, batch_id)
            self.is_counted = batch.lane is LaneName.DIGEST
            self.patience = timedelta(seconds=batch.patience)
            self._recover(work, batch)

    def run(self) -> Tally:
        with ThreadPoolExecutor(1, thread_name_prefix="ledger") as ledger:
            while True:
                messages = self._meanwhile(ledger.submit(self._write, self._taken()))
                if messages:
                    self.channel.submit(messages)
                if self.is_over and not self.flying:
                    return self.tally
                self._gather()

    def _write(self, verdicts: Sequence[Verdict]) -> list[Message]:
        """Write these results and the next intents, in one work; returns what may leave now."""
        with self.database.work() as work:
            moves = Moves()
            now = queries.standing_of(work, self.batch_id, backend=self.backend)
            self._settle(work, now, verdicts, moves)
            messages = self._next(work, now, moves)
            if self.is_counted:
                moves.write(work, sender=self.sender.name)
        return messages

    def _meanwhile(self, written: Future[list[Message]]) -> list[Message]:
        """Wait for the ledger, and let no server wait that has something to say."""
        while True:
            done, _ = wait((written,), timeout=LISTENING)
            if done:
                return written.result()
            self.verdicts.extend(self.channel.verdicts(wait=0))

    def _taken(self) -> list[Verdict]:
        verdicts, self.verdicts = self.verdicts, []
        return verdicts

    # Results

    def _gather(self) -> None:
        """Wait for results; a few wait shortly for company, so that a work is worth its commit."""
        if self.verdicts and len(self.verdicts) == len(self.flying):
            return
        if not self.flying:
            if self.is_waiting:
                self.sender.stop.wait(RATE_PAUSE)
            return
        if not self.verdicts:
            self.verdicts.extend(self.channel.verdicts(wait=PATIENCE))
        enough = min(self.sender.window, len(self.flying)) / 2
        while len(self.verdicts) < enough and (more := self.channel.verdicts(wait=GAP)):
            self.verdicts.extend(more)

    def _settle(self, work: Work, now: queries.Now, verdicts: Sequence[Verdict], moves: Moves) -> None:
        if not verdicts:
            return
        results = self._results(work, now, verdicts)
        kept = steps.settle(work, results, owner=self.sender.name, moves=moves)
        settled = []
        for result in results:
            if result.held.row.id in kept:
                self.tally.count(result.step.state)
                settled.append(Settled(result.held.row, result.step.state, result.step.reason))
            else:
                self.tally.lost_leases += 1
                log.warning(
                    "delivery %s: the lease was lost, its result (%s) is not written",
                    result.held.row.id,
                    result.step.state,
                )
        if settled:
            self.lane.settled(work, settled)

    def _results(self, work: Work, now: queries.Now, verdicts: Sequence[Verdict]) -> list[Result]:
        self._learn(work, now, verdicts)
        late = [verdict.key for verdict in verdicts if verdict.outcome is Outcome.DEFERRED]
        made = steps.created(work, late) if late else {}
        results = []
        for verdict in verdicts:
            held = self.flying.pop(verdict.key)
            step = after_verdict(
                verdict,
                now=work.now,
                give_up_at=made.get(verdict.key, work.now) + self.patience,
                attempts=held.attempts,
                doubts=held.doubts,
                in_doubt=self.sender.in_doubt,
            )
            if now.state is BatchState.CANCELLED:
                step = in_cancelled_batch(step, doubts=held.doubts)
            results.append(Result(held, step, verdict.code, verdict.text))
        return results

    def _learn(self, work: Work, now: queries.Now, verdicts: Sequence[Verdict]) -> None:
        """Keep to what the other side says of our pace."""
        if now.has_rates:
            taken = {self.flying[each.key].row.family for each in verdicts if each.outcome is Outcome.ACCEPTED}
            rates.accepted(work, self.backend, taken)
        for verdict in verdicts:
            self.busy_in_a_row = self.busy_in_a_row + 1 if verdict.reason == "server_busy" else 0
            if verdict.outcome is Outcome.STOP and self.tally.stopped is None:
                self.tally.stopped = f"{verdict.reason}: {verdict.text}" if verdict.text else verdict.reason
                rates.stopped(work, self.backend, reason=verdict.reason)
            elif verdict.reason == "throttled":
                family = self.flying[verdict.key].row.family
                rates.throttled(work, self.backend, family=family, reason=verdict.text or verdict.reason)
            elif self.busy_in_a_row == BUSY_IN_A_ROW and self.tally.stopped is None:
                self.tally.stopped = f"{verdict.reason}: {verdict.text}"
                rates.busy(work, self.backend, reason=verdict.reason)

    # Claims and intents

    def _recover(self, work: Work, batch: Batch) -> None:
        """Take up what dead senders left, and wake what waited for its next try."""
        moves = Moves()
        recover(work, self.lane, batch, in_doubt=self.sender.in_doubt, moves=moves)
        if batch.state is BatchState.OPEN:
            steps.wake(work, batch_id=self.batch_id, moves=moves)
        if self.is_counted:
            moves.write(work, sender=self.sender.name)

    def _next(self, work: Work, now: queries.Now, moves: Moves) -> list[Message]:
        """Mark the next intents and return their mails; give everything back where nothing more may leave."""
        if self.sender.stop.is_set() and self.tally.stopped is None and not self.is_over:
            self.tally.stopped = STOPPING
        pace = rates.pace(work, self.backend) if now.has_rates or self.tally.stopped else rates.Pace()
        if self.tally.stopped is None and pace.paused_until is not None:
            self.tally.stopped = f"{pace.reason}: waiting until {pace.paused_until:%H:%M} UTC"
        if self.tally.stopped is not None or now.state is not BatchState.OPEN:
            self._end(work, now, moves)
            return []
        self._put_back(work, pace, moves)
        room = self.sender.window - len(self.flying)
        self._claim(work, pace, room, moves)
        chosen = self._choose(pace, room)
        self.is_waiting = bool(self.hand) and not chosen
        self.is_over = not self.hand and not chosen and not self.flying
        messages = self._intend(work, chosen, moves)
        if messages and now.has_rates:
            rates.spend(work, self.backend, Counter(self.flying[each.key].row.family for each in messages))
        return messages

    def _end(self, work: Work, now: queries.Now, moves: Moves) -> None:
        self.is_over = True
        steps.release(work, list(self.hand), owner=self.sender.name, moves=moves)
        self.hand.clear()
        if now.state is BatchState.CANCELLED:
            # A result that was written while the batch was being cancelled gave its row back to nobody.
            doubtful = deciding.cancel_open(work, batch_id=self.batch_id, reason=CANCELLED, moves=moves)
            self.lane.settled(work, [Settled(row, DeliveryState.UNCERTAIN) for row in doubtful])

    def _put_back(self, work: Work, pace: rates.Pace, moves: Moves) -> None:
        """Let others have the rows whose family rests, and take up different ones."""
        waiting = [held for held in self.hand if held.row.family in pace.paused] if pace.paused else []
        if waiting:
            steps.release(work, waiting, owner=self.sender.name, moves=moves)
            self.hand = deque(held for held in self.hand if held.row.family not in pace.paused)

    def _claim(self, work: Work, pace: rates.Pace, room: int, moves: Moves) -> None:
        """Fill the hand; at the end of the batch look once more at its beginning, where rows may have come back."""
        if not self.flying:
            self.is_swept = False
        while self._choosable(pace) < room and not self.is_swept:
            found = steps.claim(
                work,
                batch_id=self.batch_id,
                owner=self.sender.name,
                lease=self.sender.lease,
                most=max(self.sender.chunk, room),
                after=self.after,
                without=pace.paused.union(
                    each.row.family for each in self.hand if pace.rooms.get(each.row.family) == 0
                ),
                moves=moves,
            )
            self._take_in_hand(found)
            if found:
                self.after = found[-1].row.id
            else:
                self.is_swept, self.after = self.after == 0, 0

    def _take_in_hand(self, found: Sequence[Held]) -> None:
        """Hold these rows from now on, each once.

        Somebody whose clock is ahead may have taken a row back that is in hand, or on its way; what is claimed anew
        then takes the place of the one in hand, and what is on its way is settled by its own verdict.
        """
        anew = {each.row.id: each for each in found if each.row.id not in self.flying}
        self.hand = deque(each for each in self.hand if each.row.id not in anew)
        self.hand.extend(anew.values())

    def _choosable(self, pace: rates.Pace) -> int:
        """Count what is in hand and need not wait for its family's rate."""
        if not pace.rooms:
            return len(self.hand)
        return sum(pace.rooms.get(held.row.family) != 0 for held in self.hand)

    def _choose(self, pace: rates.Pace, room: int) -> list[Held]:
        """Take from the hand what may leave now, in its order."""
        if pace.together is not None:
            room = min(room, pace.together)
        rooms = dict(pace.rooms)
        chosen: list[Held] = []
        left: deque[Held] = deque()
        while self.hand and len(chosen) < room:
            held = self.hand.popleft()
            family = held.row.family
            if rooms.get(family, 1) > 0:
                chosen.append(held)
                if family in rooms:
                    rooms[family] -= 1
            else:
                left.append(held)
        self.hand.extendleft(reversed(left))
        return chosen

    def _intend(self, work: Work, chosen: Sequence[Held], moves: Moves) -> list[Message]:
        """Compose these mails and mark the intent to send them; end those for whom there is none."""
        if not chosen:
            return []
        messages = self._composed(work, chosen, moves)
        margin = self.sender.lease * MARGIN
        composed = [each for each in chosen if each.row.id in messages]
        contents = {each.row.id: each.row.content_id for each in composed}
        mine = steps.intend(work, composed, owner=self.sender.name, margin=margin)
        self.flying |= {each.row.id: each for each in mine}
        changed = [each for each in mine if each.row.content_id != contents[each.row.id]]
        messages |= self._composed(work, changed, moves)
        return [messages[row_id] for each in mine if (row_id := each.row.id) in self.flying]

    def _composed(self, work: Work, rows: Sequence[Held], moves: Moves) -> dict[int, Message]:
        held = {each.row.id: each for each in rows}
        messages: dict[int, Message] = {}
        over: list[Result] = []
        for made in _compose(work, self.lane, [each.row for each in rows]):
            if isinstance(made, Message):
                messages[made.key] = made
                continue
            each = held[made.id]
            end = DeliveryState.SKIPPED if isinstance(made, Refused) else DeliveryState.FAILED
            over.append(Result(each, ended(end, made.reason, doubts=each.doubts)))
            self.flying.pop(made.id, None)
        self._drop(work, over, moves)
        return messages

    def _drop(self, work: Work, results: Sequence[Result], moves: Moves) -> None:
        """End rows that no byte of will leave."""
        if not results:
            return
        kept = steps.settle(work, results, owner=self.sender.name, moves=moves)
        settled = [
            Settled(each.held.row, each.step.state, each.step.reason) for each in results if each.held.row.id in kept
        ]
        for each in settled:
            self.tally.count(each.state)
        self.lane.settled(work, settled)


def _compose(work: Work, lane: Lane, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
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


@contextmanager
def _heartbeat(database: Database, sender: Sender) -> Iterator[None]:
    """Renew the leases of this sender while it may be waiting ten minutes for a server's answer."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(min(HEARTBEAT, sender.lease / 3).total_seconds()):
            try:
                with database.work() as work:
                    steps.renew(work, owner=sender.name, lease=sender.lease)
            except Unavailable as error:
                log.warning("the leases of %s were not renewed: %s", sender.name, error)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
