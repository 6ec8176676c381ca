"""An issue that goes wrong pauses itself, once, and waits for a person."""

from __future__ import annotations

from collections.abc import Sequence

from newsletter.db.database import Work
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.lanes import Settled
from newsletter.deliveries.models import OPEN_STATES, BatchState, DeliveryState
from newsletter.deliveries.policy import ABOUT_THE_ADDRESS
from newsletter.issues import queries
from newsletter.issues.models import IssueState

POLICY = ("policy",)  # our mail is refused for what it is: RELIABILITY says whose fault that is
MOST_POLICY = 0.02  # of the issue's mails
MOST_HARD, FIRST = 0.05, 500  # of its first results
FEWEST = 3  # so many at least: one refusal among ten readers says little


def brake(work: Work, results: Sequence[Settled]) -> None:
    """Pause an issue whose mail is refused too often, for what it is or for whom it goes to."""
    refused = {each.reason for each in results if each.state is DeliveryState.FAILED}
    if not refused.intersection(POLICY + ABOUT_THE_ADDRESS):
        return
    issue = queries.of_batch(work, results[0].row.batch_id)
    if issue is None or issue.braked_at is not None or issue.state is not IssueState.SENDING:
        return
    failed = ledger.failed(work, issue.batch_id)
    mails, over = _counted(work, issue.batch_id)
    policy, hard = (sum(failed.get(reason, 0) for reason in reasons) for reasons in (POLICY, ABOUT_THE_ADDRESS))
    if policy >= FEWEST and policy > MOST_POLICY * mails:
        cause = f"{policy} mails were refused by policy"
    elif hard >= FEWEST and over <= FIRST and hard > MOST_HARD * min(mails, FIRST):
        cause = f"{hard} of the first addresses do not exist"
    else:
        return
    issue.step(IssueState.PAUSED, reason=cause)
    issue.braked_at = work.now
    ledger.batch(work, issue.batch_id).state = BatchState.PAUSED


def _counted(work: Work, batch_id: int) -> tuple[int, int]:
    """Return how many mails an issue has, and how many are over; who gets none says nothing about them."""
    counts = ledger.progress(work, batch_id).values()
    mails = sum(rows for counted in counts for state, rows in counted.items() if state is not DeliveryState.SKIPPED)
    return mails, mails - sum(counted[state] for counted in counts for state in OPEN_STATES)
