"""The queue that many workers share: Procrastinate in a schema of its own beside our tables.

It holds nothing that the ledger does not say: losing it, repeating it or dropping its schema costs no mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.db.database import Database, Work
from newsletter.deliveries.models import LaneName
from newsletter.operations.reconciling import DueBatch

SCHEMA = "newsletter_jobs"
TRANSACTIONAL_QUEUE, DIGEST_QUEUE, HOUSEKEEPING_QUEUE = "transactional", "digest", "housekeeping"
LOOK = "newsletter:look_at_batch"
HEARTBEAT, STALLED_AFTER = 5.0, 20.0  # seconds
ROWS_PER_JOB, MOST_JOBS = 1000, 16  # so many waiting jobs may call hands to one batch
CONNECT_SECONDS = 5.0


def queue_of(lane: LaneName) -> str:
    """Return the queue in which jobs of a lane wait."""
    return DIGEST_QUEUE if lane is LaneName.DIGEST else TRANSACTIONAL_QUEUE


class JobQueue:
    """Puts jobs that only say "look at batch 7", inside our own transaction."""

    def __init__(self) -> None:
        # Never opened: every job is put on the connection of the work that is under way.
        self._app = App(connector=SyncPsycopgConnector())

    def enqueue(self, work: Work, due: Sequence[DueBatch]) -> None:
        """Put a job for every thousand rows of a batch, at most sixteen, less those that wait already."""
        wanted = {lock: batch for batch in due for lock in _locks(batch)}
        work.session.execute(
            text("SELECT set_config('search_path', :schema || ', ' || current_setting('search_path'), true)"),
            {"schema": SCHEMA},
        )
        waiting = work.session.scalars(
            text("SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = ANY(:locks)"),
            {"locks": sorted(wanted)},
        ).all()
        for lock in sorted(wanted.keys() - set(waiting)):
            self._put(work, wanted[lock], lock)

    def _put(self, work: Work, batch: DueBatch, lock: str) -> None:
        put = self._app.configure_task(
            LOOK,
            queue=queue_of(batch.lane),
            queueing_lock=lock,
            connection=work.session.connection().connection.driver_connection,
        )
        try:
            with work.session.begin_nested():
                put.defer(batch_id=batch.id, lane=batch.lane.value)
        except AlreadyEnqueued:
            pass  # by another worker, since we looked


def shared_app(database: Database, *, hands: int) -> App:
    """Return an app whose workers fetch jobs from this database; nothing is connected yet."""
    url = database.engine.url.set(drivername="postgresql")
    given = str(url.query.get("options", ""))
    connector = PsycopgConnector(
        conninfo=url.difference_update_query(["options"]).render_as_string(hide_password=False),
        kwargs={"options": f"{given} -c search_path={SCHEMA}".strip(), "connect_timeout": int(CONNECT_SECONDS)},
        min_size=1,
        max_size=2 + min(hands, 6),
        timeout=CONNECT_SECONDS,
    )
    return App(connector=connector)


def prepare(database: Database) -> None:
    """Make the schema of the queue, or make it anew for another version of Procrastinate. Safe to repeat and at once.

    :raises Unavailable: if the database does not answer, or workers with another version are still at work
    :raises ConfigError: if it is no PostgreSQL, or its user may not create a schema
    """
    if database.is_sqlite:
        raise ConfigError("many machines need PostgreSQL: `newsletter db copy` moves this database there")
    try:
        with database.engine.begin() as connection:
            _prepare(connection)
    except OperationalError as error:
        raise Unavailable(f"the database does not answer: {str(error.orig).splitlines()[0]}") from error
    except ProgrammingError as error:
        cause = str(error.orig).splitlines()[0]
        raise ConfigError(f"the queue's schema {SCHEMA} cannot be made: {cause}") from error


def _prepare(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": SCHEMA})
    wanted = _fingerprint()
    exists, found = connection.execute(
        text("SELECT to_regnamespace(:name) IS NOT NULL, obj_description(to_regnamespace(:name), 'pg_namespace')"),
        {"name": SCHEMA},
    ).one()
    if found == wanted:
        return
    if exists:
        _refuse_beside_others(connection)
        connection.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
    connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    connection.execute(text(f"SET LOCAL search_path TO {SCHEMA}"))
    raw: Any = connection.connection.driver_connection
    raw.execute(SchemaManager.get_schema())
    connection.execute(text(f"COMMENT ON SCHEMA {SCHEMA} IS '{wanted}'"))


def _refuse_beside_others(connection: Connection) -> None:
    if connection.scalar(text(f"SELECT to_regclass('{SCHEMA}.procrastinate_workers')")) is None:
        return
    alive = connection.scalar(
        text(
            f"SELECT count(*) FROM {SCHEMA}.procrastinate_workers "  # noqa: S608 (our own name)
            f"WHERE last_heartbeat > now() - interval '{STALLED_AFTER} seconds'"
        )
    )
    if alive:
        raise Unavailable("workers with another version of Procrastinate are at work: this one waits until they stop")


def _fingerprint() -> str:
    """Name a schema by what makes it, not by the version: most versions change nothing in it."""
    return f"procrastinate {hashlib.sha256(SchemaManager.get_schema().encode()).hexdigest()[:16]}"


def _locks(batch: DueBatch) -> list[str]:
    jobs = min(max(-(-batch.rows // ROWS_PER_JOB), 1), MOST_JOBS)
    return [f"batch {batch.id}/{number}" for number in range(jobs)]
