"""What a lane must answer: the rules of its batches, written one floor above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from newsletter.db.database import Work
from newsletter.deliveries.models import DeliveryState
from newsletter.mail.port import Message


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this sender holds and is about to send."""

    id: int
    batch_id: int
    subscriber_id: int
    subscription_id: int | None
    content_id: int | None
    occasion: int
    family: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A row whose outcome was written just now."""

    row: Claimed
    state: DeliveryState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Uncomposable:
    """A row that no mail could be made for; it fails alone, with this reason."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A row whose person must no longer get it, and why; it is skipped."""

    id: int
    reason: str


class Lane(Protocol):
    """The rules of one kind of batch; every call is set-based and inside the sender's work."""

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
        """Return the mail of each row, or why there is none."""
        ...

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        """Do what follows from these results; a row that waits to be sent again is one, too."""
        ...
