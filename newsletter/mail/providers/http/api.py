"""What a provider's API has to say about itself, and what an HTTP answer means for a mail (RFC 9110 section 15)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from newsletter.mail.port import Message, Outcome

LONGEST_TEXT = 500  # characters of an answer that are kept


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; its headers carry the secrets."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of the headers are in lower case. A body that was cut off is empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # brackets without end are no JSON either
            return None

    def said(self, *names: str) -> str:
        """Return the first of these texts of the JSON object that is there, as one line; empty without any."""
        content = self.content
        found = [content[name] for name in names if name in content] if isinstance(content, dict) else []
        return one_line(str(found[0])) if found else ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an answer decides for one mail. `ends_round`: the mails that wait behind it are not worth the attempt."""

    outcome: Outcome
    reason: str
    text: str = ""
    code: int | None = None
    ends_round: bool = False


class Api(Protocol):
    """One provider: how it wants to be asked, and what its answers mean."""

    @property
    def name(self) -> str: ...

    @property
    def most(self) -> int:
        """How many mails one request may carry."""
        ...

    @property
    def largest(self) -> int:
        """How many octets a mail may have."""
        ...

    def describe(self) -> str:
        """Say who it is and in which country, without secrets."""
        ...

    def item(self, message: Message) -> bytes:
        """Write what the API needs of one mail.

        :raises InvalidInput: if the API cannot express this mail
        """
        ...

    def request(self, items: Sequence[bytes]) -> Request:
        """Put at most `most` items into one request."""
        ...

    def judge(self, count: int, answer: Answer) -> Sequence[Ruling]:
        """Return a ruling for each of the `count` mails of a request, in their order."""
        ...

    def probe(self) -> Request:
        """Return a request that sends nothing and shows whether we are let in."""
        ...

    def is_welcome(self, answer: Answer) -> bool:
        """Whether this answer to `probe` means that we are let in."""
        ...


def one_line(text: str) -> str:
    """Return what an API said as one printable line of bounded length."""
    words = " ".join(text[: 4 * LONGEST_TEXT].split())
    return "".join(each if each.isprintable() else "\ufffd" for each in words)[:LONGEST_TEXT]


def accepted(answer: Answer, identifier: object) -> Ruling:
    """Rule that a mail was taken; a success without the provider's own number for it is none that we can believe."""
    if isinstance(identifier, str) and identifier:
        return Ruling(Outcome.ACCEPTED, "accepted", one_line(identifier), answer.status)
    return Ruling(Outcome.UNCERTAIN, "garbage_after_data", "the answer names no message", answer.status)


def by_status(answer: Answer, text: str = "") -> Ruling:
    """Rule by the status alone. A refusal that does not say whom it is about is ours (policy), not the reader's."""
    status = answer.status
    text = text or one_line(answer.body.decode(errors="replace"))
    found = _BY_STATUS.get(status)
    if found is None and 500 <= status < 600:
        # It may have been taken before the failure: in doubt, and no time to put more mails into doubt.
        found = Ruling(Outcome.UNCERTAIN, "server_error", ends_round=True)
    if found is None and 400 <= status < 500:
        found = Ruling(Outcome.FAILED, "policy")
    return replace(found or Ruling(Outcome.STOP, "server_refuses"), text=text, code=status)


_BY_STATUS = {
    401: Ruling(Outcome.STOP, "auth_refused"),
    402: Ruling(Outcome.STOP, "quota_exceeded"),
    403: Ruling(Outcome.STOP, "auth_refused"),
    404: Ruling(Outcome.STOP, "server_refuses"),
    405: Ruling(Outcome.STOP, "server_refuses"),
    407: Ruling(Outcome.STOP, "server_refuses"),
    408: Ruling(Outcome.DEFERRED, "timeout"),
    410: Ruling(Outcome.STOP, "server_refuses"),
    413: Ruling(Outcome.FAILED, "policy"),
    421: Ruling(Outcome.STOP, "server_refuses"),
    425: Ruling(Outcome.DEFERRED, "server_busy"),
    429: Ruling(Outcome.DEFERRED, "throttled"),
    501: Ruling(Outcome.STOP, "server_refuses"),
    503: Ruling(Outcome.STOP, "server_busy"),
    505: Ruling(Outcome.STOP, "server_refuses"),
}
