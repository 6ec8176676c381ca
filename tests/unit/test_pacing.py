"""Pacing: whatever the limits, the moments and the clocks, no more leaves than may, and nothing waits for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliveries.pacing import (
    CLOCKS_APART,
    FULLY_OPEN,
    LINE_EVERY,
    LONGEST_BACK_OFF,
    LONGEST_PAUSE,
    Limits,
    back_off,
    opened_next,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
steps = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500)), min_size=1, max_size=60)


def test_without_limits_any_number_may_leave() -> None:
    assert Limits().room(NOON, in_flight=10_000) is None


@given(st.integers(1, 100_000), steps)
def test_a_rate_lets_no_more_leave_than_its_time_and_one_burst_allow(
    per_minute: int, asked: list[tuple[float, int]]
) -> None:
    limits, now, left = Limits(per_minute=per_minute), NOON, 0
    for seconds, wanted in asked:
        now += timedelta(seconds=seconds)
        room = limits.room(now, in_flight=0)
        assert room is not None
        mails = min(wanted, room)
        tokens, filled_at = limits.spent(now, mails)
        assert tokens >= 0
        limits = replace(limits, tokens=tokens, filled_at=filled_at)
        left += mails
    burst = max(per_minute / 30, 1)
    assert left <= burst + per_minute * ((now - NOON) / MINUTE) + 0.001


@given(st.integers(60, 100_000))
def test_a_rate_is_used_up_by_who_asks_often(per_minute: int) -> None:
    limits, now, left = Limits(per_minute=per_minute), NOON, 0
    pause = MINUTE / per_minute
    for _ in range(200):
        room = limits.room(now, in_flight=0) or 0
        tokens, filled_at = limits.spent(now, room)
        limits = replace(limits, tokens=tokens, filled_at=filled_at)
        left += room
        now += pause
    assert left >= 198


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), min_size=2, max_size=60),
    st.integers(30, 6_000),
)
def test_machines_whose_clocks_are_a_little_apart_do_not_fill_the_same_second_twice(
    looks: list[tuple[float, float]], per_minute: int
) -> None:
    limits, true, left = Limits(per_minute=per_minute), NOON, 0
    for seconds, ahead in looks:
        true += timedelta(seconds=seconds)
        room = limits.room(true + timedelta(seconds=ahead), in_flight=0) or 0
        tokens, filled_at = limits.spent(true + timedelta(seconds=ahead), room)
        limits = replace(limits, tokens=tokens, filled_at=filled_at)
        left += room
    most = timedelta(seconds=2 + 2) + (true - NOON)  # a burst, and the clock that is farthest ahead
    assert left <= max(per_minute / 30, 1) + per_minute * (most / MINUTE)


def test_a_clock_that_is_set_back_by_an_hour_stops_no_mail() -> None:
    before = NOON - timedelta(hours=1)
    empty = Limits(per_minute=600, tokens=0.0, filled_at=NOON)
    assert empty.room(before, in_flight=0) == 20
    assert empty.room(NOON - CLOCKS_APART, in_flight=0) == 0, "so far apart clocks may be"
    assert Limits(paused_until=NOON).room(before, in_flight=0) is None
    assert Limits(paused_until=before + LONGEST_PAUSE).room(before, in_flight=0) == 0


@given(
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 50),
    st.integers(0, 100),
)
def test_the_narrowest_limit_holds(per_minute: int | None, lines: int | None, opened: int | None, flying: int) -> None:
    room = Limits(per_minute, lines, opened=opened).room(NOON, in_flight=flying)
    if per_minute is lines is opened is None:
        assert room is None
        return
    assert room is not None
    assert room >= 0
    for most in (lines, opened):
        assert most is None or room <= max(most - flying, 0)
    assert per_minute is None or room <= max(per_minute / 30, 1)


@given(st.integers(-3, 10_000))
def test_back_offs_double_from_a_minute_and_end_at_a_quarter_of_an_hour(troubles: int) -> None:
    assert MINUTE <= back_off(troubles) <= LONGEST_BACK_OFF
    assert back_off(troubles) <= back_off(troubles + 1)
    assert [back_off(number) / MINUTE for number in range(1, 7)] == [1, 2, 4, 8, 15, 15]


@given(st.lists(st.floats(0, 90), max_size=120))
def test_a_family_comes_back_one_line_at_a_time_never_two_within_a_minute(waits: list[float]) -> None:
    now, opened, opened_at = NOON, 1, NOON
    openings = [NOON]
    for seconds in waits:
        now += timedelta(seconds=seconds)
        after = opened_next(opened, opened_at=opened_at, now=now)
        if after is None:
            assert opened == FULLY_OPEN - 1
            return
        assert after - opened in {0, 1}
        if after != opened:
            assert now - openings[-1] >= LINE_EVERY
            openings.append(now)
            opened, opened_at = after, now


def test_a_family_that_was_never_paused_stays_without_a_limit() -> None:
    assert opened_next(None, opened_at=None, now=NOON) is None
