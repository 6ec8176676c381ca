"""The port through which every mail leaves, whoever carries it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(slots=True)
class Message:
    """One mail to one recipient: the envelope, and the complete message (RFC 5322, CRLF only) in parts.

    `key` is the caller's own number for it and comes back in the verdict. `sender` is the return path, empty for none.
    The parts make the message when they are joined; what many messages share is one object in all of them, so that a
    window of large mails takes little room. `is_checked` is the composer's word that no line begins with a dot, all end
    in CRLF, and there is no NUL and no octet above 127: nobody needs to look again. Not changed once it is made.
    """

    key: int
    sender: str
    recipient: str
    parts: tuple[bytes, ...]
    smtputf8: bool = False
    is_checked: bool = False

    @property
    def data(self) -> bytes:
        """The whole message."""
        return b"".join(self.parts)

    @property
    def size(self) -> int:
        """The octets of the whole message."""
        return sum(map(len, self.parts))


class Outcome(StrEnum):
    """What the caller shall believe about a message from now on."""

    ACCEPTED = "accepted"  # the other side took responsibility for it
    DEFERRED = "deferred"  # it was not taken; trying later may help
    FAILED = "failed"  # it will never be taken
    UNCERTAIN = "uncertain"  # it may have been taken, the answer was lost
    STOP = "stop"  # it was not offered, or refused for a reason of our own set-up; no attempt was spent


@dataclass(slots=True)
class Verdict:
    """What became of the message `key`. Not changed once it is made.

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
    """A way to the other side, of one line or many; used by one thread at a time."""

    def submit(self, messages: Sequence[Message]) -> None:
        """Take these messages on, besides those that are under way. Returns at once; may begin to send.

        Never raises for anything that a server, a network or a disk can do.
        """
        ...

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        """Go on sending, and return what became certain since the last call: in the end one verdict for each message.

        They come in any order. Returns as soon as there is one, or nothing is under way, or `wait` seconds have passed;
        with a wait of 0 only what can be done without waiting is done.
        Never raises, as `submit` never does. After a stop no message is begun any more: what was not begun gets the
        same stop, what is on its way its own verdict. A later `submit` tries again.
        """
        ...


class MailBackend(Protocol):
    """A way to send mail, set up once and shared by all threads."""

    @property
    def name(self) -> str:
        """The provider's short name, such as smtp."""
        ...

    def open(self) -> AbstractContextManager[Channel]:
        """Open a channel. Nothing is connected before the first message, so a dead server shows as verdicts.

        Leaving it cuts off what is still under way: its verdicts are never known.
        """
        ...

    def describe(self) -> str:
        """Say where mail goes, for people, without secrets."""
        ...

    def check(self) -> None:
        """Make sure that mail could leave, without sending any. Waits at most half a minute.

        :raises Unavailable: if the other side does not answer
        :raises ConfigError: if it refuses us, or the set-up cannot work
        """
        ...
