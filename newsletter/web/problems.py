"""What is wrong in a form, said beside its field and once more above the form."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """A message, and the id of the field that it speaks of."""

    field: str
    message: str
