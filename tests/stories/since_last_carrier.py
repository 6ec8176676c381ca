"""A mail backend in memory that does what a script says, and tells a watcher what it sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as ParsedMail
from pathlib import Path

from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import Message, Outcome, Verdict

SITE = "https://news.test/"
PLAIN_MAIL = {
    "subject.txt": "{{ newsletter.name }}",
    "body.txt": "{{ unsubscribe_url }}{{ preferences_url }}\n"
    "{% for topic in topics %}{% for article in topic.articles %}\n{{ article.url }}\n{% endfor %}{% endfor %}\n",
    "body.html": "<!doctype html><html><head><title>{{ subject }}</title></head><body></body></html>",
}
PLAIN_CONFIRMATION = PLAIN_MAIL | {"body.txt": "{{ confirm_url }}\n{{ never_url }}\n"}
PLAIN_CHANGE = PLAIN_MAIL | {"body.txt": "{{ change_address_url }}\n{{ never_url }}\n"}
PLAIN_NOTICE = PLAIN_MAIL | {"body.txt": "{{ preferences_url }}\n"}


def write_plain_templates(folder: Path) -> Path:
    """Write the smallest mails that say what a test wants to read: rendering is not what is tested here."""
    mails = {
        "digest": PLAIN_MAIL,
        "digest_light": PLAIN_MAIL,
        "confirmation": PLAIN_CONFIRMATION,
        "already_subscribed": PLAIN_NOTICE,
        "change_address": PLAIN_CHANGE,
        "address_changed": PLAIN_MAIL | {"body.txt": "{{ newsletter.name }}\n"},
    }
    for mail, parts in mails.items():
        (folder / mail).mkdir(parents=True)
        for name, content in parts.items():
            (folder / mail / name).write_text(content, encoding="utf-8")
    return folder


class Killed(Exception):
    """The sending process dies here."""


@dataclass
class Script:
    """What the carrier shall do: the n-th try for a person takes the n-th outcome, each person starting elsewhere.

    `dies_at` and `rests_at` count the digests handed over; `then` happens while the sender of that one sleeps.
    """

    outcomes: Sequence[str] = ()
    dies_at: int | None = None
    dies_after_taking: bool = True
    rests_at: int | None = None
    then: Callable[[], None] | None = None
    tries: dict[str, int] = field(default_factory=dict)

    def outcome(self, recipient: str) -> Outcome:
        tried = self.tries[recipient] = self.tries.get(recipient, 0) + 1
        if not self.outcomes:
            return Outcome.ACCEPTED
        return Outcome(self.outcomes[(person_of(recipient) + tried) % len(self.outcomes)])


class Watcher:
    """Is told what the carrier sees; the state machine overrides it."""

    def handed_over(self, line: object, messages: Sequence[Message]) -> None: ...

    def received(self, message: Message) -> None: ...

    def closed(self, line: object, verdicts: Sequence[Verdict]) -> None: ...


class Carrier:
    """A mail backend in memory whose every line is a sender of its own; an uncertain mail was received."""

    name = "scripted"

    def __init__(self, script: Script, watcher: Watcher) -> None:
        self.script = script
        self.watcher = watcher
        self.count = 0
        self.lock = threading.RLock()

    def describe(self) -> str:
        return "nowhere"

    def check(self) -> None:
        """Memory is always there."""

    @contextmanager
    def open(self) -> Iterator[Line]:
        line = Line(self)
        yield line  # whoever dies settles nothing of what he holds
        line.close_window()


class Line(InTurn):
    """One channel; with a window of two its sender writes each verdict before it asks for the next, or closes."""

    def __init__(self, carrier: Carrier) -> None:
        super().__init__(self._take)
        self.carrier = carrier
        self.told: list[Verdict] = []

    def close_window(self) -> None:
        with self.carrier.lock:
            self.carrier.watcher.closed(self, self.told)
            self.told = []

    def submit(self, messages: Sequence[Message]) -> None:
        self.close_window()
        with self.carrier.lock:
            self.carrier.watcher.handed_over(self, [message for message in messages if is_digest(message)])
        super().submit(messages)

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        if wait <= 0:  # its sender is still writing
            return ()
        self.close_window()
        digests = {message.key for message in self._waiting if is_digest(message)}
        found = super().verdicts(wait=wait)
        self.told += [verdict for verdict in found if verdict.key in digests]
        return found

    def _take(self, message: Message) -> Verdict:
        if not is_digest(message):
            return Verdict(message.key, Outcome.ACCEPTED, 250, "accepted", "")
        with self.carrier.lock:
            carrier, script = self.carrier, self.carrier.script
            outcome = script.outcome(message.recipient)
            carrier.count += 1
            dies = carrier.count == script.dies_at
            if carrier.count == script.rests_at and script.then:
                script.then()
            taken = outcome in {Outcome.ACCEPTED, Outcome.UNCERTAIN} and (script.dies_after_taking or not dies)
            if taken:
                carrier.watcher.received(message)
        if dies:
            raise Killed
        return Verdict(message.key, outcome, None, str(outcome), "")


def is_digest(message: Message) -> bool:
    return b"\r\nList-Unsubscribe:" in message.data


def articles_in(message: Message) -> tuple[str, list[str]]:
    """Return the Message-ID of a mail and the addresses of its articles, in their order."""
    parsed = message_from_bytes(message.data)
    body = _text_of(parsed)
    return parsed["Message-ID"], [line for line in body.splitlines() if line.startswith(SITE)]


def _text_of(parsed: ParsedMail) -> str:
    part = next(part for part in parsed.walk() if part.get_content_type() == "text/plain")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def address_of(person: int) -> str:
    return f"reader{person}@example.org"


def person_of(address: str) -> int:
    return int(address.removeprefix("reader").partition("@")[0])
