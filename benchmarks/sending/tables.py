"""Tables of what was measured, for a terminal and in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sending.rounds import Results


@dataclass(slots=True)
class Table:
    """A heading, columns of which the first are words and the rest numbers, and what must be said below."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def plain(self) -> str:
        """Write it for a terminal."""
        widths = [max(len(row[place]) for row in (self.columns, *self.rows)) for place in range(len(self.columns))]
        lines = [self.title, ""]
        for row in (self.columns, *self.rows):
            cells = [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in _placed(row, widths)]
            lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join([*lines, "", *(f"  {note}" for note in self.notes), *([""] if self.notes else [])])

    def markdown(self) -> str:
        """Write it for docs/performance.md."""
        rows = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"### {self.title}", "", *lines, "", *(f"{note}\n" for note in self.notes)])


def speeds(title: str, results: Results, *, beside: Mapping[str, str]) -> Table:
    """Return the table of a comparison: rates, how many times as fast as each of `beside` (name: heading), costs."""
    table = Table(title, ["", "messages/s", *beside.values(), "CPU s per 1,000", "peak MB", "above imports MB"])
    for name in results.costs:
        grown = results.grown_mb(name)
        table.rows.append(
            [
                name,
                f"{results.rate(name):,.0f}",
                *("" if name == other else f"{results.ratio(name, other):.2f}" for other in beside),
                f"{results.cpu_per_thousand(name):.3f}",
                f"{results.peak_mb(name):.0f}",
                f"{grown:.1f}" if grown else "",
            ]
        )
    return table


def aim(what: str, value: float, *, least: float | None = None, most: float | None = None) -> str:
    """Say whether a figure is what it should be."""
    if least is not None:
        return f"Aim: {what} ≥ {least:g}: {value:.2f}, {'met' if value >= least else 'MISSED'}."
    assert most is not None
    return f"Aim: {what} ≤ {most:g}: {value:.3g}, {'met' if value <= most else 'MISSED'}."


def machine() -> str:
    """Describe this machine in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {memory / 2**20:.0f} GB, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}; load when it began: {load:.1f}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _placed(row: Sequence[str], widths: Sequence[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))
