"""The numbered migrations: bring a database to the newest, say where it stands, keep a copy of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from newsletter.base.errors import ConfigError, Conflict, InvalidInput, Unavailable
from newsletter.base.resources import resource
from newsletter.db.database import Database


def upgrade(database: Database) -> None:
    """Bring the database to the newest migration. Safe to repeat."""
    with database.engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def stands_at(database: Database) -> str | None:
    """Return the number of the last migration that this database has seen."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """Return the number of the newest migration that this version knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def require_newest(database: Database) -> None:
    """Make sure that tables and code speak of the same.

    :raises ConfigError: telling what to run
    """
    found = stands_at(database)
    if found is None:
        raise ConfigError("the database is empty: run `newsletter init`")
    if found != newest():
        raise ConfigError(f"the database stands at migration {found}, not {newest()}: run `newsletter db upgrade`")


def backup(database: Database, target: Path) -> Path:
    """Write a consistent copy of a live SQLite database.

    :raises Conflict: if the target exists
    :raises InvalidInput: on PostgreSQL, whose own tools do this
    :raises Unavailable: if it cannot be written; nothing is left of it
    """
    if not database.is_sqlite:
        raise InvalidInput("on PostgreSQL use pg_dump --format=custom: it copies a live database consistently")
    if target.exists():
        raise Conflict(f"{target} exists already")
    source = str(database.engine.url.database)
    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
        target.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise Unavailable(f"the backup {target} cannot be written: {error}") from error
    return target


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource("migrations")).replace("%", "%%"))
    return config
