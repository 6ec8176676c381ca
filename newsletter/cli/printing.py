"""Words, tables and JSON: rich on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from datetime import date, time
from typing import Any, Literal

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = "  "


def say(text: str = "") -> None:
    """Write to whoever asked."""
    click.echo(text)


def complain(text: str) -> None:
    """Write to whoever looks after things: standard error."""
    click.echo(text, err=True)


def show_json(data: Any) -> None:
    """Write data for programs."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))


def heading(text: str) -> None:
    """Write the title of what follows, an empty line before it."""
    click.echo()
    click.secho(text, bold=True)


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    wrap: Collection[str] = (),
) -> None:
    """Write a table with headings.

    The columns named in `right` are set to the right; on a terminal the last one and those in `wrap` are wrapped.
    """
    if not sys.stdout.isatty():
        _show_plain([columns, *rows], {place for place, name in enumerate(columns) if name in right})
        return
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
        border_style="dim",
    )
    for place, name in enumerate(columns):
        wraps = name in wrap or place == len(columns) - 1
        justify: Literal["left", "right"] = "right" if name in right else "left"
        table.add_column(Text(name), justify=justify, no_wrap=not wraps, min_width=len(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def show_lines(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Write rows in columns without headings; on a terminal the last column is wrapped under itself."""
    if not sys.stdout.isatty():
        _show_plain(rows, set(right))
        return
    table = Table.grid(padding=(0, len(GAP), 0, 0))
    for place in range(max(map(len, rows), default=0)):
        table.add_column(justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def one_line(text: str) -> str:
    """Fold line ends and control characters: what a feed or a server said shall not move the cursor."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _show_plain(rows: Sequence[Sequence[str]], right: set[int]) -> None:
    widths = [max(map(cell_len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            " " * (width - cell_len(cell)) + cell if place in right else cell + " " * (width - cell_len(cell))
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo(GAP.join(cells).rstrip())


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)
