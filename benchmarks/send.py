"""How fast an issue leaves, and what that costs, beside others who send the same: run it with `make bench`.

Usage: python benchmarks/send.py [--mails 20000] [--runs 5] [--quick] [--only NAME …] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.sending import tables
from benchmarks.sending.ground import prepare
from benchmarks.sending.rounds import compare
from benchmarks.sending.senders import Ours, SmtpSource
from benchmarks.sending.servers import smtp_sink


def main() -> None:
    arguments = read_arguments()
    print(tables.machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ground = prepare(f"sqlite:///{Path(folder) / 'template.db'}", mails=arguments.mails, folder=Path(folder))
        contenders = [
            Ours("ours, SQLite", ground),
            SmtpSource("smtp-source -s 16", arguments.mails, 73_900, kept=False),
            SmtpSource("smtp-source -s 16 -d", arguments.mails, 73_900, kept=True),
        ]
        results = compare(contenders, smtp_sink, runs=arguments.runs)
    table = tables.speeds(
        "To smtp-sink", results, beside=[each.name for each in contenders[1:]], named=["smtp-source", "-d"]
    )
    print(table.plain())


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 runs of 4,000")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.mails, arguments.runs = 4_000, 2
    return arguments


if __name__ == "__main__":
    sys.exit(main())
