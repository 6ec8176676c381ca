"""A channel over several backends: a mail goes on to the next one only when it was certainly not taken."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from newsletter.mail.port import Channel, MailBackend, Message, Outcome, Verdict

log = logging.getLogger(__name__)

REST = 300.0  # seconds that a backend is left alone after it stopped
SLICE = 0.05  # seconds to look at one channel while others work, too

Order = Callable[[Message], Sequence[int]]


@dataclass(slots=True)
class Rests:
    """Which backends rest, and until when; shared by all channels over them."""

    stopwatch: Callable[[], float]
    seconds: float = REST
    _until: dict[int, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, place: int) -> bool:
        """Let a backend rest from now on; tells whether it did not before."""
        now = self.stopwatch()
        with self._lock:
            is_new = self._until.get(place, now) <= now
            self._until[place] = now + self.seconds
        return is_new

    def awake_first(self, places: Sequence[int]) -> list[int]:
        """Return the places in their order, those at rest behind the others."""
        now = self.stopwatch()
        with self._lock:
            return sorted(places, key=lambda place: self._until.get(place, now) > now)


@dataclass(slots=True)
class _Journey:
    message: Message
    ahead: list[int]


class SeveralChannel:
    """Offers each mail to the backends in the order that `order` gives for it, from one to the next at each stop."""

    def __init__(
        self,
        backends: Sequence[MailBackend],
        channels: Sequence[Channel],
        *,
        order: Order,
        rests: Rests,
        stopwatch: Callable[[], float],
    ) -> None:
        self._backends = backends
        self._channels = channels
        self._order = order
        self._rests = rests
        self._stopwatch = stopwatch
        self._under_way: list[dict[int, _Journey]] = [{} for _ in channels]

    def submit(self, messages: Sequence[Message]) -> None:
        self._offer([_Journey(message, self._rests.awake_first(self._order(message))) for message in messages])

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        until = self._stopwatch() + wait
        found: list[Verdict] = []
        while not found and any(self._under_way):
            busy = [place for place, journeys in enumerate(self._under_way) if journeys]
            for place in busy:
                rest = max(0.0, until - self._stopwatch())
                patience = rest if len(busy) == 1 else min(SLICE, rest)
                found += self._settle(place, self._channels[place].verdicts(wait=patience))
            if self._stopwatch() >= until:
                break
        return found

    def _offer(self, journeys: Sequence[_Journey]) -> None:
        loads: dict[int, list[Message]] = {}
        for journey in journeys:
            place = journey.ahead.pop(0)
            self._under_way[place][journey.message.key] = journey
            loads.setdefault(place, []).append(journey.message)
        for place, load in loads.items():
            self._channels[place].submit(load)

    def _settle(self, place: int, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Return what is decided, and offer the rest to the next backend."""
        decided: list[Verdict] = []
        going_on: list[_Journey] = []
        for verdict in verdicts:
            journey = self._under_way[place].pop(verdict.key)
            if verdict.outcome is Outcome.STOP:
                self._let_rest(place, verdict)
                if journey.ahead:
                    going_on.append(journey)
                    continue
            decided.append(verdict)
        self._offer(going_on)
        return decided

    def _let_rest(self, place: int, verdict: Verdict) -> None:
        if self._rests.begin(place):
            name = self._backends[place].describe()
            log.warning("%s stopped (%s %s): others take over", name, verdict.reason, verdict.text)
