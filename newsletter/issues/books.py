"""The books of an issue: everybody it was planned for is somewhere, and the sum says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from newsletter.db.database import Work
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.models import OPEN_STATES, DeliveryState
from newsletter.issues import queries
from newsletter.issues.models import Issue

NOTHING_NEW = "nothing new"


@dataclass(frozen=True, slots=True)
class Books:
    """audience = accepted + failed + skipped + uncertain + cancelled + open, or somebody was lost."""

    audience: int
    accepted: int
    failed: int
    skipped: int
    uncertain: int
    cancelled: int
    open: int
    possible_copies: int
    reasons: dict[str, dict[str, int]]

    @property
    def balance(self) -> bool:
        return self.audience == (
            self.accepted + self.failed + self.skipped + self.uncertain + self.cancelled + self.open
        )

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "balance": self.balance}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an issue is, by domain family and state, as its senders counted; cheap enough to ask each second."""

    audience: int
    nothing_new: int
    families: dict[str, dict[DeliveryState, int]]

    def of(self, *states: DeliveryState) -> int:
        return sum(counted[state] for counted in self.families.values() for state in states)

    @property
    def open(self) -> int:
        return self.of(*OPEN_STATES)

    @property
    def done(self) -> int:
        return self.audience - self.open


def standing(work: Work, issue: Issue) -> Standing:
    """Read how far an issue is."""
    return Standing(issue.audience, queries.nothing_new(work, issue.id), ledger.progress(work, issue.batch_id))


def books(work: Work, issue: Issue) -> Books:
    """Read the books of an issue from its rows."""
    rows = ledger.ledger(work, issue.batch_id)
    nothing_new = queries.nothing_new(work, issue.id)
    reasons: dict[str, dict[str, int]] = {}
    for count in rows.counts:
        if count.reason:
            reasons.setdefault(str(count.state), {})[count.reason] = count.rows
    if nothing_new:
        reasons.setdefault(str(DeliveryState.SKIPPED), {})[NOTHING_NEW] = nothing_new
    return Books(
        audience=issue.audience,
        accepted=rows.of(DeliveryState.ACCEPTED),
        failed=rows.of(DeliveryState.FAILED),
        skipped=rows.of(DeliveryState.SKIPPED) + nothing_new,
        uncertain=rows.of(DeliveryState.UNCERTAIN),
        cancelled=rows.of(DeliveryState.CANCELLED),
        open=rows.of(*OPEN_STATES),
        possible_copies=rows.possible_copies,
        reasons=reasons,
    )
