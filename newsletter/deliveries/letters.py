"""The header sets of our mails (RFC 5322, 2369, 2919, 3834, 8058): what readers share, and what is their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import named
from newsletter.base.links import Links
from newsletter.deliveries.lanes import Claimed
from newsletter.mail.envelope import LONGEST_ADDRESS, address_problem
from newsletter.mail.headers import HeaderForm, encode_list_id, encode_mailbox, encode_structured, header_form
from newsletter.mail.port import Message
from newsletter.mail.template import Compiled, marker
from newsletter.newsletters.models import Newsletter

_TO, _DATE = marker("To", 32), marker("Date", 32)
# Most addresses by far, and nothing that address_problem would refuse or a reader of headers take for something else.
_is_ordinary = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~.-]{1,64}@[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*").fullmatch
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


def digest_headers(head: Letterhead, links: Links, *, issue_id: int) -> Sequence[bytes]:
    """Return the headers that all readers of an issue in one language share; the subject is each edition's own."""
    return [
        encode_mailbox("From", head.institution, head.sender),
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


@dataclass(frozen=True, slots=True)
class Letter:
    """A compiled message, and the form of the headers that are each reader's own."""

    message: Compiled
    mail_domain: str
    own: HeaderForm
    own_blanks: tuple[str, ...]  # what the form takes behind recipient, Message-ID and date


def digest_letter(head: Letterhead, links: Links, message: Compiled) -> Letter:
    """Make an edition ready to be sent to readers: each gets a way out of his own in the headers (RFC 8058).

    List-Unsubscribe holds exactly one https address, first, then a mailbox.
    """
    token = marker("unsubscribe", links.unsubscribe_width)
    mailbox = links.unsubscribe_mailbox(token, head.mail_domain)
    way_out = encode_structured("List-Unsubscribe", f"<{links.unsubscribe(token)}>, <mailto:{mailbox}>")
    form = _own_headers(head, links, (way_out, token))
    return Letter(message, head.mail_domain, form, ("unsubscribe",) * (form.places - 3))


def request_letter(head: Letterhead, links: Links, message: Compiled) -> Letter:
    """Make the answer to a person's request ready to be sent."""
    return Letter(message, head.mail_domain, _own_headers(head, links), ())


def message_to(
    row: Claimed,
    *,
    letter: Letter,
    address: str,
    needs_smtputf8: bool,
    bounce: bytes,
    blanks: Mapping[str, bytes],
    date: bytes,
) -> Message:
    """Fill a letter for one delivery; its Message-ID and return path, made of `bounce`, are the same at every try.

    `date` is the value of the Date header, the same for a whole window.

    :raises InvalidInput: if the address or a blank cannot be written
    """
    if needs_smtputf8 or len(address) > LONGEST_ADDRESS or not _is_ordinary(address):
        _check_address(address, needs_smtputf8=needs_smtputf8)
    recipient = address.encode()
    more = [blanks[name] for name in letter.own_blanks]
    own = letter.own.filled((recipient, bounce, date, *more))
    sender = f"b+{bounce.decode()}@{letter.mail_domain}"
    parts = letter.message.fill(own, blanks)
    return Message(row.id, sender, address, parts, needs_smtputf8, address.isascii())


def _own_headers(head: Letterhead, links: Links, *more: tuple[bytes, str]) -> HeaderForm:
    """Lay out a reader's own headers. A token is as wide as its marker: the lines are folded where they would be."""
    bounce = marker("bounce", links.bounce_width)
    headers = [
        f"To: {_TO}\r\n".encode(),
        encode_structured("Message-ID", f"<{bounce}@{head.mail_domain}>"),
        f"Date: {_DATE}\r\n".encode(),
        *(line for line, _ in more),
    ]
    markers = [_TO, bounce, _DATE, *(token for _, token in more)]
    return header_form(headers, [each.encode() for each in markers])


def _check_address(address: str, *, needs_smtputf8: bool) -> None:
    problem = address_problem(address, smtputf8=needs_smtputf8)
    if problem is None and "=?" in address:
        problem = "the address reads as an encoded word"
    if problem:
        raise InvalidInput(f"To: {problem}", code="address_invalid")


def _machine_headers(head: Letterhead, feedback: str) -> list[bytes]:
    sender = head.slug.ljust(_SHORTEST_FEEDBACK_SENDER, "-")[_FEEDBACK_SENDER]
    return [
        encode_structured("Feedback-ID", f"{feedback}:{sender}"),
        encode_structured("Auto-Submitted", "auto-generated"),
        encode_structured("Content-Language", head.language),
    ]
