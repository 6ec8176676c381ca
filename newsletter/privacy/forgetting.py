"""Applying the rules of retention, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from newsletter.base.errors import Unavailable
from newsletter.db.database import Database
from newsletter.privacy.retention import Rule, rules

Progress = Callable[[str], None]
TRIES = 3


def _quiet(_: str) -> None:
    pass


def forget(database: Database, *, dry_run: bool = False, progress: Progress = _quiet) -> dict[str, int]:
    """Forget what has been kept long enough; return how many rows of each kind. Safe to repeat, at once, and to stop.

    Each work deals with one slice; `progress` is told between works, and may stop it by raising. With `dry_run` it
    only counts.
    """
    return {
        rule.name: _count(database, rule) if dry_run else _apply(database, rule, progress=progress) for rule in rules()
    }


def _count(database: Database, rule: Rule) -> int:
    with database.reading() as work:
        return rule.count(work)


def _apply(database: Database, rule: Rule, *, progress: Progress) -> int:
    done, after = 0, None
    while True:
        with database.reading() as work:
            keys = rule.due(work, after)
        if not keys:
            return done
        progress(f"forgetting {rule.name.replace('_', ' ')}")
        done += _do(database, rule, keys)
        after = keys[-1]


def _do(database: Database, rule: Rule, keys: Sequence[Any]) -> int:
    """Deal with a slice; once more where another work and this one waited for each other."""
    for attempt in range(1, TRIES + 1):
        try:
            with database.work() as work:
                return rule.do(work, keys)
        except Unavailable:
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")
