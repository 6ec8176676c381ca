"""How long work is followed: a line that moves on a terminal, plain lines or nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from newsletter.base.errors import Unavailable
from newsletter.cli.printing import complain
from newsletter.db.database import Database
from newsletter.deliveries.models import DeliveryState
from newsletter.issues import queries
from newsletter.issues.books import standing
from newsletter.issues.models import IssueState

EVERY = 1.0  # seconds between two looks at what senders counted

Step = Callable[[str], None]


@contextmanager
def steps(*, verbose: bool = False, database: Database | None = None) -> Iterator[Step]:
    """Give a function to which each step is told.

    On a terminal it moves one line, and with a database one bar for each issue under way, as its senders count.
    Elsewhere it writes plain lines if `verbose`, else nothing: what cron runs is silent until something happened.
    """
    if not sys.stderr.isatty():
        yield complain if verbose else _silent
        return
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        line = progress.add_task("starting", total=None, figures="")
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(database, progress, done), daemon=True)
        watcher.start()
        try:
            yield lambda text: progress.update(line, description=text[:60])
        finally:
            done.set()
            watcher.join()


def _silent(_: str) -> None:
    pass


def _watch(database: Database | None, progress: Progress, done: threading.Event) -> None:
    bars: dict[int, TaskID] = {}
    while database is not None and not done.wait(EVERY):
        with suppress(Unavailable):  # whoever works will say so
            _look(database, progress, bars)


def _look(database: Database, progress: Progress, bars: dict[int, TaskID]) -> None:
    with database.reading() as work:
        for number in queries.in_state(work, IssueState.PLANNING, IssueState.SENDING):
            issue = queries.issue(work, number)
            found = standing(work, issue)
            if number not in bars:
                bars[number] = progress.add_task("", figures="")
            progress.update(
                bars[number],
                description=f"issue {number} {issue.state}",
                total=found.audience,
                completed=found.done,
                figures=f"{found.of(DeliveryState.ACCEPTED):,} of {found.audience:,}",
            )
