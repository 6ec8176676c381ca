"""What a work moved from state to state, for progress that costs no look at a million rows."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import text

from newsletter.db.database import Work
from newsletter.deliveries.models import DeliveryState

BY_HAND = "by hand"
PLANNER = "planner"
_STATES = [state.value for state in DeliveryState]
_ADD = text(
    f"INSERT INTO progress (batch_id, sender, family, {', '.join(_STATES)}) "  # noqa: S608 (words of our own)
    f"VALUES (:batch_id, :sender, :family, {', '.join(f':{state}' for state in _STATES)}) "
    "ON CONFLICT (batch_id, sender, family) DO UPDATE SET "
    + ", ".join(f"{state} = progress.{state} + excluded.{state}" for state in _STATES)
)


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
                line = lines.setdefault((batch_id, family), dict.fromkeys(_STATES, 0))
                line[state.value] = rows
        self._changes.clear()
        if not lines:
            return
        # In one order everywhere, so that two works never wait for each other crosswise.
        for (batch_id, family), line in sorted(lines.items()):
            work.session.execute(_ADD, {"batch_id": batch_id, "sender": sender, "family": family, **line})
