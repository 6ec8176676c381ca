"""The Amazon SES provider: SendEmail of API version 2 with a raw message, signed by ourselves."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult

from newsletter.base.clock import Clock, SystemClock
from newsletter.base.errors import InvalidInput
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.http.api import Answer, Request, Ruling, accepted, by_status
from newsletter.mail.providers.http.backend import HttpBackend
from newsletter.mail.providers.http.url import endpoint_of, read_host, read_options, read_secret
from newsletter.mail.providers.ses.signing import Signer

FORM = "ses://ACCESS_KEY:SECRET@REGION, such as ses://…:…@eu-west-3"
_BY_TYPE = {
    "MailFromDomainNotVerifiedException": "sender_refused",
    "AccountSuspendedException": "account_suspended",
    "SendingPausedException": "account_suspended",
    "LimitExceededException": "quota_exceeded",
    "NotFoundException": "server_refuses",  # the configuration set
}
_UNTRACKED = {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}
_THROTTLING = {"TooManyRequestsException", "ThrottlingException", "Throttling"}
_ABOUT_THE_ADDRESS = ("address", "local part", "domain name", "domain contains", "domain starts", "final '@domain'")


@dataclass(frozen=True, slots=True)
class SesApi:
    """A region of Amazon SES. `clock` dates the signatures, which hold for minutes."""

    signer: Signer
    host: str
    configuration_set: str | None = None
    clock: Clock = field(default_factory=SystemClock, repr=False, compare=False)

    name = "ses"
    most = 1
    largest = 40_000_000

    def describe(self) -> str:
        return f"Amazon SES, region {self.signer.region}"

    def item(self, message: Message) -> bytes:
        if message.smtputf8 or not message.recipient.isascii():
            raise InvalidInput("Amazon SES takes no address outside of ASCII")
        content: dict[str, Any] = {
            "Destination": {"ToAddresses": [message.recipient]},
            "Content": {"Raw": {"Data": b64encode(message.data).decode()}},
            "ConfigurationOverrides": {"Tracking": _UNTRACKED},
        }
        if message.sender:
            content["FeedbackForwardingEmailAddress"] = message.sender
        if self.configuration_set:
            content["ConfigurationSetName"] = self.configuration_set
        return json.dumps(content).encode()

    def request(self, items: Sequence[bytes]) -> Request:
        return self._signed("POST", "/v2/email/outbound-emails", items[0])

    def judge(self, count: int, answer: Answer) -> Sequence[Ruling]:
        return [self._ruling(answer)] * count

    def probe(self) -> Request:
        return self._signed("GET", "/v2/email/account", b"")

    def is_welcome(self, answer: Answer) -> bool:
        """Whether the key is known; one that may only send is not allowed to read the account."""
        return answer.is_success or (answer.status == 403 and _kind(answer).startswith("AccessDenied"))

    def _signed(self, method: str, path: str, body: bytes) -> Request:
        headers = {"Host": self.host, "Content-Type": "application/json"}
        return Request(method, path, self.signer.headers(method, path, headers, body, moment=self.clock.now()), body)

    def _ruling(self, answer: Answer) -> Ruling:
        kind, text = _kind(answer), answer.said("message", "Message")
        if answer.is_success:
            return accepted(answer, answer.said("MessageId"))
        if kind in _THROTTLING:
            is_daily = "daily" in text.lower()
            outcome, reason = (Outcome.STOP, "quota_exceeded") if is_daily else (Outcome.DEFERRED, "throttled")
            return Ruling(outcome, reason, text, answer.status)
        if kind in _BY_TYPE:
            return Ruling(Outcome.STOP, _BY_TYPE[kind], text, answer.status)
        if kind == "MessageRejected" and "not verified" in text:
            return Ruling(Outcome.STOP, "sender_refused", text, answer.status)
        if kind == "BadRequestException" and any(words in text.lower() for words in _ABOUT_THE_ADDRESS):
            return Ruling(Outcome.FAILED, "address_refused", text, answer.status)
        return by_status(answer, f"{kind}: {text}" if kind else text)


def _kind(answer: Answer) -> str:
    """Return the name of the error, which stands in a header and sometimes with its address behind it."""
    kind = answer.headers.get("x-amzn-errortype") or answer.said("__type", "code")
    return kind.partition(":")[0].rpartition("#")[2]


def ses_from_url(parts: SplitResult) -> HttpBackend:
    """Make the backend that a URL such as ses://KEY:SECRET@eu-west-3 names.

    :raises ConfigError: saying what is wrong with the URL, never its secret
    """
    options = read_options(parts, configuration_set="[A-Za-z0-9_-]{1,64}")
    access_key, secret = read_secret(parts, form=FORM, has_user=True)
    region = read_host(parts, form=FORM, pattern=r"[a-z]{2}(-[a-z]+)+-[0-9]+")
    endpoint = endpoint_of(options, host=f"email.{region}.amazonaws.com")
    signer = Signer(access_key, secret, region)
    return HttpBackend(SesApi(signer, endpoint.authority, options.get("configuration_set")), endpoint)
