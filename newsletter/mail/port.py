"""The port through which every mail leaves, whoever carries it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One mail to one recipient: the envelope, and the complete message (RFC 5322, CRLF only).

    `key` is the caller's own number for it and comes back in the verdict. `sender` is the return path, empty for none.
    """

    key: int
    sender: str
    recipient: str
    data: bytes
    smtputf8: bool = False


class Outcome(StrEnum):
    """What the caller shall believe about a message from now on."""

    ACCEPTED = "accepted"  # the other side took responsibility for it
    DEFERRED = "deferred"  # it was not taken; trying later may help
    FAILED = "failed"  # it will never be taken
    UNCERTAIN = "uncertain"  # it may have been taken, the answer was lost
    STOP = "stop"  # it was not offered, or refused for a reason of our own set-up; no attempt was spent


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the message `key`.

    `code` is the server's reply code, if one decided; `reason` a stable word, `text` what the other side said.
    """

    key: int
    outcome: Outcome
    code: int | None
    reason: str
    text: str


# After a stop for one of these no other channel of the same backend will fare better: an operator has to act.
STOPS_EVERY_CHANNEL = frozenset({"auth_refused", "tls_refused"})


class Channel(Protocol):
    """One line to the other side; used by one thread at a time."""

    def submit(self, messages: Sequence[Message]) -> Iterator[Verdict]:
        """Send the messages while the verdicts are drawn: exactly one for each, in any order.

        Never raises for anything that a server, a network or a disk can do. After the first stop no byte of the rest is
        sent and each of them gets stop, too. A later call tries again.
        """
        ...


class MailBackend(Protocol):
    """A way to send mail, set up once and shared by all threads."""

    @property
    def name(self) -> str:
        """The provider's short name, such as smtp."""
        ...

    def open(self) -> AbstractContextManager[Channel]:
        """Open a channel. Nothing is connected before the first message, so a dead server shows as verdicts."""
        ...

    def describe(self) -> str:
        """Say where mail goes, for people, without secrets."""
        ...
