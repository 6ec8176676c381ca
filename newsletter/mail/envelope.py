"""What may go onto the wire: addresses and messages are checked before any provider sees them (RFC 5321, 5322)."""

from __future__ import annotations

import re

from newsletter.mail.port import Message, Outcome, Verdict

LONGEST_LOCAL_PART = 64  # octets, RFC 5321 section 4.5.3.1.1
LONGEST_ADDRESS = 254  # octets, RFC 5321 section 4.5.3.1.3 less the angle brackets

# Dot-atoms and plain domains only: whatever needs quotes has a second reading somewhere on its way.
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9\u00a1-\U0010ffff](?:[A-Za-z0-9.\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?")
_LITERAL = re.compile(r"\[(?:[0-9.]+|IPv6:[0-9A-Fa-f:.]+)\]")


def address_problem(address: str, *, smtputf8: bool = False) -> str | None:
    """Say why this address must not go onto the wire; None if it may.

    Non-ASCII addresses need `smtputf8` (RFC 6531).
    """
    if not address.isascii() and not smtputf8:
        return "the address is not ASCII and the message does not ask for SMTPUTF8"
    if not address.isprintable() or " " in address:  # every other blank is not printable
        return "the address holds a blank or a control character"
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local):
        return "the address has no plain local part"
    if not (_DOMAIN.fullmatch(domain) and ".." not in domain) and not _LITERAL.fullmatch(domain):
        return "the address has no plain domain"
    if len(local.encode()) > LONGEST_LOCAL_PART or len(address.encode()) > LONGEST_ADDRESS:
        return "the address is too long"
    return None


def data_problem(data: bytes) -> str | None:
    """Say why these bytes are no message; None if they are: CRLF only, ended by one, without NUL."""
    line_ends = data.count(b"\r\n")
    if not data.endswith(b"\r\n") or data.count(b"\n") != line_ends or data.count(b"\r") != line_ends:
        return "a line of the message does not end in CRLF"
    if b"\0" in data:
        return "the message holds a NUL"
    return None


def refusal(message: Message) -> Verdict | None:
    """Return the verdict of a message that no provider may send; None if it is fit to be sent."""
    addresses = (message.sender, message.recipient) if message.sender else (message.recipient,)
    for address in addresses:
        if problem := address_problem(address, smtputf8=message.smtputf8):
            return Verdict(message.key, Outcome.FAILED, None, "address_invalid", problem)
    if problem := data_problem(message.data):
        return Verdict(message.key, Outcome.FAILED, None, "message_malformed", problem)
    return None
