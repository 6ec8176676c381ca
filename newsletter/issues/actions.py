"""Opening, releasing, holding, cancelling and finishing issues; taking an article out of what has not left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from newsletter.articles import actions as article_actions
from newsletter.articles import queries as article_queries
from newsletter.base.clock import zone
from newsletter.base.errors import Conflict
from newsletter.db.database import Work
from newsletter.deliveries import deciding, resending
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.counting import BY_HAND, Moves
from newsletter.deliveries.models import Batch, BatchState, LaneName
from newsletter.deliveries.policy import CANCELLED
from newsletter.deliveries.resending import Which
from newsletter.issues import planning, queries, schedule
from newsletter.issues.digest import Chosen
from newsletter.issues.models import Edition, Issue, IssueState
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm

DIGEST_PATIENCE = timedelta(days=3)
IMMEDIATE_PATIENCE = timedelta(hours=24)
LATE = "late"
SUPERSEDED = "superseded"
WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Slot:
    """The planned moment of an issue, and the name by which the database keeps it unique."""

    name: str
    at: datetime


def open_due(work: Work, *, newsletter: Newsletter, rhythm: Rhythm) -> Issue | None:
    """Open the issue of the latest slot that has come, and release it; None if there is nothing to open.

    Only the latest missed slot opens, and one that is too late is held for a person. Issues still waiting for an
    earlier slot are cancelled: their articles are in this one. Safe to repeat and at once.
    """
    slot = _due_slot(work, newsletter, rhythm)
    if slot is None or queries.of_slot(work, newsletter_id=newsletter.id, frequency=rhythm.frequency, slot=slot.name):
        return None
    issue = _open(work, newsletter, rhythm.frequency, slot)
    if issue is None:
        return None
    for earlier in queries.waiting(work, newsletter_id=newsletter.id, frequency=rhythm.frequency):
        if earlier.id != issue.id:
            cancel(work, issue=earlier, reason=SUPERSEDED)
    if work.now - slot.at > timedelta(seconds=newsletter.late_after):
        issue.step(IssueState.HELD, reason=LATE)
    else:
        issue.step(IssueState.SUBMITTED)
        issue.step(IssueState.APPROVED)
        release(work, issue=issue)
    return issue


def release(work: Work, *, issue: Issue) -> None:
    """Freeze the cut and let planning begin.

    :raises Conflict: unless the issue is approved or held
    """
    if issue.state is IssueState.HELD:
        issue.step(IssueState.APPROVED)
    issue.step(IssueState.PLANNING)
    issue.cut = newsletter_queries.current_sequence(work)
    issue.plan_to = queries.last_subscription(work)


def pause(work: Work, *, issue: Issue) -> None:
    """Let no further window of an issue leave.

    :raises Conflict: unless it is being sent
    """
    issue.step(IssueState.PAUSED)
    ledger.batch(work, issue.batch_id).state = BatchState.PAUSED


def resume(work: Work, *, issue: Issue) -> None:
    """Go on sending.

    :raises Conflict: unless it is paused
    """
    issue.step(IssueState.SENDING)
    ledger.batch(work, issue.batch_id).state = BatchState.OPEN


def cancel(work: Work, *, issue: Issue, reason: str) -> None:
    """End an issue: what is not on its way is cancelled, and its articles are in the next mail.

    :raises Conflict: if it is over
    """
    issue.step(IssueState.CANCELLED, reason=reason)
    issue.finished_at = work.now
    ledger.batch(work, issue.batch_id).state = BatchState.CANCELLED
    cancel_more(work, issue=issue)


def cancel_more(work: Work, *, issue: Issue) -> bool:
    """Cancel the next rows of a cancelled issue; False if there are no more. Each work holds the lock shortly."""
    moves = Moves()
    reason = issue.reason or CANCELLED
    queries.raise_watermarks(work, deciding.cancel_open(work, batch_id=issue.batch_id, reason=reason, moves=moves))
    moves.write(work, sender=BY_HAND)
    return deciding.cancellable(work, batch_id=issue.batch_id)


def resend(work: Work, *, issue: Issue, which: Which) -> int:
    """Send mails of an issue again that failed or are uncertain; returns how many, 0 when there are no more.

    :raises Conflict: if the issue is not being sent and never was
    """
    if issue.state not in {IssueState.SENDING, IssueState.PAUSED, IssueState.FINISHED}:
        raise Conflict(f"an issue that is {issue.state} has nothing to send again")
    moves = Moves()
    count = resending.resend(work, batch_id=issue.batch_id, which=which, moves=moves)
    moves.write(work, sender=BY_HAND)
    if count and issue.state is IssueState.FINISHED:
        issue.step(IssueState.SENDING)
        issue.finished_at = None
    return count


def finish(work: Work, *, issue_id: int) -> bool:
    """Finish an issue that has no open row left: computed, never set because nothing could be claimed."""
    issue = queries.issue(work, issue_id, lock=True)
    if issue.state is not IssueState.SENDING or ledger.ledger(work, issue.batch_id).open:
        return False
    issue.step(IssueState.FINISHED)
    issue.finished_at = work.now
    return True


def withdraw(work: Work, *, article_id: int) -> None:
    """Take an article back, also out of every mail that is planned and not yet on its way. Safe to repeat."""
    for issue_id in queries.in_state(work, IssueState.PLANNING):
        queries.issue(work, issue_id, lock=True)  # a planner in mid-slice must not add it behind our back
    article_actions.withdraw(work, article=article_queries.article(work, article_id))
    for edition in queries.unsent_editions_with(work, article_id):
        _replace(work, edition, without={article_id})


def mend(work: Work, *, edition_ids: Collection[int]) -> None:
    """Take out of mails that were on their way and came back what was withdrawn meanwhile. Safe to repeat."""
    for edition_id, article_ids in queries.withdrawn_in(work, edition_ids).items():
        _replace(work, queries.edition(work, edition_id), without=article_ids)


def _replace(work: Work, edition: Edition, *, without: Collection[int]) -> None:
    """Give the readers of an edition who were not served yet the same one less some articles, or skip them."""
    issue = queries.issue(work, edition.issue_id, lock=True)
    rest = [Chosen(each.topic_id, each.article_id) for each in edition.articles if each.article_id not in without]
    replacement = None
    if rest:
        replacement = planning.find_edition(
            work,
            issue,
            language=edition.language,
            form=edition.form,
            chosen=rest,
            versions={each.article_id: each.version for each in edition.articles},
            known=queries.editions(work, issue.id),
        )
        deciding.move_waiting(work, batch_id=issue.batch_id, content_id=edition.id, to_content_id=replacement)
    queries.give_cohorts(work, edition_id=edition.id, to_edition_id=replacement)
    # Left are those with nothing else in it, and those that may have left: they go again as they were, or not at all.
    moves = Moves()
    uncertain = deciding.skip_waiting(
        work, batch_id=issue.batch_id, content_id=edition.id, reason=WITHDRAWN, moves=moves
    )
    moves.write(work, sender=BY_HAND)
    queries.raise_watermarks(work, uncertain)


def _due_slot(work: Work, newsletter: Newsletter, rhythm: Rhythm) -> Slot | None:
    if rhythm.frequency is Frequency.IMMEDIATE:
        cut = newsletter_queries.current_sequence(work)
        above = queries.last_cut(work, newsletter_id=newsletter.id, frequency=rhythm.frequency)
        has_news = queries.has_news(work, newsletter_id=newsletter.id, above=above, cut=cut)
        return Slot(f"cut {cut}", work.now) if has_news else None
    at = schedule.latest_slot(
        rhythm.frequency,
        at=rhythm.at,
        weekday=rhythm.weekday,
        day=rhythm.day,
        zone=zone(newsletter.time_zone),
        now=work.now,
    )
    return Slot(at.strftime("%Y-%m-%dT%H:%MZ"), at) if at > rhythm.since else None


def _open(work: Work, newsletter: Newsletter, frequency: Frequency, slot: Slot) -> Issue | None:
    """Open the issue of a slot; None if somebody else did it at this very moment."""
    patience = IMMEDIATE_PATIENCE if frequency is Frequency.IMMEDIATE else DIGEST_PATIENCE
    batch = Batch(lane=LaneName.DIGEST, patience=int(patience.total_seconds()), created_at=work.now)
    issue = Issue(
        newsletter_id=newsletter.id,
        frequency=frequency,
        slot=slot.name,
        slot_at=slot.at,
        state=IssueState.DRAFT,
        created_at=work.now,
    )
    try:
        with work.session.begin_nested():
            work.session.add(batch)
            work.session.flush()
            issue.batch_id = batch.id
            work.session.add(issue)
    except IntegrityError:
        return None
    return issue
