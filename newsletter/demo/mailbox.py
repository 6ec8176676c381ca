"""Reads the maildir back: what the story checks, and what the mailbox page shows."""

from __future__ import annotations

import email.policy
import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from newsletter.base.errors import NotFound

_URL = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as its reader's program would see it."""

    id: str
    recipient: str
    subject: str
    sender: str
    language: str
    moment: datetime
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def links(self) -> list[str]:
        """The links of the text part, in their order."""
        return _URL.findall(self.text)

    @property
    def one_click(self) -> str:
        """The https address of List-Unsubscribe (RFC 8058)."""
        return next(iter(re.findall(r"<(https?://[^>]+)>", self.header("List-Unsubscribe"))), "")


def mails(folder: Path) -> list[Mail]:
    """Return all mails of a maildir, oldest first."""
    paths = [path for part in ("new", "cur") if (folder / part).is_dir() for path in (folder / part).iterdir()]
    return sorted((_read(path) for path in paths), key=lambda mail: (mail.moment, mail.recipient, mail.id))


def mail(folder: Path, mail_id: str) -> Mail:
    """Return one mail.

    :raises NotFound: if there is none of that name
    """
    for found in mails(folder):
        if found.id == mail_id:
            return found
    raise NotFound("there is no such mail")


def _read(path: Path) -> Mail:
    message = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes())
    return Mail(
        id=path.name,
        recipient=str(message["To"]),
        subject=str(message["Subject"]),
        sender=str(message["From"]),
        language=str(message["Content-Language"] or ""),
        moment=parsedate_to_datetime(str(message["Date"])),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers=tuple((name, str(value)) for name, value in message.items()),
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return "" if part is None else str(part.get_content())
