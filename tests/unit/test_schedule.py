"""Slots are moments on the wall clock of the newsletter's town."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.clock import zone
from newsletter.issues.schedule import latest_slot, next_slot
from newsletter.newsletters.models import Frequency

EIGHT = time(8)
TOWNS = ("Africa/Casablanca", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")

rhythms = st.one_of(
    st.fixed_dictionaries({"frequency": st.just(Frequency.DAILY), "weekday": st.none(), "day": st.none()}),
    st.fixed_dictionaries({"frequency": st.just(Frequency.WEEKLY), "weekday": st.integers(0, 6), "day": st.none()}),
    st.fixed_dictionaries({"frequency": st.just(Frequency.MONTHLY), "weekday": st.none(), "day": st.integers(1, 31)}),
)
moments = st.integers(0, 4 * 366 * 86_400).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(0, seconds))
hours = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def latest(frequency: Frequency, now: datetime, *, town: str = "Africa/Casablanca", **rhythm: Any) -> datetime:
    given = {"at": EIGHT, "weekday": None, "day": None, **rhythm}
    return latest_slot(frequency, zone=zone(town), now=now, **given)


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (utc(2026, 11, 23, 8, 0), utc(2026, 11, 23, 8, 0)),
        (utc(2026, 11, 23, 7, 59), utc(2026, 11, 22, 8, 0)),
        (utc(2026, 11, 23, 23, 0), utc(2026, 11, 23, 8, 0)),
    ],
)
def test_a_daily_slot_has_come_at_its_minute(now: datetime, slot: datetime) -> None:
    assert latest(Frequency.DAILY, now) == slot


def test_a_weekly_slot_is_on_its_weekday() -> None:
    thursday = {"weekday": 3}
    assert latest(Frequency.WEEKLY, utc(2026, 11, 23, 9, 0), **thursday) == utc(2026, 11, 19, 8, 0)
    assert latest(Frequency.WEEKLY, utc(2026, 11, 26, 9, 0), **thursday) == utc(2026, 11, 26, 8, 0)
    assert latest(Frequency.WEEKLY, utc(2026, 11, 26, 7, 0), **thursday) == utc(2026, 11, 19, 8, 0)


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (utc(2027, 3, 1, 0, 0), utc(2027, 2, 28, 8, 0)),
        (utc(2027, 4, 30, 9, 0), utc(2027, 4, 30, 8, 0)),
        (utc(2027, 5, 30, 9, 0), utc(2027, 4, 30, 8, 0)),
        (utc(2027, 1, 1, 0, 0), utc(2026, 12, 31, 8, 0)),
        (utc(2028, 2, 29, 9, 0), utc(2028, 2, 29, 8, 0)),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last(now: datetime, slot: datetime) -> None:
    assert latest(Frequency.MONTHLY, now, day=31) == slot


def test_casablanca_has_the_time_of_utc_since_20_september_2026() -> None:
    assert latest(Frequency.DAILY, utc(2026, 9, 18, 12, 0)) == utc(2026, 9, 18, 7, 0)
    assert latest(Frequency.DAILY, utc(2026, 9, 21, 12, 0)) == utc(2026, 9, 21, 8, 0)
    assert latest(Frequency.DAILY, utc(2027, 7, 1, 12, 0)) == utc(2027, 7, 1, 8, 0)


def test_an_hour_that_a_change_of_clocks_skips_comes_after_the_gap() -> None:
    slot = latest(Frequency.DAILY, utc(2027, 3, 28, 12, 0), town="Europe/Paris", at=time(2, 30))
    assert slot.astimezone(zone("Europe/Paris")).time() == time(3, 30)


def test_an_hour_that_comes_twice_is_a_slot_once() -> None:
    half_past_two = {"town": "Europe/Paris", "at": time(2, 30)}
    first = latest(Frequency.DAILY, utc(2026, 10, 25, 0, 45), **half_past_two)
    assert first == utc(2026, 10, 25, 0, 30)
    assert latest(Frequency.DAILY, utc(2026, 10, 25, 1, 45), **half_past_two) == first


def test_a_town_that_is_a_day_ahead_counts_its_own_days() -> None:
    monday = latest(Frequency.WEEKLY, utc(2026, 11, 22, 20, 0), town="Pacific/Auckland", weekday=0)
    assert monday.astimezone(zone("Pacific/Auckland")).date() == date(2026, 11, 23)


@given(rhythm=rhythms, now=moments, at=hours, town=st.sampled_from(TOWNS))
def test_no_slot_lies_between_the_latest_and_the_next(
    rhythm: dict[str, Any], now: datetime, at: time, town: str
) -> None:
    given = {"at": at, "zone": zone(town), **rhythm}
    before, after = latest_slot(now=now, **given), next_slot(now=now, **given)
    assert before <= now < after
    assert next_slot(now=before, **given) == after
    assert latest_slot(now=after, **given) == after
    assert latest_slot(now=after - timedelta(microseconds=1), **given) == before


@given(rhythm=rhythms, now=moments, at=hours, town=st.sampled_from(TOWNS))
def test_a_slot_is_on_the_wall_clock_unless_that_minute_was_skipped(
    rhythm: dict[str, Any], now: datetime, at: time, town: str
) -> None:
    here = latest_slot(now=now, at=at, zone=zone(town), **rhythm).astimezone(zone(town))
    skipped = datetime.combine(here.date(), at, tzinfo=zone(town)).astimezone(UTC).astimezone(zone(town))
    assert here.time() == at or here == skipped
    assert rhythm["weekday"] in {None, here.weekday()}
