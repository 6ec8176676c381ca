"""The doctor's trial mail: small, plain, with the headers of our other mails."""

from __future__ import annotations

import uuid
from base64 import encodebytes
from datetime import datetime

from newsletter.base.addresses import read_address
from newsletter.base.languages import named
from newsletter.mail.headers import date_header, encode_header, encode_mailbox, encode_structured
from newsletter.mail.port import Message
from newsletter.newsletters.models import Newsletter


def trial_mail(newsletter: Newsletter, *, address: str, now: datetime) -> Message:
    """Write one trial mail in the name of a newsletter.

    :raises InvalidInput: if no mail can be sent to this address
    """
    recipient = read_address(address)
    return Message(
        key=0,
        sender=newsletter.owner,
        recipient=recipient.mailed,
        parts=(_written(newsletter, recipient.mailed, utf8=recipient.needs_smtputf8, now=now),),
        smtputf8=recipient.needs_smtputf8,
    )


def _written(newsletter: Newsletter, recipient: str, *, utf8: bool, now: datetime) -> bytes:
    name = named(newsletter.names, newsletter.languages)
    body = (
        f"This is a trial mail of the newsletter “{name}”, asked for by `newsletter doctor --send-test`.\r\n"
        "If you read this, mail leaves. Look at how it was signed and into which folder it fell.\r\n"
    )
    return b"".join(
        [
            encode_mailbox("From", named(newsletter.institution, newsletter.languages), newsletter.sender),
            b"To: " + recipient.encode() + b"\r\n" if utf8 else encode_mailbox("To", "", recipient),
            encode_header("Subject", f"Trial mail: {name}"),
            date_header(now),
            encode_structured("Message-ID", f"<{uuid.uuid4().hex}@{newsletter.mail_domain}>"),
            encode_structured("Auto-Submitted", "auto-generated"),
            encode_structured("Content-Language", "en"),
            b"MIME-Version: 1.0\r\n",
            b'Content-Type: text/plain; charset="utf-8"\r\n',
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            encodebytes(body.encode()).replace(b"\n", b"\r\n"),
        ]
    )
