"""What a work moved from state to state, for progress that costs no look at a million rows."""

from __future__ import annotations

from collections import Counter

from sqlalchemy.dialects import postgresql, sqlite

from newsletter.db.database import Work
from newsletter.deliveries.models import DeliveryState, Progress

BY_HAND = "by hand"
PLANNER = "planner"


class Moves:
    """Collects the moves of one work."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[int, str, DeliveryState]] = Counter()

    def add(self, batch_id: int, family: str, *, was: DeliveryState | None, now: DeliveryState, rows: int = 1) -> None:
        """Note that rows went from a state, or from nowhere, to another."""
        if was is not None:
            self._changes[batch_id, family, was] -= rows
        self._changes[batch_id, family, now] += rows

    def write(self, work: Work, *, sender: str) -> None:
        """Add them to this sender's counts."""
        lines: dict[tuple[int, str], dict[str, object]] = {}
        for (batch_id, family, state), rows in self._changes.items():
            if rows:
                line = lines.setdefault((batch_id, family), {each.value: 0 for each in DeliveryState})
                line[state.value] = rows
        self._changes.clear()
        if not lines:
            return
        insert = (sqlite if work.is_sqlite else postgresql).insert(Progress)
        added = {
            state.value: getattr(Progress, state.value) + getattr(insert.excluded, state.value)
            for state in DeliveryState
        }
        statement = insert.on_conflict_do_update(
            index_elements=[Progress.batch_id, Progress.sender, Progress.family], set_=added
        )
        for (batch_id, family), line in sorted(lines.items()):
            work.session.execute(statement, {"batch_id": batch_id, "sender": sender, "family": family, **line})
