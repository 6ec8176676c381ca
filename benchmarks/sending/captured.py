"""Whether the mails that came are the mails that were meant: compared with the reference, reader by reader."""

from __future__ import annotations

import email.policy
import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.parser import BytesParser

from benchmarks.sending.counting import Envelope
from benchmarks.sending.reference import Reference
from newsletter.bootstrap import Parts
from newsletter.mail.rendering import MailTemplates, Rendered

_BESIDE_TAGS = re.compile(r" ?([<>]) ?")
_READER = re.compile(r"reader([0-9]+)@")


def differences(
    kept: Sequence[Envelope], parts: Parts, issue: Reference, *, is_ours: bool, templates: MailTemplates | None = None
) -> list[str]:
    """Return what is wrong with mails that were kept; nothing, if they say what the reference says.

    `templates` are those of the reference, if not our own.
    """
    wrong: list[str] = []
    seen: set[str] = set()
    for envelope in kept:
        mail = BytesParser(policy=email.policy.default).parsebytes(envelope.data)
        found = _READER.match(envelope.recipient)
        number = int(found[1]) if found else 0
        expected = issue.rendered(parts, number, templates=templates)
        way_out = str(issue.links(parts, number)["unsubscribe_url"])
        checks = _checks(envelope, mail, expected, way_out)
        checks["the return path"] = not is_ours or _is_signed(envelope.sender, parts)
        wrong += [f"{envelope.recipient}: {name} is not as meant" for name, is_right in checks.items() if not is_right]
        if mail["Message-ID"] in seen:
            wrong.append(f"{envelope.recipient}: a Message-ID for the second time")
        seen.add(str(mail["Message-ID"]))
    return wrong


def _checks(envelope: Envelope, mail: EmailMessage, expected: Rendered, way_out: str) -> dict[str, bool]:
    return {
        "the recipient": mail["To"] == envelope.recipient,
        "the subject": mail["Subject"] == expected.subject,
        "the text": _as_read(_content(mail, "plain")) == _as_read(expected.text),
        "the HTML": _as_shown(_content(mail, "html")) == _as_shown(expected.html),
        "the way out": f"<{way_out}>" in str(mail["List-Unsubscribe"]),
    }


def _content(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    return "" if part is None else str(part.get_content())


def _as_read(text: str) -> list[str]:
    """Return the lines without the blanks at their ends: a block is filled up with them to a whole base64 line."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _as_shown(html: str) -> str:
    """Return the HTML without the blanks that no reader sees: beside tags, and more than one of them."""
    return _BESIDE_TAGS.sub(r"\1", " ".join(html.split()))


def _is_signed(sender: str, parts: Parts) -> bool:
    return parts.links.read_bounce(sender.partition("@")[0].removeprefix("b+")) > 0
