"""The comparisons that have an aim: the mails themselves, and the three servers that take them."""

from __future__ import annotations

import os
from statistics import mean

from benchmarks.sending import tables
from benchmarks.sending.bench import BESIDE, SOURCE, SOURCE_KEPT, Bench
from benchmarks.sending.captured import differences
from benchmarks.sending.counting import read_kept
from benchmarks.sending.ground import settings
from benchmarks.sending.postfix import postfix
from benchmarks.sending.reference import NotInlined, reference
from benchmarks.sending.rounds import Contender, Results
from benchmarks.sending.senders import ByHand, Ours
from benchmarks.sending.servers import smtp_sink
from benchmarks.sending.tables import Table, aim
from newsletter.bootstrap import build

KEPT = 200
SQLITE, POSTGRESQL = "ours, SQLite", "ours, PostgreSQL"
HAND, HAND_BASE64, HAND_FLAT = "by hand", "by hand, base64", "by hand, flat template"
HANDS = (
    "“By hand” renders our templates for each mail and leaves their style sheet in the head; the flat template is"
    " translated and inlined beforehand, so that Jinja fills in articles and links only."
)


def the_mails(bench: Bench) -> Table:
    """Compare what every sender writes with a reference rendering; nothing is measured before it is right."""
    ground = bench.sqlite(KEPT)
    parts = build(settings(ground.url, "memory://", home=bench.folder))
    table = Table("The mails", ["", "compared", "octets on the wire"])
    senders: list[Ours | ByHand] = [
        Ours("ours", ground),
        ByHand(HAND, ground, KEPT),
        ByHand(HAND_BASE64, ground, KEPT, encoding="base64"),
        ByHand(HAND_FLAT, ground, KEPT, is_flat=True),
    ]
    for number, sender in enumerate(senders):
        path = bench.folder / f"kept-{number}.jsonl"
        with bench.counting.in_python("--keep", str(path), "--most", str(KEPT)) as server:
            sender.send(server.port)
        kept = read_kept(path)
        templates = None if isinstance(sender, Ours) or sender.is_flat else NotInlined()
        wrong = differences(kept, parts, reference(parts), is_ours=isinstance(sender, Ours), templates=templates)
        if wrong or len(kept) != KEPT:
            raise RuntimeError(f"{sender.name}: {len(kept)} mails were kept; {'; '.join(wrong[:3]) or 'too few'}")
        octets = mean(len(each.data) for each in kept)
        bench.octets = bench.octets or round(octets)
        table.rows.append([sender.name, str(len(kept)), f"{octets:,.0f}"])
    parts.database.close()
    table.notes.append(
        "Text and HTML of each mail equal the reference rendering for its reader, but for blanks nobody sees; each"
        f" Message-ID, return path and link is its own. smtp-source sends {bench.octets:,} octets."
    )
    return table


def to_smtp_sink(bench: Bench) -> Table:
    """(a) To smtp-sink, beside smtp-source and the loop by hand."""
    hands: list[Contender] = [
        ByHand(HAND, bench.sqlite(), bench.by_hand),
        ByHand(HAND_BASE64, bench.sqlite(), bench.by_hand, encoding="base64"),
        ByHand(HAND_FLAT, bench.sqlite(), bench.by_hand, is_flat=True),
    ]
    results = bench.compare([*_ours(bench), *bench.sources(), *hands], smtp_sink)
    beside = BESIDE | {HAND: "× by hand", HAND_FLAT: "× flat"}
    table = tables.speeds("(a) To smtp-sink", results, beside=beside)
    table.notes += [
        *_aims(results, sqlite=1.0, postgresql=0.9),
        aim("SQLite × the loop by hand", results.ratio(SQLITE, HAND), least=45),
        aim("client CPU s per 1,000, SQLite", results.cpu_per_thousand(SQLITE), most=0.05),
        aim("MB above imports, SQLite", results.grown_mb(SQLITE), most=40),
        f"The loops by hand sent {bench.by_hand} mails per round over one connection, and wrote no result down.",
        HANDS,
    ]
    return table


def to_counting(bench: Bench) -> Table:
    """(b) To a server that only counts."""
    results = bench.compare([*_ours(bench), *bench.sources()], bench.counting.fast)
    table = tables.speeds("(b) To a server that only counts", results, beside=BESIDE)
    busy = ", ".join(f"{name} {share:.0%}" for name, share in results.server_shares().items())
    table.notes += [
        *_aims(results, sqlite=0.8, postgresql=0.4),
        f"The server is written in {bench.counting.language}, two processes; how busy one core was with it: {busy}.",
    ]
    return table


def to_postfix(bench: Bench) -> Table:
    """(c) Into a real Postfix that writes every mail to its queue."""
    mails = max(1, bench.mails // 4)
    with postfix(bench.folder / "postfix") as server:
        results = bench.compare([*_ours(bench, mails), *bench.sources(mails)], server.rested)
    table = tables.speeds("(c) Into a local Postfix", results, beside=BESIDE)
    aims = _aims(results, sqlite=0.9, postgresql=0.9)
    table.notes += [*aims, f"{mails:,} mails a round; the queue was empty before each ({os.cpu_count()} cores)."]
    return table


def _ours(bench: Bench, mails: int | None = None) -> list[Contender]:
    return [Ours(SQLITE, bench.sqlite(mails)), Ours(POSTGRESQL, bench.postgresql(mails))]


def _aims(results: Results, *, sqlite: float, postgresql: float) -> list[str]:
    lines = []
    for name, least in ((SQLITE, sqlite), (POSTGRESQL, postgresql)):
        kept = results.ratio(name, SOURCE_KEPT)
        lines.append(
            aim(f"{name} × {SOURCE}", results.ratio(name, SOURCE), least=least)
            + f" Beside one that keeps its connections (-d): {kept:.2f}."
        )
    return lines
