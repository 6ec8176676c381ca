"""How fast mail may leave: pure rules of pauses, of the slow way back from them, and of an operator's limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_BACK_OFF = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(minutes=15)
THROTTLED_FOR = timedelta(minutes=10)
BUSY_FOR = timedelta(minutes=5)
BUSY_IN_A_ROW = 5
LINE_EVERY = timedelta(minutes=1)
FULLY_OPEN = 32  # lines; from here on a family that was paused has no limit of its own any more
BURST = timedelta(seconds=2)  # so much of a rate may leave at once
LONGEST_PAUSE = max(LONGEST_BACK_OFF, THROTTLED_FOR, BUSY_FOR)
CLOCKS_APART = timedelta(minutes=1)  # more than this no two machines are; then a clock was set back


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one family, or for all, at this moment."""

    per_minute: int | None = None
    lines: int | None = None
    paused_until: datetime | None = None
    opened: int | None = None
    tokens: float = 0.0
    filled_at: datetime | None = None

    def is_paused(self, now: datetime) -> bool:
        # A pause that seems longer than any was begun before a clock was set back.
        return self.paused_until is not None and now < self.paused_until <= now + LONGEST_PAUSE

    def room(self, now: datetime, *, in_flight: int) -> int | None:
        """Return how many more mails may leave now; None for as many as one likes."""
        if self.is_paused(now):
            return 0
        rooms = [each - in_flight for each in (self.lines, self.opened) if each is not None]
        if self.per_minute is not None:
            rooms.append(int(self.filled(now)))
        return max(min(rooms), 0) if rooms else None

    def filled(self, now: datetime) -> float:
        """Return the tokens of the rate at this moment; a full bucket holds a BURST, one mail at least."""
        if self.per_minute is None:
            return 0.0
        most = max(self.per_minute * (BURST / timedelta(minutes=1)), 1.0)
        if self._starts_afresh(now):
            return most
        passed = max(now - (self.filled_at or now), timedelta())
        return min(self.tokens + self.per_minute * (passed / timedelta(minutes=1)), most)

    def spent(self, now: datetime, mails: int) -> tuple[float, datetime]:
        """Return the tokens that are left behind these mails, and until when they are filled.

        That moment never goes back: machines whose clocks are a little apart would fill the same second twice.
        """
        until = now if self.filled_at is None or self._starts_afresh(now) else max(now, self.filled_at)
        return self.filled(now) - mails, until

    def _starts_afresh(self, now: datetime) -> bool:
        return self.filled_at is None or self.filled_at - now > CLOCKS_APART


def back_off(troubles: int) -> timedelta:
    """Return how long a backend that stopped us so many times in a row is left alone: 1, 2, 4 … 15 minutes."""
    return min(FIRST_BACK_OFF * (1 << min(max(troubles - 1, 0), 10)), LONGEST_BACK_OFF)


def opened_next(opened: int | None, *, opened_at: datetime | None, now: datetime) -> int | None:
    """Return how many lines a family may use after an accepted mail: one more each minute, in the end no limit."""
    if opened is None or opened_at is None or now - opened_at < LINE_EVERY:
        return opened
    return opened + 1 if opened + 1 < FULLY_OPEN else None
