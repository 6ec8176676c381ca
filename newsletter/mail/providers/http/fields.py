"""A mail taken apart again, for APIs that take no whole message."""

from __future__ import annotations

from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parseaddr

from newsletter.base.errors import InvalidInput
from newsletter.mail.port import Message

# What such an API writes itself; our signature would no longer hold over what it makes of the parts.
_REWRITTEN = {"from", "to", "subject", "reply-to", "date", "mime-version", "dkim-signature"}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name that people see."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Fields:
    """What a mail says: `headers` as they stand on the wire, unfolded; the parts as text, None where there is none."""

    sender: Mailbox
    recipient: Mailbox
    reply_to: Mailbox | None
    subject: str
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None


def read_fields(message: Message) -> Fields:
    """Take a mail apart: headers, one text part and one HTML part. The recipient is that of the envelope.

    :raises InvalidInput: if there is more in it than that, or no readable From
    """
    if message.smtputf8 or not message.recipient.isascii():
        raise InvalidInput("this provider takes no address outside of ASCII")
    parsed = BytesParser(policy=compat32).parsebytes(message.data)
    bodies = _bodies(parsed)
    sender, to, reply_to = (_mailbox(parsed, name) for name in ("From", "To", "Reply-To"))
    if sender is None:
        raise InvalidInput("the mail has no readable From")
    name = to.name if to is not None and to.address == message.recipient else ""
    kept = [
        (header, " ".join(str(value).split()))
        for header, value in parsed.items()
        if header.lower() not in _REWRITTEN and not header.lower().startswith("content-t")
    ]
    return Fields(
        sender,
        Mailbox(name, message.recipient),
        reply_to,
        _decoded(str(parsed.get("Subject", ""))),
        kept,
        bodies.get("text/plain"),
        bodies.get("text/html"),
    )


def _bodies(parsed: Parsed) -> dict[str, str]:
    bodies: dict[str, str] = {}
    for part in parsed.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        if kind not in {"text/plain", "text/html"} or kind in bodies or part.get_filename():
            raise InvalidInput("this provider takes one text part and one HTML part, the mail has others")
        payload = part.get_payload(decode=True)
        try:
            text = payload.decode(part.get_content_charset("us-ascii")) if isinstance(payload, bytes) else ""
        except (LookupError, UnicodeError):
            raise InvalidInput("a part of the mail is not written in its charset") from None
        bodies[kind] = text.replace("\r\n", "\n")
    return bodies


def _mailbox(parsed: Parsed, header: str) -> Mailbox | None:
    name, address = parseaddr(" ".join(str(parsed.get(header, "")).split()))
    return Mailbox(_decoded(name), address) if "@" in address else None


def _decoded(value: str) -> str:
    """Return a header's text; what cannot be decoded stays as it stands."""
    unfolded = " ".join(value.split())
    try:
        return str(make_header(decode_header(unfolded)))
    except (LookupError, UnicodeError, ValueError):
        return unfolded
