"""One database, and units of work in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from newsletter.base.clock import Clock
from newsletter.base.errors import ConfigError, Unavailable
from newsletter.db.turns import in_turn

PATIENCE = 30.0  # seconds that a work waits for a lock before it says that the database does not answer
A_WHILE = 1.0  # seconds; whoever waited longer for the turn has less patience left
_READING = "newsletter_reading"
_RETRIES = 10
_AGAIN = {"40001", "40P01"}  # serialization failure, deadlock
_MENDED_BY_HAND = ("readonly database", "unable to open database file")  # waiting does not help against these
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """One unit of work: a transaction and its moment."""

    session: Session
    now: datetime
    is_sqlite: bool


class Database:
    """Opens units of work; safe to share between threads. None waits longer than `patience` seconds for a lock."""

    def __init__(self, url: str, *, clock: Clock, patience: float = PATIENCE) -> None:
        self.clock = clock
        self.engine = _engine(url, patience)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def work(self, *, snapshot: bool = False) -> Iterator[Work]:
        """Open a writing work: committed at the end, rolled back by any exception.

        With `snapshot` PostgreSQL shows one state of the database throughout (REPEATABLE READ); SQLite always does.

        :raises Unavailable: if the database does not answer or stays locked, or two works waited for each other
        """
        options: dict[str, Any] = {_READING: False}
        if snapshot and not self.is_sqlite:
            options["isolation_level"] = "REPEATABLE READ"
        try:
            with self._session(options) as session, session.begin():
                if self.is_sqlite:
                    session.connection()  # the lock first, and then the moment: waiting for it may take a while
                yield Work(session, self.clock.now(), self.is_sqlite)
        except OperationalError as error:
            if snapshot or getattr(error.orig, "sqlstate", None) not in _AGAIN:
                raise
            raise Unavailable("the database asks to try again: two works waited for each other") from error

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """Open a work that only reads; it never waits for a writer and no writer waits for it. Nothing is committed.

        :raises Unavailable: if the database does not answer
        """
        with self._session({_READING: True}) as session:
            yield Work(session, self.clock.now(), self.is_sqlite)

    def in_snapshot(self, step: Callable[[Work], T]) -> T:
        """Run `step` in a snapshot work, again from the start where PostgreSQL asks for it (SQLSTATE 40001, 40P01)."""
        for attempt in range(_RETRIES):
            try:
                with self.work(snapshot=True) as work:
                    return step(work)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _AGAIN or attempt == _RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _session(self, options: dict[str, Any]) -> Iterator[Session]:
        with Session(self.engine.execution_options(**options), expire_on_commit=False) as session:
            try:
                yield session
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) in _AGAIN:
                    raise
                cause = str(error.orig).splitlines()[0]
                if any(word in cause for word in _MENDED_BY_HAND):
                    raise ConfigError(f"the database cannot be used: {cause}") from error
                raise Unavailable(f"the database does not answer: {cause}") from error
            except DatabaseError as error:
                if type(error) is not DatabaseError:  # its kinds speak of a statement, itself of the file
                    raise
                raise ConfigError(f"the database cannot be used: {str(error.orig).splitlines()[0]}") from error


def _engine(url: str, patience: float) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _postgresql(parsed, patience)
    engine = create_engine(parsed, connect_args={"timeout": patience, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", partial(_begin_sqlite, patience=patience))
    return engine


def _postgresql(url: URL, patience: float) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except ModuleNotFoundError:
        raise ConfigError("PostgreSQL needs its driver: pip install 'newsletter-server[postgresql]'") from None

    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        connection.execute(f"SET lock_timeout = {round(patience * 1000)}")
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    # Who is erased is erased from the file, too: not every build of SQLite overwrites what is deleted.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection, *, patience: float) -> None:
    if connection.get_execution_options().get(_READING, False):
        connection.exec_driver_sql("BEGIN")
        return
    began = monotonic()
    with in_turn(connection.engine.url.database):
        waited = monotonic() - began
        if waited < A_WHILE:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            _begin_late(connection, left=max(patience - waited, 0.0), patience=patience)


def _begin_late(connection: Connection, *, left: float, patience: float) -> None:
    """Ask for the lock with what is left of the patience: those before have waited for it in vain."""
    connection.exec_driver_sql(f"PRAGMA busy_timeout={round(left * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={round(patience * 1000)}")
