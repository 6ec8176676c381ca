"""Planning: from the frozen cut to one delivery per reader who has something new, slice by slice, resumable.

Each slice is one snapshot work that holds the issue's row: planners that run at once take turns, and one that
dies loses nothing but its slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import sleep
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from newsletter.db.database import Database, Work
from newsletter.deliveries import deciding
from newsletter.deliveries.counting import PLANNER, Moves
from newsletter.deliveries.models import DeliveryState
from newsletter.issues import digest, gathering, queries
from newsletter.issues import readers as reader_queries
from newsletter.issues.choosing import Basis, Content, Remembered
from newsletter.issues.digest import Chosen
from newsletter.issues.models import Issue, IssueState
from newsletter.newsletters import queries as newsletter_queries
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.models import Form

SLOT_PASSED = "slot passed"
TRIES = 3

# So many readers hold SQLite's only lock for less than 100 ms.
SLICE_SQLITE = 10_000
SLICE_POSTGRESQL = 20_000
# SQLite's waiters look again after 25 ms at most in their first 128 ms, so that whoever came while a slice was written
# finds the lock free.
LOCK_FREE_SECONDS = 0.025


def plan(database: Database, issue_id: int, *, size: int | None = None) -> None:
    """Plan an issue to its end. Safe to repeat, at once, and after a crash."""
    in_vain, stood_at, slices, remembered = 0, None, 0, Remembered()
    while True:
        try:
            if not database.in_snapshot(lambda work: plan_slice(work, issue_id, size=size, remembered=remembered)):
                break
        except DBAPIError:
            # Planners that run at once take a slice from each other, or a reader from another issue: whoever comes
            # too late looks again, as long as somebody gets on.
            stands_at = _stands_at(database, issue_id)
            in_vain, stood_at = in_vain + 1 if stands_at == stood_at else 1, stands_at
            if in_vain == TRIES:
                raise
        slices += 1
        leave_lock_free(database)
    if slices > 1:
        _count_anew(database)


def leave_lock_free(database: Database) -> None:
    """Let others write who waited for the lock that a slice held."""
    if database.is_sqlite:
        sleep(LOCK_FREE_SECONDS)


def _count_anew(database: Database) -> None:
    """Tell PostgreSQL's planner how many rows there are now, before senders claim them."""
    if not database.is_sqlite:
        with database.work() as work:
            work.session.execute(text("ANALYZE delivery"))


def _stands_at(database: Database, issue_id: int) -> int:
    with database.reading() as work:
        return queries.issue(work, issue_id).planned_to


def plan_slice(work: Work, issue_id: int, *, size: int | None = None, remembered: Remembered | None = None) -> bool:
    """Plan the next slice of readers; False when the issue is planned."""
    issue = queries.issue(work, issue_id, lock=True)
    if issue.state is not IssueState.PLANNING:
        return False
    moves = Moves()
    prepared = prepare_slice(work, issue, size=size, remembered=remembered or Remembered(), moves=moves)
    if prepared is None:
        _close(work, issue)
        return False
    reader_queries.skip_readers(work, prepared.readers, moves=moves)
    reader_queries.insert_deliveries(work, prepared.readers, checked=prepared.checked)
    prepared.note_pending(issue.batch_id, moves)
    moves.write(work, sender=PLANNER)
    return True


def prepare_slice(
    work: Work, issue: Issue, *, size: int | None, remembered: Remembered, moves: Moves
) -> Prepared | None:
    """Gather the next slice of readers and choose for each of its cohorts; None when the issue is planned."""
    readers = gathering.next_slice(work, issue, size=size or (SLICE_SQLITE if work.is_sqlite else SLICE_POSTGRESQL))
    if readers is None:
        return None
    gathering.end_pauses_in(work, readers)
    if gathering.any_deferred(work, issue):
        uncertain = deciding.expire_deferred(
            work,
            subscriptions=gathering.subscriptions_in(readers),
            keep_batch=issue.batch_id,
            reason=SLOT_PASSED,
            moves=moves,
        )
        queries.raise_watermarks(work, uncertain)
    found = gathering.gather(work, readers)
    prepared = _Planner(work, readers, remembered).run(found)
    issue.audience += found.audience
    issue.planned_to = readers.high
    work.session.flush()
    return prepared


