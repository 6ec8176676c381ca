"""Whether a database can be worked on: it answers, and its tables are those that this version speaks of."""

from __future__ import annotations

from sqlalchemy import text

from newsletter.db import migrations, moving
from newsletter.db.database import Database
from newsletter.privacy.actions import erase_anew
from newsletter.privacy.erasures import ErasureLog


def require_answer(database: Database) -> None:
    """Make sure that the database answers.

    :raises Unavailable: if it does not
    """
    with database.reading() as work:
        work.session.execute(text("SELECT 1"))


def make_ready(database: Database, erasures: ErasureLog) -> None:
    """Make sure that the database can be worked on, and that a restored backup brings nobody back who was erased.

    :raises Unavailable: if it does not answer
    :raises ConfigError: telling what to run, or that the log of erasures cannot be read
    """
    require_ready(database)
    erase_anew(database, erasures)


def require_ready(database: Database) -> None:
    """Make sure that the database answers, was not moved away, and stands at the newest migration.

    :raises Unavailable: if it does not answer
    :raises ConfigError: telling what to run
    """
    require_answer(database)
    moving.require_here(database)
    migrations.require_newest(database)
