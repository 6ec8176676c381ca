"""How fast an issue leaves, and what that costs, beside others who send the same: `make bench` runs it.

Usage: python benchmarks/send.py [--mails 20000] [--runs 5] [--quick] [--million] [--only NAME …] [--markdown FILE]

Every run is a process of its own on a fresh copy of a planned issue, from the first claim to the settled ledger, and
ends with the books. Those that are compared send in turns, to a fresh server each; medians are printed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.sending import experiments, variations
from benchmarks.sending.bench import Bench
from benchmarks.sending.servers import Missing
from benchmarks.sending.tables import Table, machine

EXPERIMENTS: dict[str, Callable[[Bench], Table]] = {
    "smtp-sink": experiments.to_smtp_sink,
    "counting": experiments.to_counting,
    "postfix": experiments.to_postfix,
    "dkim": variations.signed,
    "starttls": variations.encrypted,
    "latency": variations.from_afar,
    "processes": variations.together,
    "synchronous": variations.synchronous,
    "windows": variations.windows,
    "memory": variations.memory,
    "profile": variations.profile,
}


def main() -> int:
    arguments = read_arguments()
    command = shlex.join(["python", "benchmarks/send.py", *sys.argv[1:]])
    heading = [
        f"Machine: {machine()}.",
        f"Command: `{command}`; medians of {arguments.runs}, {arguments.mails:,} mails.",
    ]
    print("\n".join(heading), end="\n\n", flush=True)
    started, missing, found = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # Postfix and PostgreSQL give up root and must still reach what is theirs
        bench = Bench(folder, stack, arguments.mails, arguments.runs, arguments.by_hand, arguments.million)
        for experiment in [experiments.the_mails, *(EXPERIMENTS[name] for name in arguments.only or EXPERIMENTS)]:
            try:
                table = experiment(bench)
            except Missing as error:
                missing += 1
                table = Table(str(experiment.__doc__).splitlines()[0], ["skipped"], notes=[f"Skipped: {error}."])
            print(table.plain(), flush=True)
            found.append(table.markdown())
    print(f"{(time.monotonic() - started) / 60:.1f} minutes in all")
    if arguments.markdown:
        arguments.markdown.write_text("\n\n".join([*heading, *found]) + "\n", encoding="utf-8")
    return 1 if missing else 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--by-hand", type=int, default=500, help="mails of the loops by hand per round")
    parser.add_argument("--quick", action="store_true", help="2 runs of 4,000 mails")
    parser.add_argument("--million", action="store_true", help="memory with an audience of a million (minutes more)")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.mails, arguments.runs, arguments.by_hand = 4_000, 2, 100
    return arguments


if __name__ == "__main__":
    sys.exit(main())