@dataclass(frozen=True, slots=True)
class Prepared:
    """A slice whose cohorts have their editions; `chosen` says for each cohort whether there is one for it."""

    readers: gathering.Slice
    checked: Sequence[int]
    chosen: Sequence[tuple[reader_queries.CohortCount, bool]]

    def note_pending(self, batch_id: int, moves: Moves) -> None:
        """Count by family who gets a mail."""
        families: Counter[str] = sum((line.families for line, has_edition in self.chosen if has_edition), Counter())
        for family, count in families.items():
            moves.add(batch_id, family, was=None, now=DeliveryState.PENDING, rows=count)


def find_edition(
    work: Work,
    issue: Issue,
    *,
    language: str,
    form: Form,
    chosen: Sequence[Chosen],
    versions: Mapping[int, int],
    known: dict[str, int],
) -> int:
    """Return the edition of an issue with exactly this content, made now and added to the `known` if there is none."""
    content = Content.of(language, form, chosen, versions)
    if content.fingerprint not in known:
        known |= reader_queries.add_editions(work, issue.id, [content])
    return known[content.fingerprint]


def _close(work: Work, issue: Issue) -> None:
    """Go on to sending; an issue with nothing for anyone is empty, one with only skipped readers is finished."""
    if reader_queries.has_rows(work, issue, only_open=True):
        issue.step(IssueState.SENDING)
        return
    issue.step(IssueState.FINISHED if reader_queries.has_rows(work, issue) else IssueState.EMPTY)
    issue.finished_at = work.now


class _Planner:
    """Chooses for the readers of one slice who can be written to."""

    def __init__(self, work: Work, readers: gathering.Slice, remembered: Remembered) -> None:
        self.work = work
        self.readers = readers
        self.issue = readers.issue
        self.remembered = remembered

    def run(self, found: gathering.Gathered) -> Prepared:
        basis = self._basis(found)
        self.remembered.choose_from(basis)
        checked = [group_id for group_id, rows in basis.groups.items() if digest.is_checked(rows)]
        lines = reader_queries.cohort_keys(self.work, self.readers, checked=checked)
        unknown = {line.key.choice_id for line in lines if not self.remembered.knows(line.key)}
        choices = subscription_queries.choices(self.work, unknown) if unknown else {}
        wanted = [(line, self.remembered.content(line.key, choices)) for line in lines]
        editions = self._editions(wanted)
        reader_queries.write_cohorts(
            self.work,
            new=[self._cohort(line, content, editions) for line, content in wanted if line.id is None],
            changed=[
                self._cohort(line, content, editions)
                for line, content in wanted
                if line.id is not None and (content is None or content.fingerprint != line.fingerprint)
            ],
        )
        return Prepared(self.readers, checked, [(line, content is not None) for line, content in wanted])

    def _basis(self, found: gathering.Gathered) -> Basis:
        cut = self.issue.cut or 0
        above = cut if found.lowest_watermark is None else found.lowest_watermark
        topics = newsletter_queries.topics(self.work).values()
        groups = reader_queries.candidates(self.work, newsletter_id=self.issue.newsletter_id, above=above, cut=cut)
        return Basis(
            above=above,
            cut=cut,
            topic_order={each.id: each.position for each in topics if each.newsletter_id == self.issue.newsletter_id},
            groups=groups,
            versions=reader_queries.versions(self.work, {row.article_id for rows in groups.values() for row in rows}),
        )

    def _editions(self, wanted: Sequence[tuple[reader_queries.CohortCount, Content | None]]) -> Mapping[str, int]:
        """Return the editions by their fingerprint, the missing ones made now."""
        needed = {
            content.fingerprint: content
            for line, content in wanted
            if content is not None and content.fingerprint != line.fingerprint
        }
        if not needed:
            return {}
        known = queries.editions(self.work, self.issue.id)
        missing = [content for fingerprint, content in needed.items() if fingerprint not in known]
        return known | reader_queries.add_editions(self.work, self.issue.id, missing)

    def _cohort(
        self, line: reader_queries.CohortCount, content: Content | None, editions: Mapping[str, int]
    ) -> dict[str, Any]:
        values = {
            "edition_id": None if content is None else editions[content.fingerprint],
            "nothing_new": line.nothing_new + (line.readers if content is None else 0),
        }
        if line.id is not None:
            return {"id": line.id, **values}
        key = line.key
        return {
            "issue_id": self.issue.id,
            "choice_id": key.choice_id,
            "watermark": key.watermark,
            "held": key.held,
            **values,
        }
