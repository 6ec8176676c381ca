"""SIGKILL at random moments while an issue leaves: nobody is lost, doubts are few and counted, one Message-ID each."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import pytest
from audit import Judge, audit
from house import Furnish, now

pytestmark = pytest.mark.slow
RATE = 300.0  # mails a second: slow enough to be killed in the middle, again and again
MAILS_PER_KILL = 100
# Each database is killed under most where it is at home: one process on SQLite, many workers on PostgreSQL.
MOST_IN_TURN = {"sqlite": 1000, "postgresql": 10}
MOST_AT_ONCE = {"sqlite": 15, "postgresql": 1000}
WORKERS = {"sqlite": 2, "postgresql": 4}


@pytest.mark.parametrize("in_doubt", ["resend", "hold"])
def test_runs_killed_one_after_the_other_lose_nobody(
    furnish: Furnish, judge: Judge, database_kind: str, kills: int, in_doubt: str
) -> None:
    kills = min(kills, MOST_IN_TURN[database_kind])
    dice = random.Random(f"one {in_doubt}")
    house = furnish(readers=MAILS_PER_KILL * kills, rate=RATE, in_doubt=in_doubt)
    moment = house.slot + timedelta(minutes=5)
    for number in range(kills):
        run = house.run_due(moment)
        if number % 5 == 4:  # now and then before or while it plans, or takes back
            time.sleep(dice.uniform(0.5, 1.5))
        else:
            assert house.relay.wait_for(1, sender=run.name), run.process.communicate()
            time.sleep(dice.uniform(0, 2 * MAILS_PER_KILL * 0.8 / RATE))
        assert run.process.poll() is None, "the issue was over before the last kill"
        run.kill()
        house.relay.order("gone", run.name)
        moment += timedelta(minutes=2)  # past the lease of whoever was killed
    house.finish(moment)
    found = audit(house)
    assert found.doubts, "no kill hit while mails were on their way"
    assert in_doubt == "resend" or not found.copies
    judge(f"killed, {in_doubt}", found, allowed=kills * house.window, disturbances=kills)


@pytest.mark.parametrize("in_doubt", ["resend", "hold"])
def test_workers_killed_beside_each_other_lose_nobody(
    furnish: Furnish, judge: Judge, database_kind: str, kills: int, in_doubt: str
) -> None:
    many = WORKERS[database_kind]
    kills = min(kills, MOST_AT_ONCE[database_kind])
    dice = random.Random(f"many {in_doubt}")
    house = furnish(readers=int(RATE * (1.4 * kills + 4)), rate=RATE, in_doubt=in_doubt)
    house.plan()
    workers = [house.worker() for _ in range(many)]
    assert all(house.relay.wait_for(1, sender=worker.name) for worker in workers), house.books()
    for _ in range(kills):
        time.sleep(dice.uniform(0.4, 1.4))
        place = dice.randrange(many)
        workers[place].kill()
        workers[place] = house.worker()
    assert house.states()["pending"], "the issue was over before the last kill"
    for worker in workers:
        code, complaints = worker.terminate()
        assert code == 0, complaints
    house.finish(now())
    found = audit(house)
    assert found.doubts, "no kill hit while mails were on their way"
    assert in_doubt == "resend" or not found.copies
    judge(f"{many} workers killed, {in_doubt}", found, allowed=kills * house.window, disturbances=kills)


def test_senders_take_over_from_killed_ones_beside_them(
    furnish: Furnish, judge: Judge, database_kind: str, kills: int
) -> None:
    """Leases of three seconds, so that living senders take back what dead ones held."""
    many = WORKERS[database_kind]
    dice = random.Random("take over")
    house = furnish(readers=int(RATE * (1.4 * kills + 4)), rate=RATE)
    house.plan()
    senders = [house.runner(lease=3) for _ in range(many)]
    assert all(house.relay.wait_for(1, sender=sender.name) for sender in senders)
    for _ in range(kills):
        time.sleep(dice.uniform(0.4, 1.4))
        place = dice.randrange(many)
        senders[place].kill()
        senders[place] = house.runner(lease=3)
    assert house.states()["pending"], "the issue was over before the last kill"
    house.relay.order("rate", "2000")
    for sender in senders:
        code, complaints = sender.wait()
        assert code == 0, complaints
    house.finish(now())
    found = audit(house)
    assert found.doubts, "no kill hit while mails were on their way"
    judge(f"{many} short leases killed, resend", found, allowed=kills * house.window, disturbances=kills)
