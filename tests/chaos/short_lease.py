"""A sender whose lease is short and whose clock we may move: `send_batch` until no row waits or is on its way.

    python short_lease.py SECONDS [CLOCK]

CLOCK is a file with the seconds by which this process's clock is ahead, read whenever it looks at the clock.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select, text

from newsletter.base.config import load_settings
from newsletter.base.errors import ConfigError, Unavailable
from newsletter.bootstrap import Parts, build
from newsletter.deliveries.models import LaneName
from newsletter.deliveries.sending import Sender, send_batch
from newsletter.issues.models import Issue

PAUSE = 0.1
OPEN = text("SELECT count(*) FROM delivery WHERE batch_id = :batch AND state IN ('pending', 'sending')")


class MovedClock:
    """The machine's clock, ahead by what a file says."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def now(self) -> datetime:
        ahead = float(self._path.read_text()) if self._path else 0.0
        return datetime.now(UTC) + timedelta(seconds=ahead)


def send(parts: Parts, sender: Sender) -> None:
    """Send the issue's batch, again and again, until only deferred rows of it are open."""
    with parts.database.reading() as work:
        batch_id = work.session.scalars(select(Issue.batch_id).where(Issue.id == 1)).one()
    while True:
        tally = send_batch(parts.database, parts.backend, parts.lanes[LaneName.DIGEST], batch_id, sender=sender)
        with parts.database.reading() as work:
            if not work.session.scalar(OPEN, {"batch": batch_id}):
                return
        if tally.stopped:
            raise Unavailable(tally.stopped)
        time.sleep(PAUSE)


def _sender(parts: Parts, lease: float) -> Sender:
    settings = parts.settings
    return Sender(
        f"chaos:{os.getpid()}", window=settings.window, in_doubt=settings.in_doubt, lease=timedelta(seconds=lease)
    )


def main(lease: str, clock: str = "") -> int:
    settings = load_settings()
    parts = build(settings, clock=MovedClock(Path(clock) if clock else None))
    try:
        send(parts, _sender(parts, float(lease)))
    except (Unavailable, ConfigError) as error:
        sys.stderr.write(error.message + "\n")
        return 75 if isinstance(error, Unavailable) else 78
    finally:
        parts.database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
