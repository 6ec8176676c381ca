"""When slots are: wall clock of the newsletter's time zone, moments in UTC."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from newsletter.newsletters.models import Frequency


def latest_slot(
    frequency: Frequency, *, at: time, weekday: int | None, day: int | None, zone: ZoneInfo, now: datetime
) -> datetime:
    """Return the latest slot that is not after `now`.

    A day that a month lacks is its last day; an hour that a change of clocks skips comes after the gap.
    """
    today = now.astimezone(zone).date()
    for back in range(2):
        slot = _moment(_day_of_slot(frequency, today, weekday, day, back), at, zone)
        if slot <= now:
            return slot
    return _moment(_day_of_slot(frequency, today, weekday, day, 2), at, zone)


def next_slot(
    frequency: Frequency, *, at: time, weekday: int | None, day: int | None, zone: ZoneInfo, now: datetime
) -> datetime:
    """Return the first slot after `now`."""
    today = now.astimezone(zone).date()
    for ahead in range(2):
        slot = _moment(_day_of_slot(frequency, today, weekday, day, -ahead), at, zone)
        if slot > now:
            return slot
    return _moment(_day_of_slot(frequency, today, weekday, day, -2), at, zone)


def _day_of_slot(frequency: Frequency, today: date, weekday: int | None, day: int | None, back: int) -> date:
    """Return the day of the slot of this day, week or month, `back` periods ago."""
    match frequency:
        case Frequency.DAILY | Frequency.IMMEDIATE:
            return today - timedelta(days=back)
        case Frequency.WEEKLY:
            return today - timedelta(days=today.weekday() - (weekday or 0) + 7 * back)
        case Frequency.MONTHLY:
            year, month0 = divmod(today.year * 12 + today.month - 1 - back, 12)
            last = calendar.monthrange(year, month0 + 1)[1]
            return date(year, month0 + 1, min(day or 1, last))


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    # Through UTC and back again: a wall clock time inside a gap becomes a real one.
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
