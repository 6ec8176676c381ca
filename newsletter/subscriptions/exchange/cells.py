"""What stands in one cell of CSV: guarded against formulas, or a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r" ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d)?(?: [A-Z+\-][A-Z0-9]{1,5})?)?",
    re.ASCII,
)
_NEVER = "0001-01-01"  # how programs written in Go say that there is no moment
EARLIEST, LATEST = 1990, 2200  # years that a person's subscription may speak of


def guard(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula; `unguard` takes exactly that one off."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Take off the apostrophe that `guard` put before a cell."""
    return cell[1:] if _GUARDED.match(cell) else cell


def moment_cell(moment: datetime | None) -> str:
    """Write a moment as ISO 8601 in UTC, to the microsecond where it has any; none as nothing."""
    return "" if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_moment(text: str) -> datetime | None:
    """Read a moment as ISO 8601, listmonk or Mailchimp write it, without a zone in UTC; None if there is none.

    :raises ValueError: if it is written in another way, or no moment
    """
    text = text.strip()
    if not text or text.startswith(_NEVER):
        return None
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("not written as 2026-11-30 08:00:00")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    if not EARLIEST <= int(year) < LATEST:
        raise ValueError("not a year that a subscription can speak of")
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    moment = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), microsecond, tzinfo=UTC
    )
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return moment + offset if sign == "-" else moment - offset
