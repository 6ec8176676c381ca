"""Moving a live SQLite installation to PostgreSQL: everything or nothing, and nothing is written to the old one after.

The source is locked against writers from the first row to the last: whoever signs up meanwhile waits, and is told to
come back if it lasts. The target is written in one transaction, compared, and only then is the source marked as moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Table, func, inspect, literal, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from newsletter.base.errors import ConfigError, Conflict, InvalidInput, Unavailable
from newsletter.db import migrations, moving
from newsletter.db.database import Database, Work
from newsletter.db.schema import Table as Base
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.newsletters.models import Counter

CHUNK = 5000  # rows in memory at once
_SUMS = 2**128


@dataclass(frozen=True, slots=True)
class Copied:
    """What a table held on both sides: so many rows, whose hashes add up to this sum."""

    table: str
    rows: int
    checksum: str


Progress = Callable[[Copied], None]


def copy_database(source: Database, target: Database, *, progress: Progress) -> list[Copied]:
    """Copy everything from a SQLite database into an empty PostgreSQL one, compare it, and mark the source as moved.

    :raises InvalidInput: if the two are not SQLite and PostgreSQL
    :raises Conflict: if the target is not empty, or a sender is at work
    :raises ConfigError: if tables and models differ, or PostgreSQL refuses a value
    :raises Unavailable: if one of the two does not answer; then nothing was copied
    """
    if not source.is_sqlite or target.is_sqlite:
        raise InvalidInput("this copies from SQLite to PostgreSQL; PostgreSQL is copied with pg_dump and pg_restore")
    _upgrade_empty(target)
    with source.work() as work:
        _require_known_tables(work)
        _require_no_sender(work)
        try:
            with target.engine.begin() as connection:
                copied = _copy_all(work, connection, progress)
        except OperationalError as error:
            if not isinstance(error.orig, target.engine.dialect.loaded_dbapi.Error):
                raise
            raise Unavailable(f"the target does not answer, nothing was copied: {_cause(error)}") from error
        moving.mark_moved(work)
    with target.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return copied


def senders_at_work(work: Work) -> list[str]:
    """Return the names of the senders whose leases hold at this moment."""
    held = (Delivery.state == DeliveryState.SENDING, Delivery.lease_until > work.now)
    owners = work.session.scalars(select(Delivery.owner).where(*held).distinct().order_by(Delivery.owner))
    return [str(owner) for owner in owners]


def _upgrade_empty(target: Database) -> None:
    """Bring the target to our migration; one that holds anything stays as it is."""
    try:
        with target.engine.connect() as connection:
            there = set(inspect(connection).get_table_names())
            if there and "alembic_version" not in there:
                raise Conflict("the target holds tables of something else: copy into a database of its own")
            _require_empty(connection, [table for table in _tables() if table.name in there])
        migrations.upgrade(target)
    except OperationalError as error:
        raise Unavailable(f"the target does not answer: {_cause(error)}") from error
    except CommandError as error:
        raise ConfigError(
            "the target stands at a migration that this version does not know: upgrade this one"
        ) from error
    except DBAPIError as error:
        raise ConfigError(f"the target cannot be prepared: {_cause(error)}") from error


def _copy_all(work: Work, target: Connection, progress: Progress) -> list[Copied]:
    # Nobody looks into the target, or copies into it as well, before it is whole.
    target.execute(text("LOCK TABLE counter IN ACCESS EXCLUSIVE MODE"))
    _require_empty(target, _tables())
    target.execute(Counter.__table__.delete())  # type: ignore[attr-defined]
    copied = []
    for table in _tables():
        done = _copy(work, target, table)
        _compare(target, table, done)
        _number_on(target, table)
        copied.append(done)
        progress(done)
    return copied


def _copy(work: Work, target: Connection, table: Table) -> Copied:
    names = [column.name for column in table.columns]
    writers = [column.type.dialect_impl(target.dialect).bind_processor(target.dialect) for column in table.columns]
    quote = target.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.name)} ({', '.join(map(quote, names))}) FROM STDIN"
    driver: Any = target.dialect.loaded_dbapi
    rows, total = 0, 0
    raw: Any = target.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in _rows(work.session.connection(), table):
                copy.write_row([write(value) if write else value for write, value in zip(writers, row, strict=True)])
                rows, total = rows + 1, (total + _hash(row)) % _SUMS
    except driver.OperationalError as error:
        raise Unavailable(f"the target does not answer, nothing was copied: {str(error).splitlines()[0]}") from error
    except driver.Error as error:
        raise ConfigError(f"PostgreSQL refuses the table {table.name}: {str(error).splitlines()[0]}") from error
    return Copied(table.name, rows, f"{total:032x}")


def _compare(target: Connection, table: Table, copied: Copied) -> None:
    rows, total = 0, 0
    for row in _rows(target, table):
        rows, total = rows + 1, (total + _hash(row)) % _SUMS
    if (rows, f"{total:032x}") != (copied.rows, copied.checksum):
        raise ConfigError(
            f"the table {table.name} did not arrive as it is ({rows} of {copied.rows} rows): nothing was copied"
        )


def _rows(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    yield from connection.execute(select(table).execution_options(yield_per=CHUNK))


def _hash(row: Sequence[Any]) -> int:
    """Hash a row so that the sum over a table does not depend on its order."""
    return int.from_bytes(hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest())


def _number_on(target: Connection, table: Table) -> None:
    """Let new rows be numbered after those that were copied."""
    [*keys] = table.primary_key.columns
    if len(keys) != 1:
        return
    sequence = target.scalar(select(func.pg_get_serial_sequence(f'"{table.name}"', keys[0].name)))
    highest = target.scalar(select(func.max(keys[0]))) if sequence else None
    if highest is not None:
        target.execute(select(func.setval(sequence, highest)))


def _tables() -> list[Table]:
    return Base.metadata.sorted_tables


def _require_known_tables(work: Work) -> None:
    found = set(work.session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    strange = {name for name in found if not name.startswith("sqlite_")} ^ {table.name for table in _tables()}
    strange -= {"alembic_version"}
    if strange:
        raise ConfigError(f"this version does not know how to copy {', '.join(sorted(strange))}")


def _require_empty(connection: Connection, tables: Sequence[Table]) -> None:
    for table in tables:
        rows = select(literal(1)).select_from(table).limit(1)  # an older table may lack columns
        if table is Counter.__table__:  # the migrations put it at zero
            rows = rows.where(Counter.value != 0)
        if connection.execute(rows).first() is not None:
            raise Conflict(f"the target is not empty ({table.name} has rows): copy into a database of its own")


def _require_no_sender(work: Work) -> None:
    senders = senders_at_work(work)
    if senders:
        raise Conflict(
            f"{len(senders)} sender{'s are' if len(senders) > 1 else ' is'} at work ({senders[0]}): "
            "stop cron, workers and the site first, or say --wait",
            code="sender_at_work",
        )


def _cause(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0]
