"""Write the next numbered migration from what the models say and the last one does not.

Usage: python scripts/make_migration.py NUMBER "what it changes"
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from newsletter import bootstrap  # noqa: F401 (knows every model)
from newsletter.base.clock import SystemClock
from newsletter.db import migrations
from newsletter.db.database import Database
from newsletter.db.schema import Table


def main(number: str, message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'empty.db'}", clock=SystemClock())
        migrations.upgrade(database)
        with database.engine.begin() as connection:
            config = migrations._config()
            config.attributes.update(connection=connection, metadata=Table.metadata)
            command.revision(config, message=message, autogenerate=True, rev_id=number)
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
