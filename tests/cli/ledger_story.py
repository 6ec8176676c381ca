"""An issue that left with troubles: what the commands about the ledger are asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from command_line import MONDAY, SUNDAY, TUESDAY, Command

from factories import make_reader
from newsletter.mail.port import Channel, Message, Outcome, Verdict
from newsletter.operations.run_due import run_due

READERS = ("amal@example.org", "badr@gmail.com", "chama@gmail.com", "driss@hotmail.com", "esra@example.org")
REPLIES = {
    "badr@gmail.com": Verdict(0, Outcome.FAILED, 552, "mailbox_full", "5.2.2 mailbox full"),
    "chama@gmail.com": Verdict(0, Outcome.DEFERRED, 421, "throttled", "4.7.28 too many mails"),
    "driss@hotmail.com": Verdict(0, Outcome.UNCERTAIN, None, "timeout_after_data", "no answer to the final dot"),
    "esra@example.org": Verdict(0, Outcome.FAILED, 550, "mailbox_unknown", "5.1.1 no such user"),
}


class Trouble:
    """A backend of the same name as the set-up's, that answers by recipient."""

    name = "maildir"

    def __init__(self, replies: dict[str, Verdict]) -> None:
        self.replies = replies
        self.offered: list[Message] = []
        self._waiting: list[Verdict] = []

    def open(self) -> AbstractContextManager[Channel]:
        return nullcontext(self)

    def submit(self, messages: Sequence[Message]) -> None:
        self.offered += messages
        for each in messages:
            said = self.replies.get(each.recipient, Verdict(0, Outcome.ACCEPTED, 250, "accepted", "2.0.0 Ok: queued"))
            self._waiting.append(replace(said, key=each.key))

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        given, self._waiting = self._waiting, []
        return given

    def check(self) -> None:
        pass

    def describe(self) -> str:
        return "nowhere"


def send_with(command: Command, at: str = MONDAY, replies: dict[str, Verdict] | None = None) -> Trouble:
    """Run what is due at a moment with these replies; what is in doubt waits for a person."""
    backend = Trouble(REPLIES if replies is None else replies)
    with command.parts(at) as parts:
        run_due(replace(parts.postroom, backend=backend, in_doubt="hold"))
    return backend


def troubled(ready: Command, feed: Callable[..., Path]) -> Iterator[Command]:
    """Give the command after issue 1 went to READERS with these REPLIES."""
    ready("sources", "add", str(feed("Un guichet unique")))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        for address in READERS:
            make_reader(parts, address)
    feed("Un guichet unique", "Une autre nouvelle")
    ready("fetch", "--at", TUESDAY)
    send_with(ready)
    yield ready
