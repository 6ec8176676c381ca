"""Many machines: workers of a queue are killed, its waiting jobs are deleted, or enqueued five times."""

from __future__ import annotations

import random
import time

import pytest
from audit import Judge, audit
from house import Furnish, House, now
from sqlalchemy import text

pytest.importorskip("newsletter.worker.queue", reason="the queue that many machines share is not there")

pytestmark = pytest.mark.slow
RATE = 300.0
WORKERS = 4
WHERE = text("SET LOCAL search_path TO newsletter_jobs, public")
DELETE = text("DELETE FROM procrastinate_jobs WHERE status = 'todo'")
ENQUEUE = text(
    "INSERT INTO procrastinate_jobs (queue_name, task_name, args) "
    "SELECT 'digest', 'newsletter:look_at_batch', jsonb_build_object('batch_id', batch_id, 'lane', 'digest') "
    "FROM issue CROSS JOIN generate_series(1, 5) WHERE issue.id = 1"
)


def test_a_queue_that_forgets_and_repeats_itself_loses_nobody(
    furnish: Furnish, judge: Judge, database_kind: str, kills: int
) -> None:
    if database_kind != "postgresql":
        pytest.skip("many machines need PostgreSQL")
    dice = random.Random("queue")
    house = furnish(readers=int(RATE * (1.4 * kills + 4)), rate=RATE)
    house.plan()
    workers = [house.worker("--cluster") for _ in range(WORKERS)]
    assert house.relay.wait_for(1)
    lost = 0
    for number in range(kills):
        time.sleep(dice.uniform(0.4, 1.4))
        lost += _tamper(house, enqueue=number % 2 == 1)
        place = dice.randrange(WORKERS)
        workers[place].kill()
        workers[place] = house.worker("--cluster")
    assert house.states()["pending"], "the issue was over before the last kill"
    before = house.relay.look()
    assert house.relay.wait_for(before + 1, seconds=60), "the rows say that there is work, and nobody looks"
    for worker in workers:
        code, complaints = worker.terminate()
        assert code == 0, complaints
    house.finish(now())
    found = audit(house)
    assert lost, "no job waited that could have been deleted"
    assert found.doubts, "no kill hit while mails were on their way"
    judge(f"{WORKERS} cluster workers killed, jobs lost, x5", found, allowed=kills * house.window, disturbances=kills)


def _tamper(house: House, *, enqueue: bool) -> int:
    """Delete all waiting jobs, and put five for the issue where this is asked for; returns how many were deleted."""
    with house.parts() as parts, parts.database.work() as work:
        work.session.execute(WHERE)
        deleted = work.session.connection().execute(DELETE).rowcount
        if enqueue:
            work.session.execute(ENQUEUE)
        return deleted
