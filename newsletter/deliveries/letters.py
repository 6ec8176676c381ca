"""The header sets of our mails (RFC 5322, 2369, 2919, 3834, 8058): what readers share, and what is their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.base.languages import named
from newsletter.base.links import Links
from newsletter.deliveries.lanes import Claimed
from newsletter.mail.headers import date_header, encode_list_id, encode_mailbox, encode_structured
from newsletter.mail.port import Message
from newsletter.mail.template import Compiled
from newsletter.newsletters.models import Newsletter

_FEEDBACK_SENDER = slice(0, 15)
_SHORTEST_FEEDBACK_SENDER = 5


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What the headers of a newsletter's mails need to know of it, in one language."""

    slug: str
    name: str
    institution: str
    language: str
    sender: str
    confirmation_sender: str
    owner: str
    mail_domain: str
    list_id: str


def letterhead(newsletter: Newsletter, language: str) -> Letterhead:
    """Return a newsletter's letterhead in a language."""
    return Letterhead(
        slug=newsletter.slug,
        name=named(newsletter.names, [language]),
        institution=named(newsletter.institution, [language]),
        language=language,
        sender=newsletter.sender,
        confirmation_sender=newsletter.confirmation_sender,
        owner=newsletter.owner,
        mail_domain=newsletter.mail_domain,
        list_id=newsletter.list_id(language),
    )


def digest_headers(head: Letterhead, links: Links, *, subject: str, issue_id: int) -> Sequence[tuple[str, str] | bytes]:
    """Return the headers that all readers of an edition share."""
    return [
        encode_mailbox("From", head.institution, head.sender),
        ("Subject", subject),
        encode_list_id(head.name, head.list_id),
        encode_structured("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        encode_structured("List-Help", f"<{links.home(head.language)}>"),
        encode_structured("List-Owner", f"<mailto:{head.owner}>"),
        encode_structured("List-Archive", f"<{links.archive(head.slug, head.language)}>"),
        encode_structured("List-Post", "NO"),
        *_machine_headers(head, f"{issue_id}:{head.language}:digest"),
        encode_structured("Precedence", "bulk"),
    ]


def transactional_headers(head: Letterhead, *, subject: str, kind: str) -> Sequence[tuple[str, str] | bytes]:
    """Return the headers that all mails of a kind share: no list's, because they answer one person's request."""
    return [
        encode_mailbox("From", head.institution, head.confirmation_sender),
        ("Subject", subject),
        *_machine_headers(head, f"{kind}:{head.language}:confirm"),
    ]


def list_unsubscribe(links: Links, head: Letterhead, token: str) -> bytes:
    """Write the header of one reader's way out: exactly one https address, first, then a mailbox."""
    mailbox = links.unsubscribe_mailbox(token, head.mail_domain)
    return encode_structured("List-Unsubscribe", f"<{links.unsubscribe(token)}>, <mailto:{mailbox}>")


def message_to(
    row: Claimed,
    *,
    address: str,
    needs_smtputf8: bool,
    compiled: Compiled,
    blanks: dict[str, str],
    head: Letterhead,
    links: Links,
    now: datetime,
    more_headers: Sequence[bytes] = (),
) -> Message:
    """Fill a compiled message for one delivery; its Message-ID and return path are the same at every try.

    :raises InvalidInput: if the address or a blank cannot be written
    """
    own = links.bounce_mailbox(row.id, head.mail_domain)
    headers = [
        b"To: " + address.encode() + b"\r\n" if needs_smtputf8 else encode_mailbox("To", "", address),
        encode_structured("Message-ID", f"<{own.removeprefix('b+')}>"),
        date_header(now),
        *more_headers,
    ]
    return Message(row.id, own, address, (compiled.fill(headers, blanks),), smtputf8=needs_smtputf8)


def _machine_headers(head: Letterhead, feedback: str) -> list[bytes]:
    sender = head.slug.ljust(_SHORTEST_FEEDBACK_SENDER, "-")[_FEEDBACK_SENDER]
    return [
        encode_structured("Feedback-ID", f"{feedback}:{sender}"),
        encode_structured("Auto-Submitted", "auto-generated"),
        encode_structured("Content-Language", head.language),
    ]
