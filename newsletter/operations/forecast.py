"""What a run would do at this moment, found by planning in works that are rolled back: nothing is kept or sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from newsletter.base.clock import zone
from newsletter.db.database import Database, Work
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import Batch, LaneName
from newsletter.issues import actions, gathering, planning, schedule
from newsletter.issues.books import NOTHING_NEW
from newsletter.issues.choosing import Remembered
from newsletter.issues.models import Issue, IssueState
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm
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


@dataclass(frozen=True, slots=True)
class _Look:
    """What one slice of a rhythm's readers brings, counted by language and reason (None: a mail).

    `planned_to` is the last subscription of the slice, or None when there was no further one.
    """

    forecast: Forecast
    counts: Counter[tuple[str, str | None]]
    planned_to: int | None


def forecast(database: Database) -> list[Forecast]:
    """Count, for each rhythm, who would get a mail now. Nobody waits longer for it than for a plan."""
    with database.reading() as work:
        rhythms = [
            (newsletter.id, rhythm.id)
            for newsletter in newsletter_queries.all_newsletters(work)
            for rhythm in newsletter.rhythms
        ]
    return [_of_rhythm(database, newsletter_id=first, rhythm_id=second) for first, second in rhythms]


def _of_rhythm(database: Database, *, newsletter_id: int, rhythm_id: int) -> Forecast:
    """Prepare slice after slice, each in a work of its own that opens the issue anew: none needs what another wrote."""
    look_at = partial(_look, newsletter_id=newsletter_id, rhythm_id=rhythm_id, remembered=Remembered())
    first = look = database.in_snapshot(partial(look_at, after=0))
    counts = Counter(first.counts)
    while look.planned_to is not None:
        planning.leave_lock_free(database)
        look = database.in_snapshot(partial(look_at, after=look.planned_to))
        counts += look.counts
    lines = {line.language: line for line in first.forecast.languages}
    for (language, reason), readers in counts.items():
        line = lines.setdefault(language, LanguageForecast(language))
        if reason is None:
            line.would_get += readers
        else:
            line.passed_over[reason] = line.passed_over.get(reason, 0) + readers
    return replace(first.forecast, languages=list(lines.values()))


def _look(work: Work, *, newsletter_id: int, rhythm_id: int, after: int, remembered: Remembered) -> _Look:
    newsletter = newsletter_queries.by_id(work, newsletter_id)
    rhythm = next(each for each in newsletter.rhythms if each.id == rhythm_id)
    due = actions.open_due(work, newsletter=newsletter, rhythm=rhythm)
    issue = due or _imagined(work, newsletter, rhythm)
    is_late = issue.state is IssueState.HELD
    if issue.state is not IssueState.PLANNING:
        actions.release(work, issue=issue)
    issue.planned_to = after
    work.session.flush()
    prepared = planning.prepare_slice(work, issue, size=None, remembered=remembered, moves=Moves())
    found = Forecast(
        newsletter=newsletter.slug,
        time_zone=newsletter.time_zone,
        frequency=rhythm.frequency,
        is_due=due is not None,
        is_late=is_late,
        slot=issue.slot_at if due else None,
        next_slot=_next_slot(newsletter, rhythm, work.now),
        languages=[LanguageForecast(code) for code in newsletter.languages],
    )
    counts = Counter() if prepared is None else _by_language(work, prepared)
    work.session.rollback()
    return _Look(found, counts, None if prepared is None else prepared.readers.high)


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


def _by_language(work: Work, prepared: planning.Prepared) -> Counter[tuple[str, str | None]]:
    skipped = gathering.skipped_by_choice(work)
    wanted = {line.key.choice_id for line, _ in prepared.chosen} | {row.choice_id for row in skipped}
    spoken = {number: choice.language_codes[0] for number, choice in subscription_queries.choices(work, wanted).items()}
    counts: Counter[tuple[str, str | None]] = Counter()
    for line, has_edition in prepared.chosen:
        counts[spoken[line.key.choice_id], None if has_edition else NOTHING_NEW] += line.readers
    for row in skipped:
        counts[spoken[row.choice_id], row.reason] += row.readers
    return counts


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
