"""The Mailgun provider: POST /v3/DOMAIN/messages.mime, one mail in a request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import SplitResult

from newsletter.base.errors import ConfigError
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.http.api import Answer, Request, Ruling, accepted, by_status
from newsletter.mail.providers.http.backend import HttpBackend
from newsletter.mail.providers.http.url import endpoint_of, read_host, read_options, read_secret

FORM = "mailgun://API_KEY@DOMAIN?region=eu (or region=us)"
HOSTS = {"eu": "api.eu.mailgun.net", "us": "api.mailgun.net"}


@dataclass(frozen=True, slots=True)
class MailgunApi:
    """A sending domain at Mailgun, in one of its two regions."""

    domain: str
    region: str
    key: str = field(repr=False)

    name = "mailgun"
    most = 1
    largest = 25_000_000

    def describe(self) -> str:
        where = "the European Union" if self.region == "eu" else "the United States"
        return f"Mailgun in {where}, domain {self.domain}"

    def item(self, message: Message) -> bytes:
        data = message.data
        boundary = sha256(data).hexdigest().encode()
        fields = [(b"to", b"", message.recipient.encode())]
        fields += [(name, b"", b"no") for name in (b"o:tracking", b"o:tracking-clicks", b"o:tracking-opens")]
        fields.append((b"message", b'; filename="message.eml"\r\nContent-Type: message/rfc822', data))
        parts = [b'Content-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % each for each in fields]
        return b"".join(b"--" + boundary + b"\r\n" + part for part in parts) + b"--" + boundary + b"--\r\n"

    def request(self, items: Sequence[bytes]) -> Request:
        boundary = items[0][2:66].decode()
        return self._post({"Content-Type": f'multipart/form-data; boundary="{boundary}"'}, items[0])

    def judge(self, count: int, answer: Answer) -> Sequence[Ruling]:
        return [self._ruling(answer)] * count

    def probe(self) -> Request:
        """A message without anything in it: a key that may only send is let in, and nothing is sent."""
        return self._post({"Content-Type": "application/x-www-form-urlencoded"}, b"")

    def is_welcome(self, answer: Answer) -> bool:
        return answer.status == 400

    def _post(self, headers: dict[str, str], body: bytes) -> Request:
        login = b64encode(f"api:{self.key}".encode()).decode()
        return Request("POST", f"/v3/{self.domain}/messages.mime", headers | {"Authorization": f"Basic {login}"}, body)

    def _ruling(self, answer: Answer) -> Ruling:
        text = answer.said("message")
        if answer.is_success:
            return accepted(answer, answer.said("id"))
        if answer.status == 400 and "to parameter" in text.replace("'", ""):
            return Ruling(Outcome.FAILED, "address_refused", text, answer.status)
        if answer.status == 400 and ("from" in text.lower() or "domain" in text.lower()):
            return Ruling(Outcome.STOP, "sender_refused", text, answer.status)
        return by_status(answer, text)


def mailgun_from_url(parts: SplitResult) -> HttpBackend:
    """Make the backend that a URL such as mailgun://KEY@lettre.example.ma?region=eu names.

    :raises ConfigError: saying what is wrong with the URL, never its key
    """
    options = read_options(parts, region="eu|us")
    if "region" not in options:
        raise ConfigError(f"the mail URL should have the form {FORM}: say where the mail goes")
    _, key = read_secret(parts, form=FORM)
    domain = read_host(parts, form=FORM, pattern=r"[a-z0-9.-]+\.[a-z0-9-]+")
    region = options["region"]
    return HttpBackend(MailgunApi(domain, region, key), endpoint_of(options, host=HOSTS[region]))
