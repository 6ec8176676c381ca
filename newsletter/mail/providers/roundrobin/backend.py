"""The roundrobin provider: each reader has one of the backends, and keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from newsletter.mail.port import MailBackend, Message
from newsletter.mail.providers.failover.backend import check_all, open_several
from newsletter.mail.providers.failover.channel import Rests, SeveralChannel


@dataclass(frozen=True, slots=True)
class RoundRobinBackend:
    """Shares the readers out evenly among `backends`; the readers of one that rests after a stop go to the next.

    Who gets whose mail hangs on the address alone, so that a mail that is sent again takes the same way.
    """

    backends: tuple[MailBackend, ...]
    stopwatch: Callable[[], float] = field(default=time.monotonic, repr=False)
    rests: Rests = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rests", Rests(self.stopwatch))

    @property
    def name(self) -> str:
        return "roundrobin"

    @contextmanager
    def open(self) -> Iterator[SeveralChannel]:
        with open_several(self.backends, order=self._order, rests=self.rests, stopwatch=self.stopwatch) as channel:
            yield channel

    def describe(self) -> str:
        return "shared out: " + "; and ".join(backend.describe() for backend in self.backends)

    def check(self) -> None:
        """Check all of them."""
        check_all(self.backends)

    def _order(self, message: Message) -> Sequence[int]:
        number = len(self.backends)
        first = share_of(message.recipient, number)
        return [(first + step) % number for step in range(number)]


def share_of(recipient: str, number: int) -> int:
    """Return which of `number` backends an address belongs to: the same in every process and for every issue."""
    digest = sha256(recipient.lower().encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % number
