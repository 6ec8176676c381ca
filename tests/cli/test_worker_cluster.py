"""`worker --cluster`: many processes share the work; whatever becomes of jobs and workers, each mail leaves once."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from command_line import Command
from sqlalchemy import make_url
from worker_parts import Relay, everybody, plan_issue, running_relay, sql, through, wait_until

from factories import ask

PATIENCE = 30.0
READERS = 120
WORKERS = "SELECT id FROM procrastinate_workers"


@pytest.fixture(autouse=True)
def _only_where_many_machines_can_meet(database_kind: str) -> None:
    if database_kind != "postgresql":
        pytest.skip("many machines share a PostgreSQL")


@pytest.fixture
def relay() -> Iterator[Relay]:
    with running_relay() as found:
        yield found


@contextmanager
def worker(command: Command, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker in a process of its own; it is at work soon after this begins."""
    process = command.start("worker", "--cluster", *words)
    try:
        assert process.stdout is not None
        assert " go to SMTP" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(command: Command) -> bool:
    return not sql(command, "SELECT 1 FROM delivery WHERE state IN ('pending', 'sending', 'deferred') LIMIT 1")


def at_work(command: Command, count: int) -> None:
    """Wait for the queue and for so many workers, each of which fetches three kinds of jobs."""
    wait_until(lambda: sql(command, "SELECT to_regclass('newsletter_jobs.procrastinate_workers') IS NOT NULL")[0])
    wait_until(lambda: len(sql(command, WORKERS)) == 3 * count)


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[str, str]:
    process.send_signal(number)
    return process.communicate(timeout=PATIENCE)


def test_many_workers_share_an_issue_and_each_reader_gets_it_once(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    plan_issue(ready, feed, READERS)
    sending = through(ready, relay)
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(sending, "--digests", "2")) for _ in range(3)]
        wait_until(lambda: finished(ready))
        at_work(ready, 3)
        answers = [end(process) for process in workers]
    assert [process.returncode for process in workers] == [0, 0, 0], answers
    assert [complaints for _, complaints in answers] == ["", "", ""]
    assert all(out.endswith("Stopped.\n") for out, _ in answers)
    assert relay.counts == everybody(READERS)


