"""Clocks that jump by an hour, or are an hour apart, while an issue leaves: nobody is lost, few are doubled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from audit import Judge, audit
from house import Furnish, now

pytestmark = pytest.mark.slow
RATE = 200.0
HOUR = 3600


def _set(clock: Path, ahead: int) -> Path:
    """Set a process's clock ahead, in one step: it never reads half a number."""
    new = clock.with_suffix(".new")
    new.write_text(str(ahead))
    return new.rename(clock)


@pytest.mark.parametrize("first", [HOUR, -HOUR])
def test_a_clock_that_is_stepped_by_an_hour_costs_at_most_a_window(
    furnish: Furnish, judge: Judge, tmp_path: Path, first: int
) -> None:
    house = furnish(readers=500, rate=RATE, refused=0)
    house.plan()
    clock = _set(tmp_path / "clock", 0)
    sender = house.runner(clock=clock)
    for ahead in (first, 0, -first, 0):
        house.carry_on(sender, mails=60)
        sender.disturbed = 1
        _set(clock, ahead)
    house.quiet_down(sender)
    house.finish(now() + timedelta(hours=2))
    judge(f"clock stepped by {first // HOUR:+} h and back", audit(house), allowed=house.window, disturbances=4)


def test_two_senders_whose_clocks_are_an_hour_apart_lose_nobody_and_count_every_copy(
    furnish: Furnish, judge: Judge, tmp_path: Path
) -> None:
    """Leases mean nothing between them: each look of the one ahead puts a window of the other in doubt."""
    house = furnish(readers=500, rate=RATE, refused=0)
    house.plan()
    right = house.runner(clock=_set(tmp_path / "right", 0))
    house.carry_on(right, mails=60)
    ahead = house.runner(clock=_set(tmp_path / "ahead", HOUR))
    right.disturbed = ahead.disturbed = 1
    house.quiet_down(right, ahead)
    house.finish(now() + timedelta(hours=2))
    found = audit(house)
    judge("two clocks an hour apart", found, allowed=found.mails, disturbances=1)
