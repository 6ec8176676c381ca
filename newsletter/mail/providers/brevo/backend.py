"""The Brevo provider: POST /v3/smtp/email, the fields of one mail as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult

from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.http.api import Answer, Request, Ruling, accepted, by_status
from newsletter.mail.providers.http.backend import HttpBackend
from newsletter.mail.providers.http.fields import Mailbox, read_fields
from newsletter.mail.providers.http.url import endpoint_of, read_host, read_options, read_secret

HOST = "api.brevo.com"
FORM = f"brevo://API_KEY@{HOST}"
_BY_CODE = {
    "not_enough_credits": "quota_exceeded",
    "account_under_validation": "account_suspended",
    "permission_denied": "auth_refused",
    "unauthorized": "auth_refused",
    "method_not_allowed": "server_refuses",
}


@dataclass(frozen=True, slots=True)
class BrevoApi:
    """An account at Brevo."""

    key: str = field(repr=False)

    name = "brevo"
    most = 1
    largest = 10_000_000

    def describe(self) -> str:
        return "Brevo in the European Union"

    def item(self, message: Message) -> bytes:
        fields = read_fields(message)
        content = {
            "sender": _written(fields.sender),
            "to": [_written(fields.recipient)],
            "subject": fields.subject,
            "textContent": fields.text,
            "htmlContent": fields.html,
            "replyTo": _written(fields.reply_to) if fields.reply_to else None,
            "headers": dict(fields.headers) or None,
        }
        return json.dumps({name: value for name, value in content.items() if value is not None}).encode()

    def request(self, items: Sequence[bytes]) -> Request:
        return Request("POST", "/v3/smtp/email", self._headers() | {"Content-Type": "application/json"}, items[0])

    def judge(self, count: int, answer: Answer) -> Sequence[Ruling]:
        return [self._ruling(answer)] * count

    def probe(self) -> Request:
        return Request("GET", "/v3/account", self._headers())

    def is_welcome(self, answer: Answer) -> bool:
        return answer.is_success

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "api-key": self.key}

    def _ruling(self, answer: Answer) -> Ruling:
        text, code = answer.said("message"), answer.said("code")
        if answer.is_success:
            return accepted(answer, answer.said("messageId"))
        if not 400 <= answer.status < 500:
            return by_status(answer, text)
        if code in _BY_CODE:
            return Ruling(Outcome.STOP, _BY_CODE[code], text, answer.status)
        words = set(text.lower().replace(".", " ").replace("'", " ").split())
        if answer.status == 400 and "sender" in words:
            return Ruling(Outcome.STOP, "sender_refused", text, answer.status)
        if answer.status == 400 and {"to", "email"} <= words:
            return Ruling(Outcome.FAILED, "address_refused", text, answer.status)
        return by_status(answer, text)


def _written(mailbox: Mailbox) -> dict[str, str]:
    return {"email": mailbox.address} | ({"name": mailbox.name} if mailbox.name else {})


def brevo_from_url(parts: SplitResult) -> HttpBackend:
    """Make the backend that a URL such as brevo://KEY@api.brevo.com names.

    :raises ConfigError: saying what is wrong with the URL, never its key
    """
    options = read_options(parts)
    _, key = read_secret(parts, form=FORM)
    read_host(parts, form=FORM, pattern=r"api\.brevo\.com")
    return HttpBackend(BrevoApi(key), endpoint_of(options, host=HOST))
