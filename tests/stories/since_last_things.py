"""What the rules of “since last” speak of: articles, readers, issues, mails, as plainly as can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

OPEN = ("pending", "sending", "deferred")
GIVEN = ("accepted", "uncertain")
LATE_AFTER = timedelta(hours=6)
LEASE = timedelta(seconds=60)
PATIENCE = {"immediate": timedelta(hours=24)} | dict.fromkeys(("daily", "weekly", "monthly"), timedelta(days=3))
UNDO_FOR = timedelta(minutes=30)
MOVES_A_DAY = 3
UNCONFIRMED_FOR = timedelta(days=7)
FREQUENCIES = ("immediate", "daily", "weekly", "monthly")


@dataclass(eq=False)
class Article:
    id: int
    url: str
    language: str
    group: int
    dated: datetime
    withdrawn: bool = False


@dataclass(frozen=True)
class Row:
    """From this number and moment on, this article can be given under this topic."""

    sequence: int
    at: datetime
    article: Article
    topic: int
    carried: bool


@dataclass(eq=False)
class Reader:
    """One subscription; `continues` is the one that an undo took up again."""

    id: int
    person: int
    frequency: str
    languages: list[tuple[str, int]]
    topics: dict[int, int]
    signed_up_at: datetime
    state: str = "pending"
    watermark: int | None = None
    changed: bool = False
    paused_until: datetime | None = None
    catches_up: bool = True
    form: str = "digest"
    left_at: datetime | None = None
    continues: Reader | None = None

    @property
    def origin(self) -> int:
        """The number of the first of the subscriptions that continue each other."""
        return self.continues.origin if self.continues else self.id

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now


@dataclass(eq=False)
class Issue:
    frequency: str
    slot: str
    state: str
    cut: int | None = None
    plan_to: int | None = None
    planned_to: int = 0
    audience: int = 0
    nothing_new: int = 0
    mails: dict[int, Mail] = field(default_factory=dict)

    @property
    def may_leave(self) -> bool:
        return self.state in {"planning", "sending"}

    @property
    def is_open(self) -> bool:
        return any(mail.state in OPEN for mail in self.mails.values())


@dataclass(eq=False)
class Mail:
    """The row of one reader in one issue."""

    issue: Issue
    reader: Reader
    created: datetime
    state: str
    reason: str | None = None
    articles: list[tuple[int, Article]] = field(default_factory=list)
    form: str = "digest"
    attempts: int = 0
    doubts: int = 0
    copies: int = 0
    again: tuple[datetime, datetime] | None = None  # the earliest and the latest moment of the next try
    may_have_given_up: bool = False
    line: object = None
    lease_until: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self.state == "pending" or (self.state == "deferred" and self.again is not None and self.again[0] <= now)

    def is_abandoned(self, now: datetime) -> bool:
        return self.state == "sending" and self.lease_until is not None and self.lease_until <= now


def latest_slot(frequency: str, now: datetime) -> datetime:
    """Return the latest slot: every day, every Monday or every first of a month, at eight.

    Casablanca has UTC's time.
    """
    if frequency == "monthly":
        first = datetime.combine(now.date().replace(day=1), time(8), UTC)
        return first if first <= now else (first - timedelta(days=1)).replace(day=1)
    days = now.weekday() if frequency == "weekly" else 0
    slot = datetime.combine(now.date(), time(8), UTC) - timedelta(days=days)
    return slot if slot <= now else slot - timedelta(days=7 if frequency == "weekly" else 1)
