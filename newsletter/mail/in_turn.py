"""A channel for providers that send one message at a time, and a caller that wants all verdicts at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from newsletter.mail.envelope import refusal
from newsletter.mail.port import Channel, Message, Outcome, Verdict

PATIENCE = 60.0  # seconds between two looks at a channel that answers in its own time


class InTurn:
    """Checks and sends each message in turn; after a stop the rest of those in hand gets the same verdict."""

    def __init__(self, send: Callable[[Message], Verdict]) -> None:
        self._send = send
        self._waiting: deque[Message] = deque()

    def submit(self, messages: Sequence[Message]) -> None:
        self._waiting.extend(messages)

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        if not self._waiting or wait <= 0:  # sending one takes as long as it takes
            return ()
        message = self._waiting.popleft()
        verdict = refusal(message) or self._send(message)
        if verdict.outcome is not Outcome.STOP:
            return (verdict,)
        rest = [replace(verdict, key=each.key) for each in self._waiting]
        self._waiting.clear()
        return (verdict, *rest)


def send_all(channel: Channel, messages: Sequence[Message]) -> list[Verdict]:
    """Send these messages, wait for every verdict, and return them in the order of the messages."""
    channel.submit(messages)
    found: list[Verdict] = []
    while len(found) < len(messages):
        found += channel.verdicts(wait=PATIENCE)
    places = {message.key: place for place, message in enumerate(messages)}
    return sorted(found, key=lambda verdict: places[verdict.key])
