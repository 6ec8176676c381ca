"""How the command line writes moments, rhythms, slots and books."""

from __future__ import annotations

from datetime import datetime

from newsletter.base.clock import zone
from newsletter.issues.books import Books
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TERMS = ("accepted", "failed", "skipped", "uncertain", "cancelled", "open")


def moment_text(moment: datetime | None, time_zone: str) -> str:
    """Write a moment on the clock of a time zone: Mon 30 Nov 2026 08:00."""
    return "" if moment is None else f"{moment.astimezone(zone(time_zone)):%a %d %b %Y %H:%M}"


def stamp(moment: datetime | None, time_zone: str) -> str:
    """Write a moment for a table: 30 Nov 2026 08:00."""
    return "" if moment is None else f"{moment.astimezone(zone(time_zone)):%d %b %Y %H:%M}"


def rhythm_text(rhythm: Rhythm) -> str:
    """Write when a newsletter comes."""
    match rhythm.frequency:
        case Frequency.WEEKLY:
            return f"weekly, {WEEKDAYS[rhythm.weekday or 0]} {rhythm.at:%H:%M}"
        case Frequency.MONTHLY:
            return f"monthly, day {rhythm.day} {rhythm.at:%H:%M}"
        case Frequency.DAILY:
            return f"daily, {rhythm.at:%H:%M}"
        case Frequency.IMMEDIATE:
            return "immediately"


def rhythms_text(newsletter: Newsletter) -> str:
    return "; ".join(map(rhythm_text, newsletter.rhythms))


def state_text(state: str, reason: str | None) -> str:
    return f"{state} ({words(reason)})" if reason else state


def words(reason: str) -> str:
    """Write a stable word of the database as people do."""
    return reason.replace("_", " ")


def counted(number: int, name: str, plural: str = "") -> str:
    """Write a number and what it counts: 1 article, 1,204 articles."""
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def books_text(books: Books) -> str:
    """Write the books on one line; terms that are zero are left out."""
    terms = [f"{getattr(books, term):,} {term}" for term in _TERMS if getattr(books, term)]
    line = f"{counted(books.audience, 'reader')} = {' + '.join(terms)}" if terms or books.audience else "no readers"
    if books.possible_copies:
        line += f"; {counted(books.possible_copies, 'possible copy', 'possible copies')}"
    if not books.balance:
        line += "; THE BOOKS DO NOT BALANCE"
    return line


def reasons_text(reasons: dict[str, int]) -> str:
    """Write reasons and how often each was given, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {words(reason)}" for reason, count in ordered)
