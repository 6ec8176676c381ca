"""How planning grows with the audience: seconds per million readers, longest work, peak memory, in 200 cohorts.

Usage: python benchmarks/planning.py [--runs 3] [--sizes 10000 100000 1000000] [--only sqlite|postgresql]
       [--markdown FILE]

Each plan is a process of its own on a database of its own, one after the other; medians are printed. PostgreSQL runs
with its defaults in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.sending.ground import create_database, postgresql
from benchmarks.sending.tables import Table, aim, machine

ONCE = Path(__file__).with_name("planning_once.py")
SIZES = (10_000, 100_000, 1_000_000)
AIMS = {"SQLite": 10, "PostgreSQL": 20}  # seconds for a million
COLUMNS = ("", "readers", "cohorts", "seconds", "s/million", "works", "longest ms", "peak MB", "grown MB")

Result = dict[str, float]


def main() -> int:
    arguments = read_arguments()
    heading = [
        f"Machine: {machine()}.",
        f"Command: `{shlex.join(['python', 'benchmarks/planning.py', *sys.argv[1:]])}`; medians of {arguments.runs}.",
    ]
    print("\n".join(heading), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL gives up root and must still reach what is its own
        table = compare(folder, stack, arguments)
    print(table.plain())
    if arguments.markdown:
        arguments.markdown.write_text("\n\n".join([*heading, table.markdown()]) + "\n", encoding="utf-8")
    return 0


def compare(folder: Path, stack: ExitStack, arguments: argparse.Namespace) -> Table:
    """Plan each size in each database and return the table."""
    table = Table("Planning an issue, from the frozen cut to one row per reader", COLUMNS)
    plans: dict[str, Callable[[int], Result]] = {}
    if arguments.only in {None, "sqlite"}:
        plans["SQLite"] = lambda readers: in_sqlite(folder, readers)
    if arguments.only in {None, "postgresql"}:
        server = stack.enter_context(postgresql(folder / "postgresql"))
        plans["PostgreSQL"] = lambda readers: in_postgresql(server, readers)
    for database, plan in plans.items():
        found = {readers: median([plan(readers) for _ in range(arguments.runs)]) for readers in arguments.sizes}
        for readers, result in found.items():
            table.rows.append([database, f"{readers:,}", *cells(readers, result)])
            print("  ".join(table.rows[-1]), flush=True)
        table.notes += notes(database, found)
    return table


def cells(readers: int, result: Result) -> list[str]:
    return [
        f"{result['cohorts']:.0f}",
        f"{result['seconds']:.2f}",
        f"{per_million(readers, result):.2f}",
        f"{result['works']:.0f}",
        f"{result['longest_work'] * 1000:.0f}",
        f"{result['peak_mb']:.0f}",
        f"{result['grown_mb']:.1f}",
    ]


def notes(database: str, found: dict[int, Result]) -> list[str]:
    """Say what the figures of a database are to be, and are."""
    least, most = min(found), max(found)
    fast, slow = (per_million(readers, found[readers]) for readers in (least, most))
    memory = found[most]["peak_mb"] / found[least]["peak_mb"]
    said = [
        aim(f"seconds per million in {database}, {most:,} readers", slow, most=AIMS[database]),
        f"{database}, {most:,} to {least:,} readers: time per reader {slow / fast:.2f}, peak memory {memory:.2f}.",
    ]
    if database == "SQLite":
        longest = max(result["longest_work"] for result in found.values())
        said.append(aim("longest hold of SQLite's lock in seconds", longest, most=0.3))
    return said


def per_million(readers: int, result: Result) -> float:
    return result["seconds"] / readers * 1e6


def median(results: Sequence[Result]) -> Result:
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def in_sqlite(folder: Path, readers: int) -> Result:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return once(f"sqlite:///{Path(place) / 'planning.db'}", readers)


def in_postgresql(server: str, readers: int) -> Result:
    try:
        return once(create_database(server, "planning"), readers)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS planning WITH (FORCE)")


def once(url: str, readers: int) -> Result:
    """Plan once, in a process of its own.

    :raises CalledProcessError: if the plan fails, or its books do not balance
    """
    command = [sys.executable, str(ONCE), url, str(readers)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Result = json.loads(answer.stdout)
    return result


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
