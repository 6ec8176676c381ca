"""Pauses of a sending process while a mail server stops it: doubling, and forgotten once a mail has left."""

from __future__ import annotations

import logging
import threading
from collections import Counter

log = logging.getLogger(__name__)
FIRST_STOP, LONGEST_STOP = 60.0, 900.0  # seconds


def doubled(first: float, longest: float, troubles: int) -> float:
    """Return the wait after so many troubles in a row."""
    return min(first * 2.0 ** min(troubles, 20), longest)


class Pauses:
    """Which kinds of sending rest in this process, and for how long; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._troubles: Counter[str] = Counter()
        self._resting: dict[str, threading.Timer] = {}

    def lasts(self, kind: str) -> bool:
        """Say whether this kind rests now."""
        with self._lock:
            return kind in self._resting

    def begin(self, kind: str, cause: str) -> None:
        """Let this kind rest, twice as long as the last time."""
        with self._lock:
            if kind in self._resting:
                return
            pause = doubled(FIRST_STOP, LONGEST_STOP, self._troubles[kind])
            self._troubles[kind] += 1
            timer = threading.Timer(pause, self._over, (kind,))
            timer.daemon = True
            self._resting[kind] = timer
            timer.start()
        log.warning("sending stopped, again in %.0f s: %s", pause, cause)

    def forget(self, kind: str) -> None:
        """Start from the first pause again."""
        with self._lock:
            self._troubles.pop(kind, None)

    def end(self) -> None:
        """Wake everything: the process ends."""
        with self._lock:
            for timer in self._resting.values():
                timer.cancel()
            self._resting.clear()

    def _over(self, kind: str) -> None:
        with self._lock:
            self._resting.pop(kind, None)
