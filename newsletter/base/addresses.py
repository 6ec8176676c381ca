"""Mail addresses: read strictly, keyed for comparison, shown masked."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from email_validator import EmailNotValidError, validate_email

from newsletter.base.errors import InvalidInput

MAXIMUM_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets


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
    key = mailed.casefold()
    return Address(mailed, key, not mailed.isascii())


def address_hash(key: bytes, address_key: str) -> str:
    """Return the keyed hash that stands for an address where the address itself must not be kept."""
    return hmac.new(key, address_key.encode(), sha256).hexdigest()


def masked(address: str) -> str:
    """Show enough of an address for its owner to know it: s…a@gmail.com."""
    local, _, domain = address.rpartition("@")
    shown = f"{local[0]}…{local[-1]}" if len(local) > 2 else f"{local[:1]}…"
    return f"{shown}@{domain}"
