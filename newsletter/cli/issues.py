"""`issues`: what was sent, what waits, and its books."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from newsletter.base.errors import InvalidInput
from newsletter.cli.door import ROW_NUMBER, json_option, opened
from newsletter.cli.printing import complain, heading, say, show_json, show_lines, show_table
from newsletter.cli.wording import counted, moment_text, reasons_text, stamp, state_text
from newsletter.db.database import Database, Work
from newsletter.issues import actions, queries
from newsletter.issues.books import Books, books
from newsletter.issues.models import Issue
from newsletter.operations.queries import EditionLine, editions_of

TERMS = ("accepted", "failed", "skipped", "uncertain", "cancelled", "open")
OPEN_STATES = ("pending", "sending", "deferred")
LONGEST_REASON = 60
BY_STAFF = "staff"


@click.group()
def issues() -> None:
    """List issues, show their books; release, pause, cancel."""


@issues.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many, newest first.")
@json_option
def list_them(limit: int, *, as_json: bool) -> None:
    """List the issues, newest first."""
    with opened() as parts, parts.database.reading() as work:
        found = [(issue, books(work, issue)) for issue in queries.issues(work, limit=limit)]
        if as_json:
            show_json([_as_dict(issue, its_books) for issue, its_books in found])
        elif found:
            columns = ["no.", "newsletter", "slot", "readers", "accepted", "open", "state"]
            rows = [_row(issue, its_books) for issue, its_books in found]
            show_table(columns, rows, right={"no.", "readers", "accepted", "open"})
        else:
            say("There is no issue yet. When the first one is due: newsletter run --due --dry-run")


def _row(issue: Issue, its_books: Books) -> tuple[str, ...]:
    return (
        f"{issue.id}",
        f"{issue.newsletter.slug} {issue.frequency}",
        stamp(issue.slot_at, issue.newsletter.time_zone),
        f"{its_books.audience:,}",
        f"{its_books.accepted:,}",
        f"{its_books.open:,}",
        state_text(issue.state, issue.reason),
    )


@issues.command()
@click.argument("number", type=ROW_NUMBER)
@json_option
def show(number: int, *, as_json: bool) -> None:
    """Show an issue: its books and its editions."""
    with opened() as parts, parts.database.reading() as work:
        issue = queries.issue(work, number)
        its_books = books(work, issue)
        editions = editions_of(work, issue)
        if as_json:
            show_json({**_as_dict(issue, its_books), "editions": [asdict(edition) for edition in editions]})
            return
        show_lines(
            [
                ("issue", f"{issue.id}, {issue.newsletter.slug} {issue.frequency}"),
                ("slot", f"{moment_text(issue.slot_at, issue.newsletter.time_zone)} ({issue.newsletter.time_zone})"),
                ("state", state_text(issue.state, issue.reason)),
            ]
        )
    _show_books(its_books)
    _show_editions(editions)


@issues.command()
@click.argument("number", type=ROW_NUMBER)
def release(number: int) -> None:
    """Let a held issue be planned and sent by the next run."""
    _step(number, lambda work, issue: actions.release(work, issue=issue), "is released: the next run sends it")


@issues.command()
@click.argument("number", type=ROW_NUMBER)
def pause(number: int) -> None:
    """Let nothing more of an issue leave, until it is resumed."""
    _step(number, lambda work, issue: actions.pause(work, issue=issue), "is paused: no further mail leaves")


@issues.command()
@click.argument("number", type=ROW_NUMBER)
def resume(number: int) -> None:
    """Go on sending a paused issue."""
    _step(number, lambda work, issue: actions.resume(work, issue=issue), "goes on: the next run sends the rest")


@issues.command()
@click.argument("number", type=ROW_NUMBER)
@click.option("--reason", default=BY_STAFF, show_default=True, help="Why, for the books.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cancel(number: int, reason: str, *, yes: bool) -> None:
    """End an issue: what has not left is cancelled, and its articles come with the next issue."""
    if not 0 < len(reason) <= LONGEST_REASON:
        raise InvalidInput(f"the reason has 1 to {LONGEST_REASON} characters")
    with opened() as parts:
        with parts.database.reading() as work:
            waiting = books(work, queries.issue(work, number)).open
        if sys.stdin.isatty() and not yes:
            click.confirm(f"Cancel issue {number}, with {counted(waiting, 'mail')} still to leave?", abort=True)
        with parts.database.work() as work:
            actions.cancel(work, issue=queries.issue(work, number, lock=True), reason=reason)
        while _cancel_more(parts.database, number):
            pass
    say(f"Issue {number} is cancelled; its articles come with the next issue.")


def _cancel_more(database: Database, number: int) -> bool:
    with database.work() as work:
        return actions.cancel_more(work, issue=queries.issue(work, number))


def _step(number: int, step: Callable[[Work, Issue], None], said: str) -> None:
    with opened() as parts, parts.database.work() as work:
        step(work, queries.issue(work, number, lock=True))
    say(f"Issue {number} {said}.")


def _show_books(its_books: Books) -> None:
    heading("Books")
    rows = [("", f"{its_books.audience:,}", "readers", "")]
    for sign, term in zip("=+++++", TERMS, strict=True):
        rows.append((sign, f"{getattr(its_books, term):,}", term, _reasons(its_books, term)))
    show_lines(rows, right={1})
    say()
    copies = counted(its_books.possible_copies, "possible copy", "possible copies")
    if its_books.balance:
        say(f"The books balance; {copies}.")
    else:
        complain(f"THE BOOKS DO NOT BALANCE, somebody was lost or counted twice; {copies}.")


def _reasons(its_books: Books, term: str) -> str:
    states = OPEN_STATES if term == "open" else (term,)
    return reasons_text(
        {reason: count for state in states for reason, count in its_books.reasons.get(state, {}).items()}
    )


def _show_editions(editions: list[EditionLine]) -> None:
    if not editions:
        return
    heading("Editions")
    rows = [
        (
            f"{each.id}",
            each.language,
            str(each.form),
            f"{each.articles:,}",
            f"{each.readers:,}",
            f"{each.accepted:,}",
        )
        for each in editions
    ]
    columns = ["no.", "language", "form", "articles", "readers", "accepted"]
    show_table(columns, rows, right={"no.", "articles", "readers", "accepted"})


def _as_dict(issue: Issue, its_books: Books) -> dict[str, Any]:
    return {
        "id": issue.id,
        "newsletter": issue.newsletter.slug,
        "frequency": issue.frequency,
        "slot": issue.slot,
        "slot_at": issue.slot_at,
        "state": issue.state,
        "reason": issue.reason,
        "created_at": issue.created_at,
        "finished_at": issue.finished_at,
        "books": its_books.as_dict(),
    }
