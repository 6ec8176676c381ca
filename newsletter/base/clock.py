"""The one place that reads the time; everybody else is handed a moment."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Protocol

# System zone files may be older than Morocco's change of 20 September 2026; the tzdata package is pinned by us.
zoneinfo.reset_tzpath(to=[])


class Clock(Protocol):
    """Tells the present moment, aware, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SetClock:
    """A clock that is moved by hand: for tests, the demo, and `--at`."""

    def __init__(self, moment: datetime) -> None:
        self._now = moment.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move_to(self, moment: datetime) -> None:
        self._now = moment.astimezone(UTC)

    def advance(self, step: timedelta) -> None:
        self._now += step


def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the time zone called `name` (IANA).

    :raises KeyError: if there is none of that name
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise KeyError(name) from error
