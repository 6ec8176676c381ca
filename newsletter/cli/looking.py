"""What can be seen of an issue while it leaves: from its senders' counts each time, from its rows now and then."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from newsletter.cli.wording import counted, moment_text, rest_text, state_text
from newsletter.db.database import Database, Work
from newsletter.deliveries import rates
from newsletter.deliveries.models import DeliveryState
from newsletter.issues import queries
from newsletter.issues.books import Standing, standing
from newsletter.issues.models import Issue, IssueState
from newsletter.operations.queries import Refusal, possible_copies, refusals

OVER = frozenset({IssueState.FINISHED, IssueState.EMPTY, IssueState.CANCELLED})
ANSWERED = (DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.UNCERTAIN)
TROUBLED = (DeliveryState.FAILED, DeliveryState.DEFERRED, DeliveryState.UNCERTAIN)
LEAVING = (DeliveryState.PENDING, DeliveryState.SENDING)
SPAN = timedelta(seconds=10)  # over which the present speed is taken
ROWS_EVERY = timedelta(seconds=10)  # a look at a million rows takes about a second
COPIES_EVERY = timedelta(minutes=1)  # the same where nothing went wrong
MOST_REASONS = 8


class Speed:
    """How many mails a second are answered: now, and on average since the first was."""

    def __init__(self) -> None:
        self._lately: deque[tuple[datetime, int]] = deque()
        self._first: tuple[datetime, int] | None = None

    def note(self, at: datetime, answered: int) -> None:
        """Take a look; a clock that was set back begins anew."""
        if self._lately and at <= self._lately[-1][0]:
            self._lately.clear()
            self._first = None
        if self._first is None or answered == self._first[1]:
            self._first = (at, answered)
        self._lately.append((at, answered))
        while len(self._lately) > 2 and self._lately[1][0] <= at - SPAN:
            self._lately.popleft()

    @property
    def now(self) -> float | None:
        return self._since(self._lately[0]) if self._lately else None

    @property
    def on_average(self) -> float | None:
        return self._since(self._first) if self._first else None

    def _since(self, first: tuple[datetime, int]) -> float | None:
        at, answered = self._lately[-1]
        seconds = (at - first[0]).total_seconds()
        return (answered - first[1]) / seconds if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Look:
    """An issue at one moment."""

    at: datetime
    number: int
    title: str
    time_zone: str
    state: IssueState
    reason: str | None
    standing: Standing
    per_second: float | None
    on_average: float | None
    rests: Sequence[str]
    is_resting: bool
    refusals: Sequence[Refusal]
    possible_copies: int

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def state_text(self) -> str:
        return state_text(self.state, self.reason)

    @property
    def seconds_left(self) -> float | None:
        """How long what can leave now will take at the present speed; what waits for its next try is not in it."""
        leaving = self.standing.of(*LEAVING)
        return leaving / self.per_second if leaving and self.per_second else None

    @property
    def _is_idle(self) -> bool:
        return not (self.per_second or self.is_resting or self.standing.of(DeliveryState.SENDING))

    @property
    def hint(self) -> str:
        """What a person can do where the issue does not move by itself."""
        match self.state:
            case IssueState.PAUSED:
                return f"To go on: newsletter issues resume {self.number}"
            case IssueState.HELD:
                return f"To let it go: newsletter issues release {self.number}"
            case IssueState.SENDING if not (
                self.per_second or self.is_resting or self.standing.of(DeliveryState.SENDING)
            ):
                deferred = self.standing.of(DeliveryState.DEFERRED)
                waiting = f"{counted(deferred, 'mail')} put off until the next try" if deferred else "Nothing leaves"
                return f"{waiting}. To send what is due: newsletter run --due"
            case _:
                return ""

    def as_dict(self) -> dict[str, Any]:
        families = self.standing.families
        return {
            "at": self.at,
            "issue": self.number,
            "state": self.state,
            "reason": self.reason,
            "audience": self.standing.audience,
            "nothing_new": self.standing.nothing_new,
            "open": self.standing.open,
            "states": {state: self.standing.of(state) for state in DeliveryState},
            "families": {family: dict(counts) for family, counts in sorted(families.items())},
            "per_second": self.per_second,
            "per_second_on_average": self.on_average,
            "seconds_left": self.seconds_left,
            "rests": list(self.rests),
            "refusals": [asdict(each) for each in self.refusals],
            "possible_copies": self.possible_copies,
        }


@dataclass(slots=True)
class Watcher:
    """Looks at one issue again and again, and remembers what it needs for the speed."""

    database: Database
    number: int
    speed: Speed = field(default_factory=Speed)
    refusals: Sequence[Refusal] = ()
    possible_copies: int = 0
    looked_at: datetime | None = None

    def look(self) -> Look:
        """Look once.

        :raises NotFound: if there is no such issue
        """
        with self.database.reading() as work:
            issue = queries.issue(work, self.number)
            found = standing(work, issue)
            self.speed.note(work.now, found.of(*ANSWERED))
            self._look_at_rows(work, issue, found)
            time_zone = issue.newsletter.time_zone
            paces = rates.known(work)
            rests = [rest_text(each, now=work.now, time_zone=time_zone) for each in paces]
            return Look(
                at=work.now,
                number=issue.id,
                title=f"{issue.newsletter.slug} {issue.frequency} of {moment_text(issue.slot_at, time_zone)}",
                time_zone=time_zone,
                state=issue.state,
                reason=issue.reason,
                standing=found,
                per_second=self.speed.now,
                on_average=self.speed.on_average,
                rests=[text for text in rests if text],
                is_resting=any(rates.is_paused(each, work.now) for each in paces),
                refusals=self.refusals,
                possible_copies=self.possible_copies,
            )

    def _look_at_rows(self, work: Work, issue: Issue, found: Standing) -> None:
        """Read reasons and copies where there may be any, seldom: every row is looked at."""
        has_trouble = found.of(*TROUBLED) > 0
        every = ROWS_EVERY if has_trouble else COPIES_EVERY
        if self.looked_at is not None and issue.state not in OVER and abs(work.now - self.looked_at) < every:
            return
        self.refusals = refusals(work, issue.batch_id, limit=MOST_REASONS) if has_trouble else ()
        self.possible_copies = possible_copies(work, issue.batch_id)
        self.looked_at = work.now
