"""`issues watch`: an issue as it leaves, live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from newsletter.cli.door import ROW_NUMBER, json_option, opened
from newsletter.cli.looking import TROUBLED, Look, Watcher
from newsletter.cli.printing import heading, say, show_lines, show_table
from newsletter.cli.wording import books_text, clock_text, counted, reply_text, span_text, words
from newsletter.db.database import Database
from newsletter.deliveries.models import DeliveryState
from newsletter.issues import queries
from newsletter.issues.books import books
from newsletter.issues.models import IssueState

ALL = "all"
BAR_WIDTH = 60


@click.command()
@click.argument("number", type=ROW_NUMBER)
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Say how it stands, and do not wait for the end.")
@json_option
def watch(number: int, every: float, *, once: bool, as_json: bool) -> None:
    """Watch an issue leave, until it is over or Ctrl-C.

    Shows its speed, states, families of domains, the last refusals, and what rests. With --json each look is one line.
    """
    with opened() as parts, suppress(KeyboardInterrupt):
        watcher = Watcher(parts.database, number)
        looks = iter([_one_look(watcher, every)]) if once else _looks(watcher, every)
        if as_json:
            for look in looks:
                say(json.dumps(look.as_dict(), ensure_ascii=False, default=str))
        elif once:
            _show(next(looks))
        else:
            _follow(looks)
            _show_books(parts.database, number)


def _looks(watcher: Watcher, every: float) -> Iterator[Look]:
    while True:
        look = watcher.look()
        yield look
        if look.is_over:
            return
        time.sleep(every)


def _one_look(watcher: Watcher, every: float) -> Look:
    """Look once, and where mail may be leaving twice: one look alone has no speed."""
    look = watcher.look()
    if look.state is IssueState.SENDING:
        time.sleep(every)
        look = watcher.look()
    return look


def _follow(looks: Iterator[Look]) -> None:
    console = Console(highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for look in looks:
                live.update(_picture(look), refresh=True)
    else:
        _tell(looks)


def _tell(looks: Iterable[Look]) -> None:
    """Write a line for each look that shows something new, and below it what went wrong since."""
    before: tuple[str, ...] = ()
    for look in looks:
        now = (_line(look), *_notes(look))
        if now[0] != (before[0] if before else ""):
            say(f"{clock_text(look.at, look.time_zone, seconds=True)} {now[0]}")
        for note in now[1:]:
            if note not in before:
                say(f"  {note}")
        before = now


def _show_books(database: Database, number: int) -> None:
    with database.reading() as work:
        issue = queries.issue(work, number)
        say(f"Issue {number} is {issue.state}: {books_text(books(work, issue))}.")


# What a look shows


def _show(look: Look) -> None:
    """Write all that is seen at one moment."""
    say(_headline(look))
    say(_figures(look))
    columns, rows = _by_family(look)
    if rows:
        say()
        show_table(columns, rows, right=set(columns[1:]))
    if look.refusals:
        heading("Refusals")
        show_lines(_refusals(look), right={0})
    notes = _circumstances(look)
    if notes:
        say()
    for note in notes:
        say(note)


def _picture(look: Look) -> RenderableType:
    """Draw all that is seen at one moment; no line is wrapped, so that nothing jumps."""
    parts: list[RenderableType] = [
        Text(_headline(look), style="bold", no_wrap=True, overflow="ellipsis"),
        _bar(look),
        Text(_figures(look), no_wrap=True, overflow="ellipsis"),
    ]
    columns, rows = _by_family(look)
    if rows:
        parts += [Text(), _grid([columns, *rows], right=range(1, len(columns)), head=True)]
    if look.refusals:
        parts += [Text(), Text("Refusals", style="bold"), _grid(_refusals(look), right=[0])]
    notes = _circumstances(look)
    if notes:
        parts += [Text(), *(Text(note, no_wrap=True, overflow="ellipsis") for note in notes)]
    return Group(*parts)


def _bar(look: Look) -> Table:
    line = Table.grid()
    line.add_row(ProgressBar(total=max(look.standing.audience, 1), completed=look.standing.done, width=BAR_WIDTH))
    return line


def _grid(rows: Sequence[Sequence[str]], *, right: Iterable[int], head: bool = False) -> Table:
    """Lay rows out in columns; where the terminal is narrow only the last one is cut off."""
    table = Table.grid(padding=(0, 2, 0, 0))
    last = len(rows[0]) - 1
    for place in range(last + 1):
        justify: Literal["left", "right"] = "right" if place in right else "left"
        table.add_column(justify=justify, no_wrap=place != last)  # rich narrows only columns that could be wrapped
    for number, row in enumerate(rows):
        cells = (Text(cell, no_wrap=True, overflow="ellipsis") for cell in row)
        table.add_row(*cells, style="dim" if head and number == 0 else None)
    return table


def _headline(look: Look) -> str:
    return f"issue {look.number}, {look.title}: {look.state_text}"


def _figures(look: Look) -> str:
    standing = look.standing
    said = [f"{standing.of(DeliveryState.ACCEPTED):,} of {standing.audience:,} accepted"]
    if standing.nothing_new:
        said.append(f"nothing new for {standing.nothing_new:,}")
    if not look.is_over:
        said += _speed(look)
    return "; ".join(said)


def _speed(look: Look) -> Iterator[str]:
    if look.per_second is not None:
        average = "" if look.on_average is None else f", {look.on_average:,.0f}/s on average"
        yield f"{look.per_second:,.0f} mails/s{average}"
    if look.seconds_left is not None:
        yield f"{span_text(look.seconds_left)} left"


def _by_family(look: Look) -> tuple[list[str], list[list[str]]]:
    """Return the counts of each family and state; states and families without any mail are left out."""
    families = look.standing.families
    shown = [state for state in DeliveryState if state is not DeliveryState.CANCELLED or look.standing.of(state)]
    rows = [
        [family, *(f"{counts[state]:,}" for state in shown)]
        for family, counts in sorted(families.items())
        if any(counts.values())
    ]
    if len(rows) > 1:
        rows.append([ALL, *(f"{look.standing.of(state):,}" for state in shown)])
    return ["family", *map(str, shown)], rows


def _refusals(look: Look) -> list[tuple[str, str, str, str]]:
    return [
        (f"{each.rows:,}", str(each.state), words(each.reason), reply_text(each.reply_code, each.reply))
        for each in look.refusals
    ]


def _circumstances(look: Look) -> list[str]:
    """Return what rests, how many copies there may be, and what a person can do."""
    copies = [counted(look.possible_copies, "possible copy", "possible copies")] if look.possible_copies else []
    return [*look.rests, *copies, *([look.hint] if look.hint else [])]


def _line(look: Look) -> str:
    troubles = [f"{look.standing.of(state):,} {state}" for state in TROUBLED if look.standing.of(state)]
    return "; ".join([f"{look.state_text}: {_figures(look)}", *([", ".join(troubles)] if troubles else [])])


def _notes(look: Look) -> list[str]:
    refusals = [f"{count} {state}: {reason}: {reply}".rstrip(": ") for count, state, reason, reply in _refusals(look)]
    return [*refusals, *_circumstances(look)]
