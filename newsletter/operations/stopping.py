"""Stopping in good order: the window in flight is finished, what was claimed after it is given back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from newsletter.mail.port import Channel, MailBackend, Message, Outcome, Verdict

STOPPING = "stopping"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppableBackend:
    """A backend that offers no further window once `stop` is set: its rows go back without an attempt spent."""

    def __init__(self, backend: MailBackend, stop: threading.Event) -> None:
        self._backend = backend
        self._stop = stop

    @property
    def name(self) -> str:
        return self._backend.name

    def describe(self) -> str:
        return self._backend.describe()

    def check(self) -> None:
        self._backend.check()

    @contextmanager
    def open(self) -> Iterator[Channel]:
        with self._backend.open() as channel:
            yield _StoppableChannel(channel, self._stop)


class _StoppableChannel:
    def __init__(self, channel: Channel, stop: threading.Event) -> None:
        self._channel = channel
        self._stop = stop
        self._recalled: list[Verdict] = []

    def submit(self, messages: Sequence[Message]) -> None:
        if self._stop.is_set():
            self._recalled += [Verdict(message.key, Outcome.STOP, None, STOPPING, "") for message in messages]
        else:
            self._channel.submit(messages)

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        recalled, self._recalled = self._recalled, []
        return recalled or self._channel.verdicts(wait=wait)


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
