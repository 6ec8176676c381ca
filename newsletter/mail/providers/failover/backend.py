"""The failover provider: the first backend that works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from newsletter.base.errors import ConfigError, NewsletterError, Unavailable
from newsletter.mail.port import MailBackend, Message
from newsletter.mail.providers.failover.channel import Order, Rests, SeveralChannel


@dataclass(frozen=True, slots=True)
class FailoverBackend:
    """Sends through the first of `backends`; while that one rests after a stop, through the next."""

    backends: tuple[MailBackend, ...]
    stopwatch: Callable[[], float] = field(default=time.monotonic, repr=False)
    rests: Rests = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rests", Rests(self.stopwatch))

    @property
    def name(self) -> str:
        return "failover"

    @contextmanager
    def open(self) -> Iterator[SeveralChannel]:
        with open_several(self.backends, order=self._order, rests=self.rests, stopwatch=self.stopwatch) as channel:
            yield channel

    def describe(self) -> str:
        return "; if that stops: ".join(backend.describe() for backend in self.backends)

    def check(self) -> None:
        """Check all of them: a second way that is broken helps nobody on the day when it is needed."""
        check_all(self.backends)

    def _order(self, _message: Message) -> Sequence[int]:
        return range(len(self.backends))


@contextmanager
def open_several(
    backends: Sequence[MailBackend], *, order: Order, rests: Rests, stopwatch: Callable[[], float]
) -> Iterator[SeveralChannel]:
    """Open a channel over channels of all these backends; none connects before it gets a message."""
    with ExitStack() as stack:
        channels = [stack.enter_context(backend.open()) for backend in backends]
        yield SeveralChannel(backends, channels, order=order, rests=rests, stopwatch=stopwatch)


def check_all(backends: Sequence[MailBackend]) -> None:
    """Check these backends at the same time.

    :raises ConfigError: naming all that do not work, if one of them has to be mended
    :raises Unavailable: naming all that do not work, if they only do not answer
    """
    with ThreadPoolExecutor(len(backends)) as pool:
        found = [error for error in pool.map(_complaint, backends) if error is not None]
    if found:
        family = ConfigError if any(isinstance(error, ConfigError) for error in found) else Unavailable
        raise family("; ".join(error.message for error in found))


def _complaint(backend: MailBackend) -> NewsletterError | None:
    try:
        backend.check()
    except NewsletterError as error:
        return error
    return None
