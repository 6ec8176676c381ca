"""How many citizens can sign up, confirm and leave at once, beside a bare Flask view, and while an issue is sent.

Usage: python benchmarks/public.py [--visits 2000] [--runs 3] [--mails 50000] [--only sqlite postgresql]

Gunicorn with 3 workers of 4 threads; 16 connections of one visitor process. The bare view takes a form and answers.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from benchmarks.sending.bench import Bench
from benchmarks.sending.content import BASE_URL, SLUG
from benchmarks.sending.ground import KEY, Ground, settings
from benchmarks.sending.measure import Cost
from benchmarks.sending.senders import run_module
from benchmarks.sending.tables import Table, aim, machine
from benchmarks.visiting.site import BARE, OURS, serving, settings_of
from benchmarks.visiting.visitors import Form, Visits, visit
from newsletter.base.clock import SystemClock
from newsletter.base.links import Links
from newsletter.bootstrap import build
from newsletter.subscriptions.models import Request

CONNECTIONS = 16
READERS = 4_000  # of the issue beside which nobody sends
LEAVING_EACH_SECOND = 40.0
SLOWEST_ONE_CLICK = 300.0  # milliseconds, p99, while an issue is sent
LINKS = Links(base_url=BASE_URL, keys=[KEY])


def main() -> int:
    arguments = read_arguments()
    command = shlex.join(["python", "benchmarks/public.py", *sys.argv[1:]])
    heading = [f"Machine: {machine()}.", f"Command: `{command}`; medians of {arguments.runs}."]
    print("\n".join(heading), end="\n\n", flush=True)
    found = []
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL gives up root and must still reach what is its own
        bench = Bench(folder, stack, arguments.mails, arguments.runs, 0, has_million=False)
        for kind in arguments.only:
            laid: Callable[[int], Ground] = getattr(bench, kind)
            for table in (
                alone(laid(READERS), visits=arguments.visits, runs=arguments.runs),
                while_sending(bench, laid(arguments.mails)),
            ):
                print(table.plain(), flush=True)
                found.append(table.markdown())
    if arguments.markdown:
        arguments.markdown.write_text("\n\n".join([*heading, *found]) + "\n", encoding="utf-8")
    return 0


def alone(ground: Ground, *, visits: int, runs: int) -> Table:
    """Citizens alone on the machine, each kind of visit beside the bare view, in turns."""
    table = Table(f"Citizens, {ground.kind}", ["", "a second", "× bare view", "p50 ms", "p99 ms"])
    taken: dict[str, list[tuple[Visits, Visits]]] = {}
    for run in range(runs):
        with ground.copied() as url, ExitStack() as stack:
            site = stack.enter_context(serving(OURS, settings_of(url, home=ground.folder)))
            bare = stack.enter_context(serving(BARE, {}))
            fair = min(visits, READERS)
            warm_up(site)
            visit(bare, [Form("/bare", [])] * 100, connections=CONNECTIONS)
            asked = visit(site, sign_ups(run, fair), connections=CONNECTIONS)
            taken.setdefault("sign-ups", []).append((asked, beside(bare, fair)))
            for name, forms in (("confirmations", confirmations(url, ground.folder)), ("one-clicks", leaving(fair))):
                taken.setdefault(name, []).append(
                    (visit(site, forms, connections=CONNECTIONS), beside(bare, len(forms)))
                )
    for name, pairs in taken.items():
        refuse_failures(name, [ours for ours, _ in pairs])
        table.rows.append(
            [
                name,
                f"{statistics.median(ours.rate for ours, _ in pairs):,.0f}",
                f"{statistics.median(ours.rate / bare.rate for ours, bare in pairs):.2f}",
                f"{statistics.median(ours.percentile(0.5) for ours, _ in pairs):.0f}",
                f"{statistics.median(ours.percentile(0.99) for ours, _ in pairs):.0f}",
            ]
        )
    rate = statistics.median(bare.rate for pairs in taken.values() for _, bare in pairs)
    table.notes.append(f"The bare view answered {rate:,.0f} times a second. Padding of answers was off.")
    return table


def while_sending(bench: Bench, ground: Ground) -> Table:
    """One-clicks while one sender on the same machine sends the issue as fast as it can."""
    table = Table(f"One-clicks while {ground.mails:,} mails leave, {ground.kind}", ["", "visits", "p50 ms", "p99 ms"])
    with ground.copied() as url, ExitStack() as stack:
        site = stack.enter_context(serving(OURS, settings_of(url, home=ground.folder)))
        warm_up(site)
        server = stack.enter_context(bench.counting.fast())
        order = {"url": url, "mail_url": f"smtp://127.0.0.1:{server.port}", "home": str(ground.folder), "window": 32}
        costs: list[Cost] = []
        sender = threading.Thread(target=lambda: costs.extend(run_module("client", order)))
        sender.start()
        visits = Visits()
        for first in range(ground.mails - 20, 0, -20):  # the last readers first: their mails have not left yet
            if not sender.is_alive():
                break
            some = visit(site, leaving(20, first=first), connections=4, per_second=LEAVING_EACH_SECOND)
            visits.seconds += some.seconds
            visits.failed += some.failed
        sender.join()
    refuse_failures("one-clicks", [visits])
    (cost,) = costs
    table.rows.append(
        ["one-clicks", f"{len(visits.seconds):,}", f"{visits.percentile(0.5):.0f}", f"{visits.percentile(0.99):.0f}"]
    )
    table.notes.append(f"{cost.mails:,} mails were accepted at {cost.mails / (cost.ended - cost.began):,.0f} a second.")
    table.notes.append(aim("p99 of a one-click, ms,", visits.percentile(0.99), most=SLOWEST_ONE_CLICK))
    return table


def sign_ups(run: int, count: int) -> list[Form]:
    """As many people who were never here."""
    shown = LINKS.page_token(at=SystemClock().now() - timedelta(minutes=1))
    return [
        Form(
            "/ar/subscriptions",
            [
                ("address", f"visitor{run}.{number}@d{number % 50}.example.org"),
                ("newsletters", SLUG),
                ("language", "ar"),
                ("page", shown),
            ],
        )
        for number in range(count)
    ]


def confirmations(url: str, home: Path) -> list[Form]:
    """The button of every confirmation that waits."""
    parts = build(settings(url, "memory://", home=home))
    with parts.database.reading() as work:
        waiting = work.session.scalars(select(Request.id).where(Request.answered_at.is_(None))).all()
    moment = parts.clock.now()
    parts.database.close()
    return [Form(f"/confirm/{LINKS.confirm_token(number, at=moment)}", []) for number in waiting]


def leaving(count: int, *, first: int = 1) -> list[Form]:
    """The one click of mail programs (RFC 8058)."""
    return [
        Form(f"/u/{LINKS.unsubscribe_token(number, 0)}", [("List-Unsubscribe", "One-Click")])
        for number in range(first, first + count)
    ]


def warm_up(site: int) -> None:
    """Let every worker have read its templates: what an installation pays once is not measured."""
    for forms in (sign_ups(-1, 96), leaving(96, first=10**9)):
        visit(site, forms, connections=CONNECTIONS)


def beside(port: int, count: int) -> Visits:
    """The bare view, with a form as large as a sign-up's."""
    fields = [("address", "visitor@example.org"), ("newsletters", SLUG), ("language", "ar"), ("page", "x" * 60)]
    return visit(port, [Form("/bare", fields)] * count, connections=CONNECTIONS)


def refuse_failures(what: str, visits: Sequence[Visits]) -> None:
    failed = sum(each.failed for each in visits)
    if failed:
        raise RuntimeError(f"{failed} {what} were not answered with 200")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--visits", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mails", type=int, default=50_000)
    kinds = ("sqlite", "postgresql")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
