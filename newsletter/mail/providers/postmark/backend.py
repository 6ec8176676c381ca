"""The Postmark provider: POST /email/batch, the fields of each mail as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formataddr
from typing import Any
from urllib.parse import SplitResult

from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.http.api import Answer, Request, Ruling, accepted, by_status, one_line
from newsletter.mail.providers.http.backend import HttpBackend
from newsletter.mail.providers.http.fields import Mailbox, read_fields
from newsletter.mail.providers.http.url import endpoint_of, read_host, read_options, read_secret

FORM = "postmark://SERVER_TOKEN@STREAM, such as postmark://…@broadcast"
HOST = "api.postmarkapp.com"
_BY_CODE = {
    10: Ruling(Outcome.STOP, "auth_refused"),
    100: Ruling(Outcome.STOP, "server_busy"),
    400: Ruling(Outcome.STOP, "sender_refused"),
    401: Ruling(Outcome.STOP, "sender_refused"),
    402: Ruling(Outcome.STOP, "server_refuses"),
    403: Ruling(Outcome.STOP, "server_refuses"),
    405: Ruling(Outcome.STOP, "quota_exceeded"),
    406: Ruling(Outcome.FAILED, "suppressed_by_provider"),
    409: Ruling(Outcome.STOP, "server_refuses"),
    410: Ruling(Outcome.STOP, "server_refuses"),
    412: Ruling(Outcome.STOP, "account_suspended"),
    413: Ruling(Outcome.STOP, "account_suspended"),
    429: Ruling(Outcome.DEFERRED, "throttled"),
}


@dataclass(frozen=True, slots=True)
class PostmarkApi:
    """A server at Postmark, and one of its message streams."""

    stream: str
    token: str = field(repr=False)

    name = "postmark"
    most = 500
    largest = 5_000_000  # per body; 10 MB for the whole

    def describe(self) -> str:
        return f"Postmark in the United States, stream {self.stream}"

    def item(self, message: Message) -> bytes:
        fields = read_fields(message)
        content = {
            "From": _written(fields.sender),
            "To": _written(fields.recipient),
            "Subject": fields.subject,
            "TextBody": fields.text,
            "HtmlBody": fields.html,
            "ReplyTo": _written(fields.reply_to) if fields.reply_to else None,
            # Without the second header the Message-ID would be theirs, and another one at each attempt.
            "Headers": [{"Name": name, "Value": value} for name, value in [*fields.headers, ("X-PM-KeepID", "true")]],
            "MessageStream": self.stream,
            "TrackOpens": False,
            "TrackLinks": "None",
        }
        return json.dumps({name: value for name, value in content.items() if value is not None}).encode()

    def request(self, items: Sequence[bytes]) -> Request:
        headers = self._headers() | {"Content-Type": "application/json"}
        return Request("POST", "/email/batch", headers, b"[" + b",".join(items) + b"]")

    def judge(self, count: int, answer: Answer) -> Sequence[Ruling]:
        content = answer.content
        if not answer.is_success:
            return [self._whole(count, answer)] * count
        if (
            not isinstance(content, list)
            or len(content) != count
            or not all(isinstance(each, dict) for each in content)
        ):
            text = "the answer does not speak of each mail"
            return [Ruling(Outcome.UNCERTAIN, "garbage_after_data", text, answer.status)] * count
        return [self._single(answer, each) for each in content]

    def probe(self) -> Request:
        return Request("GET", "/server", self._headers())

    def is_welcome(self, answer: Answer) -> bool:
        return answer.is_success

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "X-Postmark-Server-Token": self.token}

    def _single(self, answer: Answer, content: Mapping[str, Any]) -> Ruling:
        code, text = content.get("ErrorCode", 0), one_line(str(content.get("Message", "")))
        if code == 0:
            return accepted(answer, content.get("MessageID"))
        return _by_code(code, text)

    def _whole(self, count: int, answer: Answer) -> Ruling:
        """Rule over a request that was refused as a whole; of several mails none is to blame, nor tried in vain."""
        content = answer.content
        code = content.get("ErrorCode") if isinstance(content, dict) else None
        text = answer.said("Message")
        ruling = _by_code(code, text) if answer.status == 422 and code is not None else by_status(answer, text)
        if ruling.outcome is Outcome.FAILED and count > 1:  # in other company it may pass
            return replace(ruling, outcome=Outcome.DEFERRED, reason="request_refused")
        return ruling


def _by_code(code: object, text: str) -> Ruling:
    known = _BY_CODE.get(code) if isinstance(code, int) else None
    number = code if isinstance(code, int) else None
    if known is not None:
        return Ruling(known.outcome, known.reason, text, number)
    if code == 300 and "'To'" in text:
        return Ruling(Outcome.FAILED, "address_refused", text, number)
    if code == 300 and "'From'" in text:
        return Ruling(Outcome.STOP, "sender_refused", text, number)
    return Ruling(Outcome.FAILED, "policy", text, number)


def _written(mailbox: Mailbox) -> str:
    """Write name and address, the name quoted if need be and not encoded: JSON is Unicode."""
    if mailbox.name.isascii():
        return formataddr((mailbox.name, mailbox.address))
    quoted = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{mailbox.address}>'


def postmark_from_url(parts: SplitResult) -> HttpBackend:
    """Make the backend that a URL such as postmark://TOKEN@broadcast names.

    :raises ConfigError: saying what is wrong with the URL, never its token
    """
    options = read_options(parts)
    _, token = read_secret(parts, form=FORM)
    stream = read_host(parts, form=FORM, pattern=r"[a-z0-9][a-z0-9_-]*")
    return HttpBackend(PostmarkApi(stream, token), endpoint_of(options, host=HOST))
