"""What follows from a verdict or a crash: pure rules of the ledger (RFC 5321 section 4.5.4)."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from newsletter.deliveries.models import DeliveryState
from newsletter.mail.port import Outcome, Verdict

InDoubt = Literal["resend", "hold"]
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=4)
JITTER = 0.2
DOUBTFUL_VERDICTS = 2
DOUBTFUL_CRASHES = 3
CANCELLED = "cancelled in flight"
# Refusals that say something about the address: the same mail would be refused again.
ABOUT_THE_ADDRESS = ("mailbox_unknown", "domain_unknown", "address_syntax", "address_refused", "mailbox_disabled")


@dataclass(frozen=True, slots=True)
class Step:
    """Where a row goes from `sending`."""

    state: DeliveryState
    reason: str | None = None
    next_attempt_at: datetime | None = None
    is_doubt: bool = False
    is_possible_copy: bool = False
    spends_attempt: bool = True


def after_verdict(
    verdict: Verdict, *, now: datetime, give_up_at: datetime, attempts: int, doubts: int, in_doubt: InDoubt
) -> Step:
    """Return what a verdict makes of a row that was tried `attempts` times, this time included."""
    match verdict.outcome:
        case Outcome.ACCEPTED:
            return Step(DeliveryState.ACCEPTED)
        case Outcome.FAILED:
            return ended(DeliveryState.FAILED, verdict.reason, doubts=doubts)
        case Outcome.STOP:
            return Step(DeliveryState.PENDING, spends_attempt=False)
        case Outcome.UNCERTAIN:
            return after_doubt(doubts=doubts + 1, most=DOUBTFUL_VERDICTS, in_doubt=in_doubt, reason=verdict.reason)
        case Outcome.DEFERRED:
            again = now + retry_after(attempts)
            if again > give_up_at:
                return ended(DeliveryState.FAILED, f"gave up: {verdict.reason}"[:60], doubts=doubts)
            return Step(DeliveryState.DEFERRED, verdict.reason, next_attempt_at=again)


def ended(state: DeliveryState, reason: str, *, doubts: int) -> Step:
    """Return how a row ends that was not accepted.

    One that may have left before is uncertain: as failed, skipped or cancelled it would be planned anew, and its
    reader could get the same articles under two Message-IDs.
    """
    return Step(DeliveryState.UNCERTAIN if doubts else state, reason)


def in_cancelled_batch(step: Step, *, doubts: int) -> Step:
    """Return where a row of a cancelled batch goes instead of being tried again."""
    if step.state in {DeliveryState.PENDING, DeliveryState.DEFERRED}:
        end = ended(DeliveryState.CANCELLED, CANCELLED, doubts=doubts + int(step.is_doubt))
        return replace(step, state=end.state, reason=end.reason, next_attempt_at=None, is_possible_copy=False)
    return step


def after_doubt(*, doubts: int, most: int, in_doubt: InDoubt, reason: str) -> Step:
    """Return what becomes of a row that may have left: again under the same Message-ID, or kept for a person."""
    if in_doubt == "resend" and doubts < most:
        return Step(DeliveryState.PENDING, is_doubt=True, is_possible_copy=True)
    return Step(DeliveryState.UNCERTAIN, reason, is_doubt=True)


def retry_after(attempts: int) -> timedelta:
    """Return the wait before the next try: five minutes, doubling to four hours, spread a little."""
    step = min(FIRST_RETRY * (1 << max(attempts - 1, 0)), LONGEST_RETRY)
    return step * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (spreads load, guards nothing)
