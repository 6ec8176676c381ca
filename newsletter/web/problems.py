"""What is wrong in a form, said beside its field and once more above the form."""

from __future__ import annotations

from typing import NamedTuple

from newsletter.base.addresses import read_address
from newsletter.base.errors import InvalidInput
from newsletter.web.speech import gettext


class Problem(NamedTuple):
    """A message, and the id of the field that it speaks of."""

    field: str
    message: str


def address_problem(typed: str) -> Problem | None:
    """Return what keeps an address from being used, if anything does."""
    try:
        read_address(typed)
    except InvalidInput as error:
        if error.code == "address_empty":
            return Problem("address", gettext("Enter your mail address."))
        return Problem("address", gettext("This is not a complete mail address: it looks like name@example.ma."))
    return None
