"""How fast subscribers are imported and exported, beside a bare csv reader and bare INSERTs.

Usage: python benchmarks/import_export.py [--rows 100000] [--only sqlite|postgresql] [--markdown FILE]

The bare one reads the same file with the csv module and inserts the same three rows for each of its rows, a thousand at
a time, each thousand in a transaction; it checks nothing. Each measurement is a process of its own on a database of its
own. PostgreSQL runs with its defaults in a folder of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import psycopg
from sqlalchemy import insert

from benchmarks.planning_once import time_works
from benchmarks.sending.ground import create_database, postgresql
from benchmarks.sending.tables import Table, machine
from newsletter.base.clock import SystemClock
from newsletter.db import migrations
from newsletter.db.database import Database
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.exporting import export_subscribers
from newsletter.subscriptions.exchange.importing import Source, import_subscribers
from newsletter.subscriptions.models import Consent, ConsentKind, Form, Subscription, SubscriptionState

COLUMNS = ("", "rows", "what", "seconds", "rows/s", "of the bare one", "longest work ms", "peak MB")
KINDS = ("bare", "import", "again", "export")
SLICE = 1000

Result = dict[str, float]


def main() -> int:
    if len(sys.argv) > 1 and sys.argv[1] == "once":
        print(json.dumps(once(*sys.argv[2:4], int(sys.argv[4]))))
        return 0
    arguments = read_arguments()
    heading = [
        f"Machine: {machine()}.",
        f"Command: `{shlex.join(['python', 'benchmarks/import_export.py', *sys.argv[1:]])}`.",
    ]
    print("\n".join(heading), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL gives up root and must still reach what is its own
        table = Table("Importing and exporting subscribers", COLUMNS)
        if arguments.only in {None, "sqlite"}:
            table.rows += compare("SQLite", lambda kind, rows: in_sqlite(folder, kind, rows), arguments.rows)
        if arguments.only in {None, "postgresql"}:
            server = stack.enter_context(postgresql(folder / "postgresql"))
            table.rows += compare("PostgreSQL", lambda kind, rows: in_postgresql(server, kind, rows), arguments.rows)
    print(table.plain())
    if arguments.markdown:
        arguments.markdown.write_text("\n\n".join([*heading, table.markdown()]) + "\n", encoding="utf-8")
    return 0


def compare(database: str, measure: Callable[[str, int], Result], rows: int) -> Iterator[list[str]]:
    bare = 0.0
    for kind in KINDS:
        found = measure(kind, rows)
        bare = bare or found["seconds"]
        row = [
            database,
            f"{rows:,}",
            kind,
            f"{found['seconds']:.1f}",
            f"{rows / found['seconds']:,.0f}",
            f"{bare / found['seconds']:.2f}",
            f"{found['longest'] * 1000:.0f}",
            f"{found['peak_mb']:.0f}",
        ]
        print("  ".join(row), flush=True)
        yield row


def in_sqlite(folder: Path, kind: str, rows: int) -> Result:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return in_process(kind, f"sqlite:///{Path(place) / 'readers.db'}", rows)


def in_postgresql(server: str, kind: str, rows: int) -> Result:
    try:
        return in_process(kind, create_database(server, "readers"), rows)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS readers WITH (FORCE)")


def in_process(kind: str, url: str, rows: int) -> Result:
    command = [sys.executable, __file__, "once", kind, url, str(rows)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Result = json.loads(answer.stdout)
    return result


def once(kind: str, url: str, rows: int) -> Result:
    """Measure one kind of work on an empty database."""
    database = Database(url, clock=SystemClock())
    migrations.upgrade(database)
    with database.work() as work:
        names = {"fr": "L’hebdo"}
        topics, rhythms = [NewTopic("news", names)], [NewRhythm(Frequency.WEEKLY, weekday=0)]
        new = NewNewsletter(
            "hebdo", names, names, "lettre.example.ma", languages=["fr"], topics=topics, rhythms=rhythms
        )
        add_newsletter(work, new=new)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "readers.csv"
        write(path, rows)
        steps: dict[str, Callable[[], object]] = {
            "bare": lambda: bare(database, path),
            "import": lambda: bring(database, path),
            "again": lambda: bring(database, path),
            "export": lambda: take_out(database, Path(name) / "out.csv"),
        }
        if kind in {"again", "export"}:
            bring(database, path)
        works = time_works(database)
        started = time.perf_counter()
        steps[kind]()
        seconds = time.perf_counter() - started
    database.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "longest": max(works), "peak_mb": peak}


def write(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Email Address", "First Name", "MEMBER_RATING", "OPTIN_TIME", "CONFIRM_TIME", "LEID", "EUID"])
        for number in range(rows):
            moment = f"2024-06-{number % 28 + 1:02} 10:00:00"
            writer.writerow([f"r{number}@example{number % 97}.ma", "Zoé, S.", 2, moment, moment, number, number])


def bare(database: Database, path: Path) -> None:
    """Read with the csv module and insert, a thousand at a time: what nobody who checks anything can be faster than."""
    with database.work() as work:
        choice = queries.choice_id(work, newsletter_id=1, form=Form.DIGEST, languages=[("fr", 0)], topics=[(1, 0)])
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        done = 0
        while chunk := list(islice(rows, SLICE)):
            insert_bare(database, [row["Email Address"] for row in chunk], choice=choice, after=done)
            done += len(chunk)


def insert_bare(database: Database, addresses: list[str], *, choice: int, after: int) -> None:
    moment = datetime(2024, 6, 1, tzinfo=UTC)
    numbered = list(enumerate(addresses, after + 1))
    with database.work() as work:
        run = work.session.execute
        run(
            insert(Subscriber.__table__),  # type: ignore[arg-type]
            [
                {"id": n, "address": each, "address_key": each, "address_hash": f"{n:064}", "created_at": moment}
                for n, each in numbered
            ],
        )
        run(
            insert(Subscription.__table__),  # type: ignore[arg-type]
            [
                {
                    "id": n,
                    "subscriber_id": n,
                    "newsletter_id": 1,
                    "state": SubscriptionState.ACTIVE,
                    "frequency": Frequency.WEEKLY,
                    "choice_id": choice,
                    "watermark": 0,
                    "created_at": moment,
                }
                for n, _ in numbered
            ],
        )
        run(
            insert(Consent.__table__),  # type: ignore[arg-type]
            [
                {
                    "subscription_id": n,
                    "kind": ConsentKind.IMPORTED,
                    "language": "fr",
                    "evidence": {"system": "Mailchimp", "file": "readers.csv", "line": n},
                    "at": moment,
                }
                for n, _ in numbered
            ],
        )


def bring(database: Database, path: Path) -> None:
    with path.open("rb") as stream:
        import_subscribers(
            database,
            source=Source(stream, path.name),
            newsletter="hebdo",
            terms=Terms(),
            address_key=b"only for measuring",
            dry_run=False,
            tell=lambda _: None,
            progress=lambda _: None,
        )


def take_out(database: Database, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        export_subscribers(database, to=file)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
