"""SIGTERM, SIGSTOP past the lease, answers that take longer than the lease: what is in flight is known to somebody."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import pytest
from audit import Judge, audit
from house import Furnish, House, now

pytestmark = pytest.mark.slow
RATE = 200.0
LEASE = 3.0


def test_runs_that_are_told_to_stop_leave_nothing_in_doubt(furnish: Furnish, judge: Judge, kills: int) -> None:
    stops = min(kills, 6)
    dice = random.Random("stop")
    house = furnish(readers=100 * stops + 100, rate=RATE, refused=0)
    moment = house.slot + timedelta(minutes=5)
    for _ in range(stops):
        run = house.run_due(moment)
        assert house.relay.wait_for(1, sender=run.name)
        time.sleep(dice.uniform(0, 0.8))
        assert run.terminate() == (75, "sending stopped, the next run goes on: by a signal\n")
        _nothing_is_on_its_way(house)
        moment += timedelta(seconds=1)  # nobody's lease has to end first
    house.finish(moment)
    judge("SIGTERM to runs", audit(house), allowed=0, disturbances=stops)


def test_workers_that_are_told_to_stop_leave_nothing_in_doubt(furnish: Furnish, judge: Judge, kills: int) -> None:
    stops = min(kills, 6)
    dice = random.Random("stop workers")
    house = furnish(readers=int(RATE * (stops + 4)), rate=RATE, refused=0)
    house.plan()
    workers = [house.worker(), house.worker()]
    for _ in range(stops):
        house.carry_on(workers[0], mails=1)
        time.sleep(dice.uniform(0, 1))
        assert workers[0].terminate() == (0, "")
        workers = [workers[1], house.worker()]
    for worker in workers:
        assert worker.terminate() == (0, "")
    _nothing_is_on_its_way(house)
    house.finish(now())
    judge("SIGTERM to workers", audit(house), allowed=0, disturbances=stops)


def _nothing_is_on_its_way(house: House) -> None:
    """Every mail that the server took is settled, and every other row is free for anybody."""
    assert house.states()["accepted"] == house.relay.look()
    with house.parts() as parts, parts.database.reading() as work:
        taken_up = work.session.connection().exec_driver_sql("SELECT count(*) FROM delivery WHERE owner IS NOT NULL")
        assert taken_up.scalar_one() == 0


@pytest.mark.parametrize("answers", ["are lost", "come late"])
def test_a_sender_frozen_past_its_lease_doubles_at_most_its_window(
    furnish: Furnish, judge: Judge, answers: str
) -> None:
    house = furnish(readers=400, rate=RATE, refused=0)
    house.plan()
    frozen = house.runner(lease=LEASE)
    house.carry_on(frozen, mails=50)
    house.relay.order("hold")
    time.sleep(0.5)
    house.freeze(frozen)
    time.sleep(LEASE + 0.5)
    other = house.runner(lease=LEASE)
    house.carry_on(other, mails=1)  # it has taken over, and waits for its answers
    time.sleep(0.5)
    if answers == "are lost":
        house.relay.order("drop", frozen.name)
        frozen.go_on()
        time.sleep(1)  # it says of its window what it believes, while the other one holds the rows
        house.relay.order("release")
    else:
        house.relay.order("release")
        time.sleep(0.5)
        frozen.go_on()
    for hand in (frozen, other):
        code, complaints = hand.wait()
        assert code == 0, complaints
    house.finish(now())
    found = audit(house)
    assert found.doubts, "nothing was in doubt, so nothing was tried"
    judge(f"SIGSTOP past the lease, answers {answers}", found, allowed=house.window, disturbances=1)


def test_answers_that_take_longer_than_the_lease_cost_no_copy(furnish: Furnish, judge: Judge) -> None:
    house = furnish(readers=400, rate=RATE, refused=0)
    house.plan()
    patient = house.runner(lease=LEASE)
    house.carry_on(patient, mails=50)
    house.relay.order("hold")
    time.sleep(LEASE + 0.5)
    other = house.runner(lease=LEASE)  # it takes back, first of all, what seems to be a dead sender's
    time.sleep(LEASE)
    house.relay.order("release")
    for hand in (patient, other):
        code, complaints = hand.wait()
        assert code == 0, complaints
    house.finish(now())
    judge("answers slower than the lease", audit(house), allowed=0, disturbances=0)
