"""Planning: from the frozen cut to one delivery per reader who has something new, slice by slice, resumable.

Each slice is one snapshot work that holds the issue's row: planners that run at once take turns, and one that
dies loses nothing but its slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from sqlalchemy.exc import DBAPIError

from newsletter.db.database import Database, Work
from newsletter.deliveries import queries as ledger
from newsletter.deliveries import steps
from newsletter.deliveries.counting import PLANNER, Moves
from newsletter.issues import digest, queries
from newsletter.issues import readers as reader_queries
from newsletter.issues.digest import Candidate, Chosen, Reader
from newsletter.issues.models import Cohort, Edition, EditionArticle, Issue, IssueState
from newsletter.newsletters import queries as newsletter_queries
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.models import Choice, Form

SLICE = 20_000
SLOT_PASSED = "slot passed"
TRIES = 3


def plan(database: Database, issue_id: int, *, size: int = SLICE) -> None:
    """Plan an issue to its end. Safe to repeat, at once, and after a crash."""
    in_vain, stood_at = 0, None
    while True:
        try:
            if not database.in_snapshot(lambda work: plan_slice(work, issue_id, size=size)):
                return
        except DBAPIError:
            # Planners that run at once take a slice from each other, or a reader from another issue: whoever comes
            # too late looks again, as long as somebody gets on.
            stands_at = _stands_at(database, issue_id)
            in_vain, stood_at = in_vain + 1 if stands_at == stood_at else 1, stands_at
            if in_vain == TRIES:
                raise


def _stands_at(database: Database, issue_id: int) -> int:
    with database.reading() as work:
        return queries.issue(work, issue_id).planned_to


def plan_slice(work: Work, issue_id: int, *, size: int = SLICE) -> bool:
    """Plan the next slice of readers; False when the issue is planned."""
    issue = queries.issue(work, issue_id, lock=True)
    if issue.state is not IssueState.PLANNING:
        return False
    readers = reader_queries.next_slice(work, issue, size=size)
    if readers is None:
        _close(work, issue)
        return False
    moves = Moves()
    uncertain = steps.expire_deferred(
        work,
        subscriptions=reader_queries.subscriptions_in(work, readers),
        keep_batch=issue.batch_id,
        reason=SLOT_PASSED,
        moves=moves,
    )
    queries.raise_watermarks(work, uncertain)
    issue.audience += reader_queries.count_audience(work, readers)
    reader_queries.skip_readers(work, readers, moves=moves)
    _Planner(work, readers).run(moves)
    issue.planned_to = readers.high
    work.session.flush()
    moves.write(work, sender=PLANNER)
    return True


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
    fingerprint = _fingerprint(language, form, chosen, versions)
    if fingerprint in known:
        return known[fingerprint]
    edition = Edition(
        issue_id=issue.id,
        language=language,
        form=form,
        fingerprint=fingerprint,
        articles=[
            EditionArticle(
                position=place, article_id=each.article_id, topic_id=each.topic_id, version=versions[each.article_id]
            )
            for place, each in enumerate(chosen, 1)
        ],
    )
    work.session.add(edition)
    work.session.flush()
    known[fingerprint] = edition.id
    return edition.id


def _close(work: Work, issue: Issue) -> None:
    """Go on to sending; an issue with nothing for anyone is empty, one with only skipped readers is finished."""
    rows = ledger.ledger(work, issue.batch_id)
    if rows.open:
        issue.step(IssueState.SENDING)
        return
    issue.step(IssueState.FINISHED if rows.rows else IssueState.EMPTY)
    issue.finished_at = work.now


class _Planner:
    """Plans the readers of one slice who can be written to.

    Each slice chooses anew, also for cohorts that an earlier slice met: articles may have been withdrawn, reinstated
    or paired since, and no reader shall pay for the slice he happens to be in.
    """

    def __init__(self, work: Work, readers: reader_queries.Slice) -> None:
        self.work = work
        self.readers = readers
        self.issue = readers.issue
        self.cut = readers.issue.cut or 0
        self.topic_order = {topic.id: topic.position for topic in newsletter_queries.topics(work).values()}
        self.cohorts = reader_queries.cohorts(work, self.issue.id)
        self.editions = queries.editions(work, self.issue.id)
        self.versions: Mapping[int, int] = {}
        self.groups: dict[int, list[Candidate]] = {}

    def run(self, moves: Moves) -> None:
        lowest = self._lowest_watermark()
        self.groups = reader_queries.candidates(
            self.work, newsletter_id=self.issue.newsletter_id, above=lowest, cut=self.cut
        )
        self.versions = reader_queries.versions(
            self.work, {row.article_id for rows in self.groups.values() for row in rows}
        )
        checked = [group_id for group_id, rows in self.groups.items() if digest.is_checked(rows)]
        counted = reader_queries.cohort_keys(self.work, self.readers, checked=checked)
        choices = subscription_queries.choices(self.work, {key.choice_id for key, _ in counted})
        for key, count in counted:
            cohort = self.cohorts.get(key) or self._add_cohort(key)
            cohort.edition_id = self._edition_for(key, choices[key.choice_id])
            if cohort.edition_id is None:
                cohort.nothing_new += count
        self.work.session.flush()
        reader_queries.insert_deliveries(self.work, self.readers, checked=checked, moves=moves)

    def _lowest_watermark(self) -> int:
        lowest = reader_queries.lowest_watermark(self.work, self.readers)
        return self.cut if lowest is None else lowest

    def _add_cohort(self, key: reader_queries.CohortKey) -> Cohort:
        cohort = Cohort(
            issue_id=self.issue.id, choice_id=key.choice_id, watermark=key.watermark, held=key.held, nothing_new=0
        )
        self.work.session.add(cohort)
        self.cohorts[key] = cohort
        return cohort

    def _edition_for(self, key: reader_queries.CohortKey, choice: Choice) -> int | None:
        """Return the edition that readers with this in common get; None if there is nothing new for them."""
        reader = Reader(
            languages=tuple(choice.languages_since),
            topics=tuple(choice.topics_since),
            watermark=key.watermark,
            held=frozenset(int(group) for group in key.held.split(",") if group),
        )
        newer = {
            group: rows for group, rows in self.groups.items() if any(row.sequence > key.watermark for row in rows)
        }
        chosen = digest.choose(newer, reader, cut=self.cut, topic_order=self.topic_order)
        if not chosen:
            return None
        return find_edition(
            self.work,
            self.issue,
            language=choice.language_codes[0],
            form=choice.form,
            chosen=chosen,
            versions=self.versions,
            known=self.editions,
        )


def _fingerprint(language: str, form: Form, chosen: Sequence[Chosen], versions: Mapping[int, int]) -> str:
    content = " ".join(f"{each.topic_id}:{each.article_id}.{versions[each.article_id]}" for each in chosen)
    return sha256(f"{language} {form} {content}".encode()).hexdigest()
