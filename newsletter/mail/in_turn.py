"""The order that providers share which send one message at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from newsletter.mail.envelope import refusal
from newsletter.mail.port import Message, Outcome, Verdict


def in_turn(messages: Sequence[Message], send: Callable[[Message], Verdict]) -> Iterator[Verdict]:
    """Check and send each message; after the first stop nothing is sent and the rest gets the same verdict."""
    stop: Verdict | None = None
    for message in messages:
        verdict = replace(stop, key=message.key) if stop else refusal(message) or send(message)
        if verdict.outcome is Outcome.STOP:
            stop = verdict
        yield verdict
