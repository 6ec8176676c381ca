"""`subscribers import` and `subscribers export`: files of subscribers, in and out."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TextIO

import click

from newsletter.base.errors import InvalidInput
from newsletter.cli.door import BAD_INPUT, json_option, opened
from newsletter.cli.printing import complain, one_line, say, show_json, show_lines
from newsletter.cli.progress import steps
from newsletter.cli.wording import counted
from newsletter.newsletters.models import Frequency
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.exporting import export_subscribers
from newsletter.subscriptions.exchange.formats import Format
from newsletter.subscriptions.exchange.importing import Source, Summary, Told, import_subscribers
from newsletter.subscriptions.models import SubscriptionState

STDIN = "standard input"
MOST_TOLD = 20  # refused lines on standard error
TELL_EVERY = 100_000  # rows, where no line can move
LONGEST_NAME = 40
_FORMATS = {
    Format.OURS: "an export of this program",
    Format.LISTMONK: "an export of listmonk",
    Format.MAILCHIMP: "an export of Mailchimp",
    Format.PLAIN: "a list of addresses",
}
_TAKEN = {
    "active": "active",
    "pending": "pending: they end unless confirmed within seven days",
    "ended": "ended, kept so that no later import brings them back",
    "ended here": "had left there since, and were ended here",
    "address closed": "addresses closed",
}


def _choice(words: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([each.value for each in words])  # of a class, click would ask for its names


@click.command("import")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--newsletter", required=True, metavar="SLUG", help="To which newsletter.")
@click.option("--dry-run", is_flag=True, help="Count the same, and change nothing.")
@click.option("--language", multiple=True, metavar="CODE", help="For rows that name none; in order, as in fr,ar.")
@click.option("--topics", metavar="SLUGS", help="For rows that name none, as in services,regions. Usually all.")
@click.option("--frequency", type=_choice(Frequency), help="For rows that name none. Usually the first.")
@click.option(
    "--state",
    type=click.Choice(["active", "pending"]),
    default="active",
    show_default=True,
    help="For rows that name none.",
)
@click.option("--evidence", default="", metavar="TEXT", help="How you know that they consented; kept with each.")
@click.option("--format", "named", type=_choice(Format), help="What it is, where its header does not tell.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write each line that was not taken, and why, as CSV.")
@json_option
def import_them(
    file: str,
    *,
    newsletter: str,
    dry_run: bool,
    language: tuple[str, ...],
    topics: str | None,
    frequency: str | None,
    state: str,
    evidence: str,
    named: str | None,
    report: str | None,
    as_json: bool,
) -> None:
    """Import subscribers from FILE (- reads standard input); nobody is sent anything.

    Reads our own export, those of listmonk and Mailchimp, and lists of addresses. An active row needs the moment at
    which the person confirmed, or --evidence. It may be run again: what is in is left alone. Ends with 65 if lines
    were refused; the others are imported all the same.
    """
    terms = Terms(
        languages=_words(",".join(language)),
        topics=_words(topics or ""),
        frequency=None if frequency is None else Frequency(frequency),
        state=SubscriptionState(state),
        evidence=_clean(evidence),
    )
    with opened() as parts, _input(file) as stream, _report(report, file) as reported, steps(verbose=True) as step:
        summary = import_subscribers(
            parts.database,
            source=Source(stream, _name_of(file), None if named is None else Format(named)),
            newsletter=newsletter,
            terms=terms,
            address_key=parts.address_key,
            dry_run=dry_run,
            tell=_teller(reported),
            progress=_follower(step),
        )
    if as_json:
        show_json(_as_dict(summary))
    else:
        _show(summary, has_report=report is not None)
    if summary.refused:
        click.get_current_context().exit(BAD_INPUT)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option("--newsletter", metavar="SLUG", help="Only of this newsletter.")
@click.option("--state", type=_choice(SubscriptionState), help="Only in this state.")
def export_them(file: str, *, newsletter: str | None, state: str | None) -> None:
    """Write subscriptions to FILE as CSV, or to standard output.

    A file is whole or not there. A cell that a spreadsheet would run as a formula begins with an apostrophe, which the
    import takes off again. Removed addresses are not in it. Keep it as you keep the database.
    """
    with opened() as parts, _output(file) as stream:
        written = export_subscribers(
            parts.database,
            to=stream,
            newsletter=newsletter,
            state=None if state is None else SubscriptionState(state),
        )
    complain(f"{counted(written, 'subscription')} written{'' if file == '-' else f' to {file}'}")


@contextmanager
def _input(file: str) -> Iterator[io.BufferedReader]:
    if file == "-":
        yield io.BufferedReader(sys.stdin.buffer)  # type: ignore[arg-type]  # it reads as a raw one does
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 (whatever fails below is not the file's opening)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _output(file: str) -> Iterator[TextIO]:
    """Open what is written to: a file takes its name when it is whole, and only its owner can read it."""
    if file == "-":
        stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
        yield stream
        stream.flush()
        stream.detach()
        return
    path = Path(file)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device keeps its place
            with _private(path) as stream:
                yield stream
            return
        part = path.with_name(f"{path.name}.part")
        try:
            part.unlink(missing_ok=True)
            with _private(part, os.O_EXCL) as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error


def _private(path: Path, more: int = 0) -> io.TextIOWrapper:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | more, 0o600)
    return io.TextIOWrapper(os.fdopen(descriptor, "wb"), encoding="utf-8", newline="")


@contextmanager
def _report(report: str | None, file: str) -> Iterator[TextIO | None]:
    if report is None:
        yield None
        return
    if file != "-" and Path(report).exists() and Path(report).samefile(file):
        raise InvalidInput("--report would write over the file that is imported")
    try:
        stream = _private(Path(report))
    except OSError as error:
        raise InvalidInput(f"{report} cannot be written: {error.strerror}") from error
    with stream:
        csv.writer(stream, lineterminator="\r\n").writerow(["line", "reason"])
        yield stream


def _teller(report: TextIO | None) -> Callable[[Told], None]:
    """Tell the first refused lines on standard error, and every line that was not taken in the report."""
    told = Counter[bool]()
    writer = None if report is None else csv.writer(report, lineterminator="\r\n")

    def tell(each: Told) -> None:
        if writer is not None:
            writer.writerow([each.line, each.reason if each.is_refused else f"left alone: {each.reason}"])
        if not each.is_refused:
            return
        told[True] += 1
        if told[True] <= MOST_TOLD:
            complain(f"line {each.line}: {each.reason}")
        elif told[True] == MOST_TOLD + 1:
            where = "--report FILE has them all" if report is None else "the report has them all"
            complain(f"more lines are refused; {where}")

    return tell


def _follower(step: Callable[[str], None]) -> Callable[[Summary], None]:
    moves, shown = sys.stderr.isatty(), Counter[str]()

    def follow(summary: Summary) -> None:
        if moves or summary.rows - shown["rows"] >= TELL_EVERY:
            shown["rows"] = summary.rows
            step(f"{counted(summary.rows, 'row')}, {summary.taken.total():,} taken")

    return follow


def _show(summary: Summary, *, has_report: bool) -> None:
    say(f"{summary.file}: {_FORMATS[summary.format]}, {counted(summary.rows, 'row')}{_encoding(summary)}")
    show_lines(
        [
            *_counts(summary.taken, _TAKEN),
            *_counts(summary.left_alone, {}, "left alone: "),
            *_counts(summary.refused, {}, "refused: "),
        ]
        or [("  0", "nothing to take")],
        right={0},
    )
    if summary.left_out:
        names = ", ".join(one_line(name)[:LONGEST_NAME] for name in summary.left_out[:MOST_TOLD])
        say(f"Not taken from the file, for only the address is kept of a person: {names}")
    if summary.refused and not has_report:
        say("Mend the refused lines and import the file again: what is in is left alone. --report FILE lists them.")
    if summary.is_dry:
        say("This was a dry run: nothing has changed.")


def _counts(counts: Counter[str], names: dict[str, str], what: str = "") -> list[tuple[str, str]]:
    return [(f"  {count:,}", f"{what}{names.get(name, name)}") for name, count in counts.most_common()]


def _encoding(summary: Summary) -> str:
    strange = [name for name in summary.encodings if name != "utf-8"]
    return f", read as {' and '.join(strange)}" if strange else ""


def _as_dict(summary: Summary) -> dict[str, object]:
    return {
        "file": summary.file,
        "newsletter": summary.newsletter,
        "format": summary.format,
        "dry_run": summary.is_dry,
        "encodings": summary.encodings,
        "rows": summary.rows,
        "taken": dict(summary.taken),
        "left_alone": dict(summary.left_alone),
        "refused": dict(summary.refused),
        "columns_not_taken": summary.left_out,
    }


def _words(text: str) -> list[str]:
    return [each for each in re.split(r"[,\s]+", text) if each]


def _name_of(file: str) -> str:
    return STDIN if file == "-" else _clean(Path(file).name)


def _clean(text: str) -> str:
    """Make what was typed fit for the database: file names and words may hold bytes that are no text."""
    return one_line(text.encode("utf-8", "replace").decode())
