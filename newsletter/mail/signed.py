"""A mail backend whose mails are signed on their way out, whatever wrote them and whoever carries them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from newsletter.base.clock import Clock
from newsletter.base.config import DkimKey
from newsletter.mail.dkim import Signer
from newsletter.mail.port import Channel, MailBackend, Message, Verdict


def signed_backend(backend: MailBackend, *, keys: Sequence[DkimKey], clock: Clock) -> SignedBackend:
    """Let these keys sign what a backend sends.

    :raises ConfigError: if one of them cannot be read or used
    """
    return SignedBackend(backend, signer=Signer(keys), clock=clock)


class SignedBackend:
    """Signs each message just before another backend takes it: no transaction waits for the signing."""

    def __init__(self, backend: MailBackend, *, signer: Signer, clock: Clock) -> None:
        self._backend = backend
        self._signer = signer
        self._clock = clock

    @property
    def name(self) -> str:
        """The name of the backend that carries the mails."""
        return self._backend.name

    def open(self) -> AbstractContextManager[Channel]:
        """Open a channel of the backend."""
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[Channel]:
        with self._backend.open() as channel:
            yield _SignedChannel(channel, self._signer, self._clock)

    def describe(self) -> str:
        """Say where mail goes, and who signs it."""
        return f"{self._backend.describe()}, signed for {self._signer.describe()}"

    def check(self) -> None:
        """Make sure that the backend could send."""
        self._backend.check()


class _SignedChannel:
    def __init__(self, channel: Channel, signer: Signer, clock: Clock) -> None:
        self._channel = channel
        self._signer = signer
        self._clock = clock

    def submit(self, messages: Sequence[Message]) -> None:
        self._channel.submit(self._signer.sign_all(messages, moment=self._clock.now()))

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        return self._channel.verdicts(wait=wait)
