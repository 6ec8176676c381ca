"""Whether a row changes anything, given what is known of its address. Pure, but for the sketch of a dry run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.exchange.entries import Entry
from newsletter.subscriptions.models import SubscriptionState

NEW = 0  # the number of a subscription that has none yet


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an address and one newsletter.

    `closed` says why it takes no import; `open_id` and `since` are of its pending or active subscription (`since` None:
    nobody knows since when the person agreed); `left_at` is when the last one ended.
    """

    closed: frozenset[SuppressionReason] = frozenset()
    open_id: int | None = None
    since: datetime | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a row: one or more of three steps, or none and why."""

    inserts: bool = False
    ends: int | None = None  # the subscription that it ends
    closes: bool = False
    left_alone: str = ""


def judge(entries: Sequence[Entry], standings: Mapping[str, Standing], *, now: datetime) -> list[Verdict]:
    """Judge rows in their order, each after what the ones before it do."""
    changed: dict[str, Standing] = {}
    verdicts = []
    for entry in entries:
        standing = changed.get(entry.address_hash) or standings.get(entry.address_hash) or Standing()
        verdict = _left(entry, standing) if entry.leaves else _joined(entry, standing)
        changed[entry.address_hash] = after(entry, verdict, standing, now=now)
        verdicts.append(verdict)
    return verdicts


def after(entry: Entry, verdict: Verdict, standing: Standing, *, now: datetime) -> Standing:
    """Return what is known of an address after a verdict."""
    if verdict.closes and entry.closes:
        standing = replace(standing, closed=standing.closed | {entry.closes})
    if verdict.ends is not None:
        standing = replace(standing, open_id=None, since=None)
    if verdict.ends is not None or (verdict.inserts and entry.leaves):
        ended_at = entry.ended_at or now
        return replace(standing, left_at=max(standing.left_at or ended_at, ended_at))
    if verdict.inserts:
        return replace(standing, open_id=NEW, since=entry.consented_at)
    return standing


def _joined(entry: Entry, standing: Standing) -> Verdict:
    if standing.closed:
        return Verdict(left_alone=f"the address is closed: {_words(standing.closed)}")
    if standing.open_id is not None:
        return Verdict(left_alone="has a subscription already")
    if standing.left_at and (entry.consented_at is None or standing.left_at >= entry.consented_at):
        return Verdict(left_alone="left after this consent")
    return Verdict(inserts=True)


def _left(entry: Entry, standing: Standing) -> Verdict:
    """Judge that somebody left, or cannot be reached: true unless the person agreed anew since then."""
    if standing.open_id is not None and standing.since and (entry.ended_at is None or standing.since >= entry.ended_at):
        return Verdict(left_alone="subscribed since then")
    closes = entry.closes is not None and entry.closes not in standing.closed
    ends = standing.open_id if entry.state is SubscriptionState.ENDED else None
    is_news = standing.left_at is None or (entry.ended_at is not None and entry.ended_at > standing.left_at)
    inserts = entry.state is SubscriptionState.ENDED and ends is None and is_news and not standing.closed
    if closes or inserts or ends is not None:
        return Verdict(inserts, ends, closes)
    if standing.closed:
        return Verdict(left_alone=f"the address is closed: {_words(standing.closed)}")
    return Verdict(left_alone="ended already")


def _words(reasons: frozenset[SuppressionReason]) -> str:
    return ", ".join(sorted(reasons)).replace("_", " ")


class Sketch:
    """What a dry run would have changed, by address hash: in a file that has no name, so that memory does not grow."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute(
            "CREATE TABLE standing (hash TEXT PRIMARY KEY, closed TEXT, open_id INTEGER, since TEXT, left_at TEXT)"
        )

    def over(self, standings: Mapping[str, Standing], hashes: Sequence[str]) -> dict[str, Standing]:
        """Return these standings with what was sketched over them."""
        known = dict(standings)
        for each in hashes:
            row = self._rows.execute("SELECT * FROM standing WHERE hash = ?", (each,)).fetchone()
            if row is not None:
                reasons = frozenset(map(SuppressionReason, row[1].split()))
                known[each] = Standing(reasons, row[2], _moment(row[3]), _moment(row[4]))
        return known

    def add(
        self, entries: Sequence[Entry], verdicts: Sequence[Verdict], known: Mapping[str, Standing], now: datetime
    ) -> None:
        """Note what these verdicts would change."""
        changed: dict[str, Standing] = {}
        for entry, verdict in zip(entries, verdicts, strict=True):
            before = changed.get(entry.address_hash) or known.get(entry.address_hash) or Standing()
            changed[entry.address_hash] = after(entry, verdict, before, now=now)
        self._rows.executemany(
            "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?)",
            [
                (each, " ".join(one.closed), one.open_id, _text(one.since), _text(one.left_at))
                for each, one in changed.items()
            ],
        )

    def close(self) -> None:
        self._rows.close()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
