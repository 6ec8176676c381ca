"""The SMTP provider: what a relay is, and how a channel to it is opened and left."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.port import STOPS_EVERY_CHANNEL
from newsletter.mail.providers.smtp.channel import SmtpChannel
from newsletter.mail.providers.smtp.opening import Decided
from newsletter.mail.providers.smtp.relay import Limits, Relay

CHECKING = Limits(connect=10, command=20, dot=20, deadline=25)  # a person waits for the answer


@dataclass(frozen=True, slots=True)
class SmtpBackend:
    """Sends through an SMTP or LMTP relay.

    `tls` decides whom to believe; `stopwatch` counts the seconds of the time-outs.
    """

    relay: Relay
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    stopwatch: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def name(self) -> str:
        return "lmtp" if self.relay.is_lmtp else "smtp"

    @contextmanager
    def open(self) -> Iterator[SmtpChannel]:
        channel = SmtpChannel(self.relay, self.tls, self.stopwatch)
        try:
            yield channel
            channel.leave()
        finally:
            channel.drop()

    def check(self) -> None:
        """Connect, greet, log in and leave again."""
        try:
            with replace(self, relay=replace(self.relay, limits=CHECKING)).open() as channel:
                channel.try_out()
        except Decided as decided:
            family = ConfigError if decided.judgement.reason in STOPS_EVERY_CHANNEL else Unavailable
            code = f"{decided.code} " if decided.code else ""
            raise family(f"{self.describe()}: {decided.judgement.reason} ({code}{decided.text})") from None

    def describe(self) -> str:
        relay = self.relay
        how = {"none": "in clear text", "starttls": "with STARTTLS", "tls": "with TLS"}[relay.security]
        place = relay.host if relay.host.startswith("/") else f"{relay.host}:{relay.port}"
        return f"{self.name.upper()} to {place} {how}{', logged in' if relay.login else ''}"
