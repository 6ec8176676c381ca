"""Short rests of a sending process after trouble: how long a mail server is left alone is kept in the database."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)
REST = 10.0  # seconds between two looks at a backend that is left alone


class Pauses:
    """Which kinds of sending rest in this process; safe to share between threads. Each cause is told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resting: dict[str, threading.Timer] = {}
        self._told: dict[str, str] = {}

    def lasts(self, kind: str) -> bool:
        """Say whether this kind rests now."""
        with self._lock:
            return kind in self._resting

    def begin(self, kind: str, cause: str) -> None:
        """Let this kind rest."""
        with self._lock:
            if kind in self._resting:
                return
            timer = threading.Timer(REST, self._over, (kind,))
            timer.daemon = True
            self._resting[kind] = timer
            timer.start()
            is_new = self._told.get(kind) != cause
            self._told[kind] = cause
        if is_new:
            log.warning("sending stopped: %s", cause)

    def forget(self, kind: str) -> None:
        """Tell the next cause, whatever it is."""
        with self._lock:
            self._told.pop(kind, None)

    def end(self) -> None:
        """Wake everything: the process ends."""
        with self._lock:
            for timer in self._resting.values():
                timer.cancel()
            self._resting.clear()

    def _over(self, kind: str) -> None:
        with self._lock:
            self._resting.pop(kind, None)
