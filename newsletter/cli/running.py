"""`run`: the one command that cron calls."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import Any

import click

from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.cli.door import TRY_LATER, at_option, json_option, opened
from newsletter.cli.printing import complain, one_line, say, show_json, show_lines, show_table
from newsletter.cli.progress import steps
from newsletter.cli.sources import tell
from newsletter.cli.wording import books_text, counted, moment_text, reasons_text, state_text
from newsletter.deliveries.sending import STOPPING
from newsletter.issues import queries
from newsletter.issues.models import IssueState
from newsletter.operations.forecast import Forecast, forecast
from newsletter.operations.run_due import IssueReport, Report, run_due
from newsletter.operations.stopping import stop_on_signals


@click.command()
@click.option("--due", is_flag=True, help="Everything that is due now: fetch, plan, send.")
@click.option("--dry-run", is_flag=True, help="Only count who would get what; change nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Write each step down, where there is no terminal.")
@at_option
@json_option
def run(at: str | None, *, due: bool, dry_run: bool, verbose: bool, as_json: bool) -> None:
    """Do everything that is due, for cron. Safe twice, at once, late; silent when nothing happened."""
    if not due:
        raise click.UsageError("say what to run: newsletter run --due")
    with opened(at) as parts:
        if dry_run:
            _show_forecasts(parts, as_json=as_json)
            return
        report = _run(parts, verbose=verbose)
        _show_report(parts, report, as_json=as_json)
    if report.stopped:
        complain(f"sending stopped, the next run goes on: {_stopped(report.stopped)}")
        raise SystemExit(TRY_LATER)


def _run(parts: Parts, *, verbose: bool) -> Report:
    with stop_on_signals() as stop, steps(verbose=verbose, database=parts.database) as progress:

        def step(text: str) -> None:
            if stop.is_set():
                raise Unavailable("stopped by a signal; the next run goes on", code=STOPPING)
            progress(one_line(text))

        return run_due(replace(parts.postroom, stop=stop), progress=step)


def _stopped(cause: str) -> str:
    return "by a signal" if cause.startswith(STOPPING) else one_line(cause)


def _show_report(parts: Parts, report: Report, *, as_json: bool) -> None:
    if as_json:
        show_json(_report_as_dict(report))
        return
    for result in report.fetched:
        tell(result, quiet=True)
    if report.transactional.accepted:
        say(f"{counted(report.transactional.accepted, 'mail')} to confirm or to choose accepted")
    for issue in report.issues:
        if issue.state is not IssueState.EMPTY:
            say(_issue_line(parts, issue))
    if not report and sys.stdout.isatty():  # cron hears nothing, a person wants an answer
        say("Nothing was due. What is next: newsletter run --due --dry-run")


def _issue_line(parts: Parts, report: IssueReport) -> str:
    with parts.database.reading() as work:
        issue = queries.issue(work, report.id)
        slot = moment_text(issue.slot_at, issue.newsletter.time_zone)
    head = f"issue {report.id}, {report.newsletter} {report.frequency} of {slot}"
    state = state_text(report.state, report.reason)
    if report.state is IssueState.HELD:
        return f"{head}: {state}, for a person: newsletter issues release {report.id}, or cancel {report.id}"
    return f"{head}: {state}; {books_text(report.books)}"


def _report_as_dict(report: Report) -> dict[str, Any]:
    return {
        "fetched": [asdict(result) for result in report.fetched],
        "transactional_accepted": report.transactional.accepted,
        "unconfirmed_ended": report.forgotten.get("unconfirmed", 0),
        "forgotten": report.forgotten,
        "issues": [
            {
                "id": each.id,
                "newsletter": each.newsletter,
                "frequency": each.frequency,
                "slot": each.slot,
                "state": each.state,
                "reason": each.reason,
                "books": each.books.as_dict(),
            }
            for each in report.issues
        ],
        "stopped": report.stopped,
    }


def _show_forecasts(parts: Parts, *, as_json: bool) -> None:
    found = forecast(parts.database)
    if as_json:
        show_json([_forecast_as_dict(each) for each in found])
        return
    if not found:
        say("There is no newsletter yet: newsletter newsletters add --help")
        return
    show_lines([(f"{each.newsletter} {each.frequency}", _slot_line(each)) for each in found])
    rows = [
        (
            each.newsletter,
            str(each.frequency),
            line.language,
            f"{line.readers:,}",
            f"{line.would_get:,}",
            reasons_text(line.passed_over),
        )
        for each in found
        for line in each.languages
        if line.readers
    ]
    columns = ["newsletter", "frequency", "language", "readers", "would get", "the others"]
    if rows:
        say()
        show_table(columns, rows, right={"readers", "would get"})
    say()
    say("Nothing was changed. No source was read: what is not fetched is not counted.")


def _slot_line(each: Forecast) -> str:
    no_readers = "" if any(line.readers for line in each.languages) else "; no readers yet"
    return _when(each) + no_readers


def _when(each: Forecast) -> str:
    if each.next_slot is None:
        return "due now" if each.is_due else "nothing was published since its last issue"
    following = f"next slot {moment_text(each.next_slot, each.time_zone)}"
    if not each.is_due:
        return following
    late = ", too late: it will wait for a person" if each.is_late else ""
    return f"due now: slot {moment_text(each.slot, each.time_zone)}{late}; {following}"


def _forecast_as_dict(each: Forecast) -> dict[str, Any]:
    return {
        **asdict(each),
        "languages": [{**asdict(line), "readers": line.readers} for line in each.languages],
    }
