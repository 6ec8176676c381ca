"""The memory provider: keeps what it accepts in a list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import Message, Outcome, Verdict


def accept_all(_recipient: str) -> Outcome:
    """Accept whatever comes."""
    return Outcome.ACCEPTED


class MemoryBackend:
    """Keeps the accepted messages in `messages`; `decide` says what becomes of a mail to a recipient.

    An uncertain message is kept, too: it did leave, only the answer was lost.
    """

    name = "memory"

    def __init__(self, decide: Callable[[str], Outcome] = accept_all) -> None:
        self.messages: list[Message] = []
        self.decide = decide
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[InTurn]:
        yield InTurn(self._take)

    def check(self) -> None:
        """Memory is always there."""

    def describe(self) -> str:
        return "nowhere: mail is kept in memory and lost at the end"

    def _take(self, message: Message) -> Verdict:
        outcome = self.decide(message.recipient)
        if outcome in {Outcome.ACCEPTED, Outcome.UNCERTAIN}:
            with self._lock:
                self.messages.append(message)
        return Verdict(message.key, outcome, None, outcome.value, "")
