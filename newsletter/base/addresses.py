"""Mail addresses: read strictly, keyed for comparison, shown masked."""

from __future__ import annotations

import hmac
import unicodedata
from dataclasses import dataclass
from hashlib import sha256

from email_validator import EmailNotValidError, validate_email

from newsletter.base.errors import InvalidInput

MAXIMUM_LENGTH = 254  # octets: RFC 5321 section 4.5.3.1.3, less the angle brackets
MAXIMUM_LOCAL_PART = 64  # octets: RFC 5321 section 4.5.3.1.1


@dataclass(frozen=True, slots=True)
class Address:
    """A usable address: as it is mailed (domain as A-labels), and as it is compared."""

    mailed: str
    key: str
    needs_smtputf8: bool


def read_address(text: str) -> Address:
    """Read what a person typed, without asking the network.

    :raises InvalidInput: if no mail can be sent to it
    """
    typed = text.strip()
    if not typed:
        raise InvalidInput("the address is empty", code="address_empty")
    if len(typed) > MAXIMUM_LENGTH:
        raise InvalidInput("the address is too long", code="address_invalid")
    try:
        found = validate_email(typed, check_deliverability=False, allow_quoted_local=False)
    except EmailNotValidError as error:
        raise InvalidInput(f"not a mail address: {error}", code="address_invalid") from None
    mailed = f"{found.local_part}@{found.ascii_domain}"
    # Lower case and no further folding: ß and ss are two mailboxes.
    key = mailed.lower()
    if len(found.local_part.encode()) > MAXIMUM_LOCAL_PART or max(len(mailed.encode()), len(key)) > MAXIMUM_LENGTH:
        raise InvalidInput("the address is too long", code="address_invalid")
    if "=?" in mailed or not all(_is_written(character) for character in mailed):
        raise InvalidInput("not a mail address: it holds what nobody writes in one", code="address_invalid")
    return Address(mailed, key, not mailed.isascii())


def _is_written(character: str) -> bool:
    """Say whether an address may hold this: beyond ASCII only letters, their marks, and digits."""
    return character.isascii() or unicodedata.category(character)[0] in "LMN"


def address_hash(key: bytes, address_key: str) -> str:
    """Return the keyed hash that stands for an address where the address itself must not be kept."""
    return hmac.new(key, address_key.encode(), sha256).hexdigest()


def masked(address: str) -> str:
    """Show enough of an address for its owner to know it: s…a@gmail.com."""
    local, _, domain = address.rpartition("@")
    shown = f"{local[0]}…{local[-1]}" if len(local) > 2 else f"{local[:1]}…"
    return f"{shown}@{domain}"
