"""What a run would do at this moment, found by planning in works that are rolled back: nothing is written or sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from newsletter.base.clock import zone
from newsletter.db.database import Database, Work
from newsletter.deliveries.models import Batch, DeliveryState, LaneName
from newsletter.issues import actions, planning, schedule
from newsletter.issues import readers as reader_queries
from newsletter.issues.books import NOTHING_NEW
from newsletter.issues.models import Issue, IssueState
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm
from newsletter.operations import queries
from newsletter.subscriptions import queries as subscription_queries


@dataclass(slots=True)
class LanguageForecast:
    """The readers of one language: who would get a mail, and why the others would not."""

    language: str
    would_get: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)

    @property
    def readers(self) -> int:
        return self.would_get + sum(self.passed_over.values())


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of one rhythm of a newsletter.

    `is_due` says whether a run would open its slot now, `is_late` whether it would then hold it for a person;
    `next_slot` is the first slot after this moment (None: as soon as something is published).
    """

    newsletter: str
    time_zone: str
    frequency: Frequency
    is_due: bool
    is_late: bool
    slot: datetime | None
    next_slot: datetime | None
    languages: list[LanguageForecast]


def forecast(database: Database) -> list[Forecast]:
    """Count, for each rhythm, who would get a mail now. Takes the database's write lock, one rhythm at a time."""
    with database.reading() as work:
        rhythms = [
            (newsletter.id, rhythm.id)
            for newsletter in newsletter_queries.all_newsletters(work)
            for rhythm in newsletter.rhythms
        ]
    return [database.in_snapshot(partial(_tried, newsletter_id=first, rhythm_id=second)) for first, second in rhythms]


def _tried(work: Work, *, newsletter_id: int, rhythm_id: int) -> Forecast:
    newsletter = newsletter_queries.by_id(work, newsletter_id)
    rhythm = next(each for each in newsletter.rhythms if each.id == rhythm_id)
    due = actions.open_due(work, newsletter=newsletter, rhythm=rhythm)
    issue = due or _imagined(work, newsletter, rhythm)
    is_late = issue.state is IssueState.HELD
    if issue.state is not IssueState.PLANNING:
        actions.release(work, issue=issue)
    work.session.flush()
    while planning.plan_slice(work, issue.id):
        pass
    found = Forecast(
        newsletter=newsletter.slug,
        time_zone=newsletter.time_zone,
        frequency=rhythm.frequency,
        is_due=due is not None,
        is_late=is_late,
        slot=issue.slot_at if due else None,
        next_slot=_next_slot(newsletter, rhythm, work.now),
        languages=_by_language(work, issue),
    )
    work.session.rollback()
    return found


def _imagined(work: Work, newsletter: Newsletter, rhythm: Rhythm) -> Issue:
    """Make an issue of no slot, to see what this moment would bring."""
    batch = Batch(lane=LaneName.DIGEST, patience=0, created_at=work.now)
    work.session.add(batch)
    work.session.flush()
    issue = Issue(
        newsletter_id=newsletter.id,
        frequency=rhythm.frequency,
        slot="forecast",
        slot_at=work.now,
        state=IssueState.APPROVED,
        batch_id=batch.id,
        created_at=work.now,
    )
    work.session.add(issue)
    work.session.flush()
    return issue


def _by_language(work: Work, issue: Issue) -> list[LanguageForecast]:
    rows = queries.counts_by_choice(work, issue.batch_id)
    cohorts = reader_queries.cohorts(work, issue.id)
    wanted = {row.choice_id for row in rows} | {key.choice_id for key in cohorts}
    spoken = {number: choice.language_codes[0] for number, choice in subscription_queries.choices(work, wanted).items()}
    lines = {code: LanguageForecast(code) for code in issue.newsletter.languages}
    for row in rows:
        line = lines.setdefault(spoken[row.choice_id], LanguageForecast(spoken[row.choice_id]))
        if row.state is DeliveryState.PENDING:
            line.would_get += row.rows
        else:
            _pass_over(line, row.reason or str(row.state), row.rows)
    for key, cohort in cohorts.items():
        if cohort.nothing_new:
            line = lines.setdefault(spoken[key.choice_id], LanguageForecast(spoken[key.choice_id]))
            _pass_over(line, NOTHING_NEW, cohort.nothing_new)
    return list(lines.values())


def _pass_over(line: LanguageForecast, reason: str, count: int) -> None:
    line.passed_over[reason] = line.passed_over.get(reason, 0) + count


def _next_slot(newsletter: Newsletter, rhythm: Rhythm, now: datetime) -> datetime | None:
    if rhythm.frequency is Frequency.IMMEDIATE:
        return None
    return schedule.next_slot(
        rhythm.frequency,
        at=rhythm.at,
        weekday=rhythm.weekday,
        day=rhythm.day,
        zone=zone(newsletter.time_zone),
        now=now,
    )
