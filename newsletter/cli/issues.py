"""`issues`: what was sent, what waits, and its books."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import click

from newsletter.base.errors import Conflict, InvalidInput
from newsletter.cli.door import ROW_NUMBER, json_option, opened
from newsletter.cli.printing import complain, heading, say, show_json, show_lines, show_table
from newsletter.cli.watching import watch
from newsletter.cli.wording import counted, moment_text, reasons_text, stamp, state_text
from newsletter.db.database import Database, Work
from newsletter.deliveries import resending
from newsletter.deliveries.models import DeliveryState
from newsletter.deliveries.resending import Which
from newsletter.issues import actions, queries
from newsletter.issues.books import Books, books, standing
from newsletter.issues.models import Issue, IssueState
from newsletter.operations.queries import EditionLine, editions_of

TERMS = ("accepted", "failed", "skipped", "uncertain", "cancelled", "open")
OPEN_STATES = ("pending", "sending", "deferred")
LONGEST_REASON = 60
BY_STAFF = "staff"
_RESENT_FROM = frozenset({IssueState.SENDING, IssueState.PAUSED, IssueState.FINISHED})
_WHOM = {
    Which.MISSING: "{} did not get it, and the address is not the cause.",
    Which.UNCERTAIN: "{} may have it already: some will get a second copy, with the same Message-ID.",
}
_NOBODY = {Which.MISSING: "Nobody misses it who could get it.", Which.UNCERTAIN: "Nobody is in doubt who could get it."}
_WHY_LEFT = {
    Which.MISSING: "the address was refused, or a later mail has what was missed",
    Which.UNCERTAIN: "a later mail is on its way to them",
}


@click.group()
def issues() -> None:
    """List issues, show their books, watch them leave; release, pause, cancel, send again."""


issues.add_command(watch)


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


@issues.command()
@click.argument("number", type=ROW_NUMBER)
@click.option("--missing", is_flag=True, help="To whom it was refused or given up, the address not being the cause.")
@click.option("--uncertain", is_flag=True, help="To whom it may have gone already: some get a second copy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resend(number: int, *, missing: bool, uncertain: bool, yes: bool) -> None:
    """Send mails of an issue again, each as itself, under the same Message-ID.

    Left alone are readers whose address was refused, and those who have, or will get, the same in a later mail.
    """
    if missing == uncertain:
        raise click.UsageError(f"say to whom: newsletter issues resend {number} --missing, or --uncertain")
    which = Which.MISSING if missing else Which.UNCERTAIN
    with opened() as parts:
        with parts.database.reading() as work:
            asked = _resendable(work, number, which)
        say(asked.text)
        if not asked.readers:
            return
        if sys.stdin.isatty() and not yes:
            click.confirm(f"Send issue {number} again to {counted(asked.readers, 'reader')}?", abort=True)
        again = 0
        while count := _resend_more(parts.database, number, which):
            again += count
    waiting = f"{counted(again, 'mail')} of issue {number} {'waits' if again == 1 else 'wait'} to be sent"
    if asked.is_paused:
        say(f"{waiting}, and the issue is paused: newsletter issues resume {number}")
    else:
        say(f"{waiting}: the next run sends {'it' if again == 1 else 'them'}.")


@dataclass(frozen=True, slots=True)
class _Resendable:
    """How many readers would get an issue again, and what is to be said before."""

    readers: int
    text: str
    is_paused: bool


def _resendable(work: Work, number: int, which: Which) -> _Resendable:
    issue = queries.issue(work, number)
    if issue.state not in _RESENT_FROM:
        raise Conflict(f"issue {number} is {issue.state}: only what was sent can be sent again")
    readers = resending.resendable(work, batch_id=issue.batch_id, which=which)
    state = DeliveryState.FAILED if which is Which.MISSING else DeliveryState.UNCERTAIN
    left = standing(work, issue).of(state) - readers
    said = [_WHOM[which].format(counted(readers, "reader")) if readers else _NOBODY[which]]
    if left > 0:
        said.append(f"{counted(left, 'reader')} {'is' if left == 1 else 'are'} left alone: {_WHY_LEFT[which]}.")
    return _Resendable(readers, " ".join(said), issue.state is IssueState.PAUSED)


def _resend_more(database: Database, number: int, which: Which) -> int:
    with database.work() as work:
        return actions.resend(work, issue=queries.issue(work, number, lock=True), which=which)


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
