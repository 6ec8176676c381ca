"""The one command that cron calls: fetch, open, plan, send everything due, finish, forget.

Safe to run twice, at once, and late; what one run leaves undone the next one does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.db.database import Database
from newsletter.deliveries.models import LaneName
from newsletter.issues import actions, planning, queries
from newsletter.issues.books import Books, books
from newsletter.issues.models import IssueState
from newsletter.issues.pauses import end_pauses
from newsletter.newsletters import queries as newsletter_queries
from newsletter.operations.fetching import FetchResult, fetch_all
from newsletter.operations.reconciling import reconcile
from newsletter.operations.sending import TRANSACTIONAL, Postroom, Sent, send_due, transactional_beside
from newsletter.privacy.forgetting import forget


@dataclass(frozen=True, slots=True)
class IssueReport:
    """What an issue came to in this run."""

    id: int
    newsletter: str
    frequency: str
    slot: str
    state: IssueState
    reason: str | None
    books: Books


@dataclass(slots=True)
class Report:
    """What a run did; one that did nothing is false, and so is one whose issues had nothing for anyone."""

    fetched: list[FetchResult] = field(default_factory=list)
    issues: list[IssueReport] = field(default_factory=list)
    transactional: Sent = field(default_factory=Sent)
    forgotten: dict[str, int] = field(default_factory=dict)
    stopped: str | None = None

    def __bool__(self) -> bool:
        news = any(each.new or each.corrected or each.error for each in self.fetched)
        issues = any(issue.state is not IssueState.EMPTY for issue in self.issues)
        return bool(news or issues or self.transactional.accepted or self.stopped)


Progress = Callable[[str], None]


def _quiet(_: str) -> None:
    pass


def run_due(postroom: Postroom, *, progress: Progress = _quiet) -> Report:
    """Do everything that is due at this moment and say what was done."""
    report = Report()
    database = postroom.database
    database.in_snapshot(end_pauses)
    for result in fetch_all(database):
        progress(f"fetched {result.url}")
        report.fetched.append(result)
    reconcile(database, postroom.lanes, in_doubt=postroom.in_doubt)
    report.transactional = send_due(postroom, lanes=TRANSACTIONAL)
    touched = _open_due(database)
    with database.reading() as work:
        touched |= set(queries.in_state(work, IssueState.PLANNING, IssueState.SENDING))
    before = _states(database, touched)
    for issue_id in sorted(touched):
        progress(f"planning issue {issue_id}")
        planning.plan(database, issue_id)
    progress("sending")
    with transactional_beside(postroom) as beside:
        sent = send_due(postroom, lanes=[LaneName.DIGEST])
    report.transactional.add(beside)
    _finish(database)
    report.stopped = report.transactional.stopped or sent.stopped
    report.issues = _reports(database, touched, before, sent)
    if not report.stopped:
        report.forgotten = forget(database, progress=progress)
    return report


def _open_due(database: Database) -> set[int]:
    opened = set()
    with database.reading() as work:
        rhythms = [
            (newsletter.id, rhythm.id)
            for newsletter in newsletter_queries.all_newsletters(work)
            for rhythm in newsletter.rhythms
        ]
    for newsletter_id, rhythm_id in rhythms:
        with database.work() as work:
            newsletter = newsletter_queries.by_id(work, newsletter_id)
            rhythm = next(each for each in newsletter.rhythms if each.id == rhythm_id)
            issue = actions.open_due(work, newsletter=newsletter, rhythm=rhythm)
            if issue is not None:
                opened.add(issue.id)
    return opened


def _finish(database: Database) -> None:
    with database.reading() as work:
        sending = queries.in_state(work, IssueState.SENDING)
    for issue_id in sending:
        with database.work() as work:
            actions.finish(work, issue_id=issue_id)


def _states(database: Database, issue_ids: set[int]) -> dict[int, IssueState]:
    with database.reading() as work:
        return {issue_id: queries.issue(work, issue_id).state for issue_id in issue_ids}


def _reports(database: Database, issue_ids: set[int], before: dict[int, IssueState], sent: Sent) -> list[IssueReport]:
    """Report the issues that this run opened, moved or sent of; a waiting one is not news."""
    reports = []
    with database.reading() as work:
        for issue_id in sorted(issue_ids):
            issue = queries.issue(work, issue_id)
            if issue.state is before[issue_id] is IssueState.SENDING and issue.batch_id not in sent.tallies:
                continue
            reports.append(
                IssueReport(
                    issue.id,
                    issue.newsletter.slug,
                    str(issue.frequency),
                    issue.slot,
                    issue.state,
                    issue.reason,
                    books(work, issue),
                )
            )
    return reports
