"""The same issue under other conditions: signed, encrypted, from afar, by several, more safely, in other windows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.sending import tables
from benchmarks.sending.bench import BESIDE, SOURCE, SOURCE_KEPT, Bench
from benchmarks.sending.counting import read_kept
from benchmarks.sending.ground import Ground
from benchmarks.sending.rounds import Contender
from benchmarks.sending.senders import ByHand, Ours
from benchmarks.sending.servers import program
from benchmarks.sending.tables import Table, aim

LATENCY = 0.020
SMALL, LARGE, MILLION = 10_000, 100_000, 1_000_000
MOST_GROWTH_MB = 10
UNSIGNED = "not signed"
PROFILED = 20  # functions


def signed(bench: Bench) -> Table:
    """Signed with DKIM, to the server that counts."""
    rsa, ed25519 = _key(bench.folder, "rsa"), _key(bench.folder, "ed25519")
    keys = {UNSIGNED: "", "RSA-2048": rsa, "RSA-2048 and Ed25519": f"{rsa},{ed25519}"}
    for number, key in enumerate(keys.values()):
        _check_signatures(bench, key, number)
    ground = bench.sqlite(max(1, bench.mails // 2))
    contenders = [Ours(name, ground, settings={"dkim": key}) for name, key in keys.items()]
    results = bench.compare(contenders, bench.counting.fast, runs=bench.fewer_runs)
    return tables.speeds("Signed with DKIM", results, beside={UNSIGNED: "× not signed"})


def _check_signatures(bench: Bench, key: str, expected: int) -> None:
    """Make sure that mails carry so many signatures, before anybody takes pride in how fast they leave."""
    path = bench.folder / f"signed-{expected}.jsonl"
    with bench.counting.in_python("--keep", str(path), "--most", "1") as server:
        Ours("signed", bench.sqlite(1), settings={"dkim": key}).send(server.port)
    found = read_kept(path)[0].data.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
    if found != expected:
        raise RuntimeError(f"a mail carries {found} DKIM signatures, not {expected}")


def encrypted(bench: Bench) -> Table:
    """With STARTTLS, to a server in Python: smtp-sink and smtp-source speak no TLS."""
    certificate, key = bench.certificate()
    server = partial(bench.counting.in_python, "--tls", str(certificate), str(key))
    ground = bench.sqlite(max(1, bench.mails // 2))
    trust = {"SSL_CERT_FILE": str(certificate)}
    contenders: list[Contender] = [
        Ours("ours, in clear", ground),
        Ours("ours, STARTTLS", ground, scheme="smtp+starttls", environment=trust),
        ByHand("by hand, STARTTLS", ground, min(bench.by_hand, 100), is_flat=True, starttls=True),
    ]
    results = bench.compare(contenders, server, runs=bench.fewer_runs)
    beside = {"ours, in clear": "× in clear", "by hand, STARTTLS": "× by hand"}
    return tables.speeds("With STARTTLS, to a server in Python", results, beside=beside)


def from_afar(bench: Bench) -> Table:
    """With 20 ms of added latency, everybody on 16 connections."""
    mails = max(1, bench.mails // 10)
    contenders = [Ours("ours, SQLite", bench.sqlite(mails)), *bench.sources(mails)]
    results = bench.compare(contenders, partial(bench.counting.far, LATENCY), runs=bench.fewer_runs)
    table = tables.speeds("With 20 ms of added latency", results, beside=BESIDE)
    kept = results.ratio("ours, SQLite", SOURCE_KEPT)
    table.notes += [
        aim(f"SQLite × {SOURCE}", results.ratio("ours, SQLite", SOURCE), least=3.5)
        + f" Beside one that keeps its connections (-d): {kept:.2f}.",
        f"{mails:,} mails a round; a relay of ours holds each direction back for 10 ms and limits nothing else.",
    ]
    return table


def together(bench: Bench) -> Table:
    """1, 2 and 4 processes that send the same batch."""
    contenders = [
        Ours(f"{ground.kind}, {count} process{'es' if count > 1 else ''}", ground, processes=count)
        for ground in _grounds(bench)
        for count in (1, 2, 4)
    ]
    table = _varied(bench, "Several processes on one batch", contenders, each=3)
    table.notes.append("CPU and memory: of all processes together, and of the largest. Only the ratios count.")
    return table


def synchronous(bench: Bench) -> Table:
    """SQLite written as we do (FULL: nothing is lost by a loss of power), and as many do (NORMAL)."""
    ground = bench.sqlite()
    contenders = [Ours(f"synchronous={level}", ground, synchronous=level) for level in ("FULL", "NORMAL")]
    return _varied(bench, "SQLite's synchronous", contenders, each=2)


def windows(bench: Bench) -> Table:
    """Windows of 8, 32 and 128 mails in doubt at most."""
    contenders = [
        Ours(f"{ground.kind}, window {window}", ground, window=window)
        for ground in _grounds(bench)
        for window in (8, 32, 128)
    ]
    return _varied(bench, "Windows", contenders, each=3)


def memory(bench: Bench) -> Table:
    """The peak of memory with a small and with a large audience."""
    large = MILLION if bench.has_million else min(LARGE, bench.mails * 5)
    small = min(SMALL, bench.mails)
    contenders = [Ours(f"{count:,} mails", bench.sqlite(count)) for count in (small, large)]
    results = bench.compare(contenders, bench.counting.fast, runs=1)
    grown = results.peak_mb(contenders[1].name) - results.peak_mb(contenders[0].name)
    table = tables.speeds("Memory and the audience", results, beside={contenders[0].name: f"× {small:,}"})
    table.notes.append(aim("MB between the two", grown, most=MOST_GROWTH_MB))
    if not bench.has_million:
        table.notes.append("One run each. With --million the large audience is of 1,000,000.")
    return table


def profile(bench: Bench) -> Table:
    """Where the client's CPU time goes."""
    table = Table(
        "Where the CPU time goes, to the server that counts", ["", "µs a mail", "in the database's libraries"]
    )
    for ground in _grounds(bench):
        path = bench.folder / f"profile-{ground.kind}.json"
        with bench.counting.fast() as server:
            Ours(ground.kind, ground, profile=str(path)).send(server.port)
        spent = json.loads(path.read_text(encoding="utf-8"))
        microseconds = 1e6 / ground.mails
        sums = [sum(each[column] for each in spent) * microseconds for column in (1, 2)]
        table.rows.append([f"{ground.kind}: all", *(f"{each:.1f}" for each in sums)])
        rows = spent[:PROFILED]
        table.rows += [[name, *(f"{each * microseconds:.1f}" for each in costs)] for name, *costs in rows]
    table.notes.append("By the innermost function of ours that was at work; looked at every millisecond of CPU time.")
    return table


def _varied(bench: Bench, title: str, contenders: Sequence[Ours], *, each: int) -> Table:
    """Compare variations in groups of `each`, whose first one is the measure of its group."""
    results = bench.compare(contenders, bench.counting.fast, runs=bench.fewer_runs)
    firsts = [contender.name for contender in contenders[::each]]
    table = tables.speeds(f"{title}, to the server that counts", results, beside={})
    table.columns = [*table.columns[:2], "× first", *table.columns[2:]]
    table.rows = [
        [*row[:2], f"{results.ratio(row[0], firsts[number // each]):.2f}", *row[2:]]
        for number, row in enumerate(table.rows)
    ]
    return table


def _grounds(bench: Bench) -> list[Ground]:
    return [bench.sqlite(), bench.postgresql()]


def _key(folder: Path, kind: str) -> str:
    """Make a private key and return the setting that names it."""
    path = folder / f"dkim-{kind}.pem"
    if not path.exists():
        options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else ["-algorithm", kind]
        subprocess.run([program("openssl"), "genpkey", *options, "-out", str(path)], check=True, capture_output=True)
    return f"{kind}:lettre.example.ma:{path}"
