"""A SQLite database that was moved away: it says so, and takes no further write from anybody."""

from __future__ import annotations

from sqlalchemy import inspect, text

from newsletter.base.errors import ConfigError
from newsletter.db.database import Database, Work

MOVED = 0x6D6F7665  # in PRAGMA user_version, which a backup of the file keeps, too
TELL = "this database was moved to PostgreSQL: set NEWSLETTER_DATABASE_URL to the new one"


def mark_moved(work: Work) -> None:
    """Let every write from now on fail, also of processes that run already; takes hold with the work's commit."""
    session = work.session
    session.execute(text(f"PRAGMA user_version = {MOVED}"))
    for table in inspect(session.connection()).get_table_names():
        for step in ("INSERT", "UPDATE", "DELETE"):
            session.execute(
                text(
                    f'CREATE TRIGGER "moved_{table}_{step.lower()}" BEFORE {step} ON "{table}" '
                    f"BEGIN SELECT RAISE(ABORT, '{TELL}'); END"
                )
            )


def require_here(database: Database) -> None:
    """Make sure that this database was not moved away.

    :raises ConfigError: if it was
    """
    if not database.is_sqlite:
        return
    with database.reading() as work:
        if work.session.scalar(text("PRAGMA user_version")) == MOVED:
            raise ConfigError(TELL)
