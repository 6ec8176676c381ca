"""Where a process spends its CPU time, by looking at its stack every millisecond of it: no call is slowed down."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from types import FrameType

INTERVAL = 0.001
DATABASE = ("sqlalchemy", "psycopg", "sqlite3")


class Sampler:
    """Looks from `start` to `stop`; it must be started in the main thread, whose stack is the one that it sees.

    Each span of CPU time goes to the innermost function of ours on the stack, and apart from that counts as the
    database's if a library between us and the database was at work. What other threads use goes to where the main
    thread stood.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.in_database: defaultdict[str, float] = defaultdict(float)
        self._last = 0.0

    def start(self) -> None:
        self._last = time.process_time()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def stop(self) -> list[tuple[str, float, float]]:
        """Return the functions, costliest first: name, CPU seconds, those of them in the database's libraries."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        costliest = sorted(self.seconds, key=lambda name: -self.seconds[name])
        return [(name, self.seconds[name], self.in_database[name]) for name in costliest]

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        # A call into C is seen only when it returns: the time since the last look is its own.
        now = time.process_time()
        spent, self._last = now - self._last, now
        name, is_database = place_of(frame)
        self.seconds[name] += spent
        if is_database:
            self.in_database[name] += spent


def place_of(frame: FrameType | None) -> tuple[str, bool]:
    """Return the innermost function of ours on this stack, and whether it had called a library of the database."""
    is_database = False
    while frame is not None:
        path = frame.f_code.co_filename
        _, is_ours, module = path.rpartition("/newsletter/")
        if is_ours and "/site-packages/" not in path:
            return f"{module.removesuffix('.py')}: {frame.f_code.co_name}", is_database
        is_database = is_database or any(f"/{library}/" in path for library in DATABASE)
        frame = frame.f_back
    return "elsewhere", is_database
