"""How the command line writes moments, rhythms, slots, mails and books."""

from __future__ import annotations

from datetime import datetime

from newsletter.base.clock import zone
from newsletter.cli.printing import one_line
from newsletter.deliveries.models import EVERY_FAMILY, DeliveryState, Rate
from newsletter.deliveries.rates import is_paused
from newsletter.issues.books import Books
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DELIVERY = {
    DeliveryState.PENDING: "waits to be sent",
    DeliveryState.SENDING: "is being sent now",
    DeliveryState.DEFERRED: "was put off, and is tried again",
    DeliveryState.ACCEPTED: "accepted by the mail server",
    DeliveryState.FAILED: "failed, and is not tried again",
    DeliveryState.SKIPPED: "not sent",
    DeliveryState.UNCERTAIN: "may have left: its answer was lost",
    DeliveryState.CANCELLED: "cancelled before it left",
}
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


def delivery_text(state: DeliveryState, reason: str | None) -> str:
    """Write what became of a mail."""
    return f"{_DELIVERY[state]} ({words(reason)})" if reason else _DELIVERY[state]


def clock_text(moment: datetime, time_zone: str, *, seconds: bool = False) -> str:
    """Write the time of the day: 08:00, or 08:00:12."""
    return f"{moment.astimezone(zone(time_zone)):{'%H:%M:%S' if seconds else '%H:%M'}}"


def reply_text(code: int | None, reply: str | None) -> str:
    """Write what the mail server answered; its words may or may not begin with its code."""
    said = one_line(reply or "")
    return said if code is None or said.startswith(str(code)) else f"{code} {said}".strip()


def rest_text(rate: Rate, *, now: datetime, time_zone: str) -> str:
    """Write that a family or a whole backend rests, or how far it has come back; empty if neither."""
    whose = rate.backend if rate.family == EVERY_FAMILY else rate.family
    if rate.paused_until is not None and is_paused(rate, now):
        return f"{whose} rests until {clock_text(rate.paused_until, time_zone)}: {one_line(words(rate.reason or '?'))}"
    if rate.opened is not None:
        return f"{whose} comes back, {counted(rate.opened, 'mail')} at a time"
    return ""


def span_text(seconds: float) -> str:
    """Write how long something takes: 42 s, 7 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60:02} min"


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
