"""The SMTP provider: one connection for each channel, made when the first message asks for it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import STOPS_EVERY_CHANNEL, Message, Outcome, Verdict
from newsletter.mail.providers.smtp.dialogue import Decided, Dialogue
from newsletter.mail.providers.smtp.relay import Limits, Relay

CHECKING = Limits(connect=10, command=20, dot=20, deadline=30)  # a person waits for the answer


@dataclass(frozen=True, slots=True)
class SmtpBackend:
    """Sends through an SMTP relay.

    `tls` decides whom to believe; `stopwatch` counts the seconds of the time-outs.
    """

    relay: Relay
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    stopwatch: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def name(self) -> str:
        return "smtp"

    @contextmanager
    def open(self) -> Iterator[SmtpChannel]:
        channel = SmtpChannel(lambda: Dialogue(self.relay, self.tls, self.stopwatch))
        try:
            yield channel
            channel.leave()
        finally:
            channel.drop()

    def check(self) -> None:
        """Connect, greet, log in and leave again."""
        dialogue = Dialogue(replace(self.relay, limits=CHECKING), self.tls, self.stopwatch)
        try:
            dialogue.start()
            dialogue.leave()
        except Decided as decided:
            family = ConfigError if decided.judgement.reason in STOPS_EVERY_CHANNEL else Unavailable
            code = f"{decided.code} " if decided.code else ""
            raise family(f"{self.describe()}: {decided.judgement.reason} ({code}{decided.text})") from None
        finally:
            dialogue.close()

    def describe(self) -> str:
        how = {"none": "in clear text", "starttls": "with STARTTLS", "tls": "with TLS"}[self.relay.security]
        logged_in = ", logged in" if self.relay.login else ""
        return f"SMTP to {self.relay.host}:{self.relay.port} {how}{logged_in}"


class SmtpChannel(InTurn):
    """One connection to the relay, made again when it breaks."""

    def __init__(self, begin: Callable[[], Dialogue]) -> None:
        super().__init__(self._send_one)
        self._begin = begin
        self._dialogue: Dialogue | None = None
        self._is_idle = False

    def submit(self, messages: Sequence[Message]) -> None:
        self._is_idle = True
        super().submit(messages)

    def leave(self) -> None:
        """Close politely."""
        if self._dialogue is not None:
            self._dialogue.leave()
            self._dialogue = None

    def drop(self) -> None:
        """Close at once: inside a message a polite word would be taken for its text."""
        if self._dialogue is not None:
            self._dialogue.close()
            self._dialogue = None

    def _send_one(self, message: Message) -> Verdict:
        try:
            reply = self._ready().carry(message)
        except Decided as decided:
            judgement = decided.judgement
            if judgement.reconnect or judgement.outcome is Outcome.STOP:
                self.drop()
            return Verdict(message.key, judgement.outcome, decided.code, judgement.reason, decided.text)
        return Verdict(message.key, Outcome.ACCEPTED, reply.code, "accepted", reply.text)

    def _ready(self) -> Dialogue:
        """Return a connection that can take a message; one that died meanwhile is made again, no mail was at stake."""
        if self._dialogue is not None and not self._dialogue.is_ready(after_idling=self._is_idle):
            self.drop()
        self._is_idle = False
        if self._dialogue is None:
            self._dialogue = self._begin()
            self._dialogue.start()
        return self._dialogue