def test_a_confirmation_waits_less_than_a_second_while_an_issue_leaves(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    plan_issue(ready, feed, READERS)
    relay.delay = 0.05
    with worker(through(ready, relay, window=4)):
        wait_until(lambda: len(relay.taken) > 3)
        with ready.parts_now() as parts:
            ask(parts, "salma@example.org")
        asked = time.monotonic()
        wait_until(lambda: "salma@example.org" in relay.taken)
        waited = time.monotonic() - asked
        assert len(relay.taken) < READERS, "the issue was still leaving"
    assert waited < 1.5  # on a busy machine, too


@pytest.mark.slow
def test_waiting_jobs_that_are_deleted_or_repeated_cost_nothing(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    plan_issue(ready, feed, READERS)
    sending = through(ready, relay)
    [batch] = sql(ready, "SELECT batch_id FROM issue")
    with worker(sending), worker(sending):
        wait_until(lambda: len(relay.taken) > 5)
        sql(ready, "DELETE FROM procrastinate_jobs")  # those that are being done, too
        for _ in range(5):
            sql(
                ready,
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES "
                "('digest', 'newsletter:look_at_batch', jsonb_build_object('batch_id', :batch, 'lane', 'digest'))",
                batch=int(batch),
            )
        wait_until(lambda: finished(ready))
    assert relay.counts == everybody(READERS)


@pytest.mark.slow
def test_the_work_of_a_killed_worker_is_taken_over_and_its_window_after_the_lease(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    plan_issue(ready, feed, READERS)
    sending = through(ready, relay)
    relay.delay = 0.02
    with worker(sending) as killed, worker(sending):
        wait_until(lambda: len(relay.taken) > 10)
        killed.kill()
        wait_until(lambda: not sql(ready, "SELECT 1 FROM delivery WHERE state = 'pending' LIMIT 1"))
        wait_until(lambda: len(sql(ready, "SELECT DISTINCT owner FROM delivery WHERE state = 'sending'")) <= 1)
    sql(ready, "UPDATE delivery SET lease_until = now() - interval '1 second' WHERE state = 'sending'")
    with worker(sending):
        wait_until(lambda: finished(ready))
    copies = [ids for ids in relay.taken.values() if len(ids) > 1]
    [possible] = sql(ready, "SELECT sum(possible_copies) FROM delivery")
    assert set(relay.taken) == set(everybody(READERS)), "nobody is lost"
    assert all(len(set(ids)) == 1 for ids in copies), "the same Message-ID at every try"
    assert len(copies) <= int(possible) <= 8, "a window is in doubt, not all that was claimed"


@pytest.mark.slow
def test_jobs_of_a_killed_worker_are_taken_up_again(ready: Command, relay: Relay) -> None:
    with worker(through(ready, relay)):
        at_work(ready, 1)
        sql(
            ready,
            "INSERT INTO procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE "
            "VALUES (4711, now() - interval '21 seconds')",
        )
        for lock in ("stalled", "waiting"):
            sql(
                ready,
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id, queueing_lock) "
                "VALUES ('digest', 'newsletter:look_at_batch', jsonb_build_object('batch_id', 1, 'lane', 'digest'), "
                "'doing', 4711, :lock)",
                lock=lock,
            )
        sql(
            ready,
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) "
            "VALUES ('nobody', 'newsletter:look_at_batch', 'waiting')",
        )
        wait_until(lambda: not sql(ready, "SELECT id FROM procrastinate_jobs WHERE worker_id = 4711"))
        wait_until(lambda: sql(ready, "SELECT queueing_lock FROM procrastinate_jobs") == ["waiting"])


def test_sigterm_finishes_the_window_and_gives_the_rest_to_the_others(
    ready: Command, feed: Callable[..., Path], relay: Relay
) -> None:
    plan_issue(ready, feed, READERS)
    sending = through(ready, relay)
    relay.delay = 0.02
    with worker(sending) as told:
        wait_until(lambda: len(relay.taken) > 10)
        _, complaints = end(told)
        assert (told.returncode, complaints) == (0, "")
    assert len(relay.taken) < READERS
    assert sql(ready, "SELECT state FROM delivery WHERE state IN ('sending', 'deferred')") == []
    with worker(sending):
        wait_until(lambda: finished(ready))
    assert relay.counts == everybody(READERS)


def test_a_worker_whose_database_goes_ends_with_75_and_one_line(ready: Command, relay: Relay) -> None:
    with worker(through(ready, relay)) as process:
        at_work(ready, 1)
        url = make_url(ready.environment["NEWSLETTER_DATABASE_URL"])
        beside = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(beside, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database])
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75
    assert len(complaints.splitlines()) == 1, complaints
    assert complaints.startswith("newsletter: the database does not answer")


@pytest.mark.slow
def test_workers_that_start_at_once_make_the_queue_once(ready: Command, relay: Relay) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(through(ready, relay))) for _ in range(4)]
        at_work(ready, 4)
        assert [process.poll() for process in workers] == [None] * 4


@pytest.mark.slow
def test_the_queue_of_another_version_is_made_anew_once_its_workers_are_gone(ready: Command, relay: Relay) -> None:
    sending = through(ready, relay)
    with worker(sending) as first:
        at_work(ready, 1)
        sql(ready, "COMMENT ON SCHEMA newsletter_jobs IS 'procrastinate of old'")
        beside = sending.start("worker", "--cluster")
        _, complaints = beside.communicate(timeout=PATIENCE)
        assert (beside.returncode, len(complaints.splitlines())) == (75, 1)
        assert "another version" in complaints
        end(first)
    with worker(sending):
        comment = "SELECT obj_description('newsletter_jobs'::regnamespace, 'pg_namespace') <> 'procrastinate of old'"
        wait_until(lambda: sql(ready, comment)[0])
