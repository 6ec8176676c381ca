"""Stopping in good order: the window in flight is finished, what was claimed after it is given back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM or Ctrl-C sets, in the main thread; the second of them ends the process at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in _SIGNALS:
        signal.signal(number, told)
    try:
        yield stop
    finally:
        restore()
