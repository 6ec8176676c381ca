"""The SQL of an import: what is known of a thousand addresses, and a thousand rows written at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, any_, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from newsletter.base.errors import Unavailable
from newsletter.base.families import family_of
from newsletter.db.database import Work
from newsletter.db.parameters import among
from newsletter.newsletters import queries as newsletter_queries
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions.exchange.cells import moment_cell
from newsletter.subscriptions.exchange.entries import Entry
from newsletter.subscriptions.exchange.standings import Standing, Verdict, judge
from newsletter.subscriptions.models import Consent, ConsentKind, Subscription, SubscriptionState

# Written out, for an index of open ones is used only where the statement itself says so.
_IS_OPEN = text("subscription.state IN ('pending', 'active')")
STATED = 500  # characters of what the operator says, kept with every row


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an import comes from; it is written into the evidence of every row."""

    system: str
    file: str
    statement: str = ""

    def evidence(self, entry: Entry) -> dict[str, Any]:
        """Return what a consent's row keeps of this entry."""
        return {
            "system": self.system,
            "file": self.file,
            "line": entry.line,
            "kind": entry.kind,
            "at": moment_cell(entry.evidence_at) or None,
            **({"left_at": moment_cell(entry.ended_at) or None} if entry.leaves else {}),
            "statement": self.statement[:STATED] or None,
        }


def standings(work: Work, *, newsletter_id: int, entries: Sequence[Entry]) -> dict[str, Standing]:
    """Return what is known of the addresses of these entries, removed ones included: they are known by their hash."""
    hashes = {entry.address_hash for entry in entries}
    known = {each: Standing(frozenset(reasons)) for each, reasons in _closed(work, hashes).items()}
    found = select(Subscriber.id, Subscriber.address_hash).where(_among(work, Subscriber.address_hash, hashes))
    persons = {row.id: row.address_hash for row in work.session.execute(found)}
    if not persons:
        return known
    is_theirs = (Subscription.newsletter_id == newsletter_id, among(work, Subscription.subscriber_id, persons))
    opened = work.session.execute(
        select(Subscription.subscriber_id, Subscription.id, Subscription.created_at, Subscription.activated_at).where(
            *is_theirs, _IS_OPEN
        )
    ).all()
    undated = _undated(work, [row.id for row in opened]) if any(entry.leaves for entry in entries) else set()
    for person, number, created_at, activated_at in opened:
        each = persons.pop(person)
        since = None if number in undated else activated_at or created_at
        known[each] = replace(known.get(each, Standing()), open_id=number, since=since)
    for person, left_at in _left(work, newsletter_id, persons):
        each = persons[person]
        before = known.get(each, Standing())
        known[each] = replace(before, left_at=max(before.left_at or left_at, left_at))
    return known


def take(
    work: Work,
    entries: Sequence[Entry],
    *,
    newsletter_id: int,
    choice_ids: Sequence[int],
    origin: Origin,
) -> list[Verdict]:
    """Write all that these entries change, and return what became of each. Safe to repeat.

    :raises Unavailable: if somebody closed one of the addresses meanwhile; nothing was written
    """
    known = standings(work, newsletter_id=newsletter_id, entries=entries)
    verdicts = judge(entries, known, now=work.now)
    touched = [e for e, verdict in zip(entries, verdicts, strict=True) if verdict.inserts or verdict.ends is not None]
    if touched:
        _know(work, [e for e, verdict in zip(entries, verdicts, strict=True) if verdict.inserts])
        persons = _lock(work, touched)
        if not work.is_sqlite:  # what was read before the lock may have changed since
            again = standings(work, newsletter_id=newsletter_id, entries=entries)
            if any(again.get(each, Standing()).closed != known.get(each, Standing()).closed for each in again):
                raise Unavailable("an address was closed at the same moment")
            verdicts = judge(entries, again, now=work.now)
        _end(work, [(e, v.ends) for e, v in zip(entries, verdicts, strict=True) if v.ends is not None], origin=origin)
        chosen = [
            (entry, choice, persons[entry.address.key])
            for entry, choice, verdict in zip(entries, choice_ids, verdicts, strict=True)
            if verdict.inserts
        ]
        _insert(work, chosen, newsletter_id=newsletter_id, origin=origin)
    _suppress(work, [e for e, verdict in zip(entries, verdicts, strict=True) if verdict.closes])
    return verdicts


def _closed(work: Work, hashes: Collection[str]) -> dict[str, set[SuppressionReason]]:
    rows = work.session.execute(
        select(Suppression.address_hash, Suppression.reason).where(
            _among(work, Suppression.address_hash, hashes),
            Suppression.reason.in_(subscriber_queries.reasons_closing(Purpose.IMPORT)),
        )
    )
    closed: dict[str, set[SuppressionReason]] = {}
    for each, reason in rows:
        closed.setdefault(each, set()).add(SuppressionReason(reason))
    return closed


def _left(work: Work, newsletter_id: int, persons: Collection[int]) -> Iterable[tuple[int, datetime]]:
    """Return when these persons, who have nothing open, left last."""
    if not persons:
        return []
    rows = work.session.execute(
        select(Subscription.subscriber_id, func.max(Subscription.ended_at))
        .where(
            Subscription.newsletter_id == newsletter_id,
            among(work, Subscription.subscriber_id, persons),
            Subscription.ended_at.is_not(None),
        )
        .group_by(Subscription.subscriber_id)
    )
    return [(person, left_at) for person, left_at in rows if left_at is not None]


def _undated(work: Work, numbers: Sequence[int]) -> set[int]:
    """Return which of these were imported without anybody's knowing when the person consented."""
    rows = work.session.execute(
        select(Consent.subscription_id, Consent.evidence).where(
            among(work, Consent.subscription_id, numbers), Consent.kind == ConsentKind.IMPORTED
        )
    )
    return {number for number, evidence in rows if evidence and evidence.get("at") is None}


def _know(work: Work, entries: Sequence[Entry]) -> None:
    """Make the persons who are not known yet; in an order, so that two imports do not wait for each other."""
    rows = {
        entry.address.key: {
            "address": entry.address.mailed,
            "address_key": entry.address.key,
            "needs_smtputf8": entry.address.needs_smtputf8,
            "address_hash": entry.address_hash,
            "family": family_of(entry.address.mailed),
            "created_at": work.now,
        }
        for entry in sorted(entries, key=lambda each: each.address.key)
    }
    if rows:
        statement = (sqlite if work.is_sqlite else postgresql).insert(_table(Subscriber))
        work.session.execute(
            statement.on_conflict_do_nothing(index_elements=[Subscriber.address_key]), list(rows.values())
        )


def _lock(work: Work, entries: Sequence[Entry]) -> dict[str, int]:
    """Let one work at a time act for these persons, and return their numbers by their address's key."""
    rows = work.session.execute(
        select(Subscriber.address_key, Subscriber.id)
        .where(_among(work, Subscriber.address_key, {entry.address.key for entry in entries}))
        .order_by(Subscriber.id)
        .with_for_update(key_share=True)
    )
    return {str(key): number for key, number in rows}


def _insert(work: Work, chosen: Sequence[tuple[Entry, int, int]], *, newsletter_id: int, origin: Origin) -> None:
    if not chosen:
        return
    watermark = newsletter_queries.current_sequence(work)
    numbers = _numbers(work, len(chosen))
    work.session.execute(
        insert(_table(Subscription)),
        [
            {
                "id": number,
                "subscriber_id": person_id,
                "newsletter_id": newsletter_id,
                "choice_id": choice_id,
                **_row(entry, now=work.now, watermark=watermark),
            }
            for number, (entry, choice_id, person_id) in zip(numbers, chosen, strict=True)
        ],
    )
    work.session.execute(
        insert(_table(Consent)),
        [
            {
                "subscription_id": number,
                "kind": ConsentKind.IMPORTED,
                "language": entry.spoken,
                "text_hash": entry.text_hash,
                "form_version": entry.form_version,
                "evidence": origin.evidence(entry),
                "at": work.now,
            }
            for number, (entry, _, _) in zip(numbers, chosen, strict=True)
        ],
    )


def _numbers(work: Work, count: int) -> Sequence[int]:
    """Take numbers for new subscriptions: having them first, rows are written without asking for them one by one."""
    if work.is_sqlite:  # nobody else writes during this work
        first = (work.session.scalar(select(func.max(Subscription.id))) or 0) + 1
        return range(first, first + count)
    sequence = func.pg_get_serial_sequence("subscription", "id")
    return work.session.scalars(select(func.nextval(sequence)).select_from(func.generate_series(1, count))).all()


def _row(entry: Entry, *, now: datetime, watermark: int) -> Mapping[str, Any]:
    is_active = entry.state is SubscriptionState.ACTIVE
    ended_at = (entry.ended_at or now) if entry.state is SubscriptionState.ENDED else None
    return {
        "state": entry.state,
        "frequency": entry.wish.frequency,
        "watermark": watermark if is_active else None,
        "changed": False,
        "paused_until": entry.paused_until,
        "created_at": entry.created_at or entry.consented_at or ended_at or now,
        "activated_at": (entry.consented_at or now) if is_active else entry.confirmed_at,
        "ended_at": ended_at,
        "end_reason": entry.end_reason,
    }


def _end(work: Work, ending: Sequence[tuple[Entry, int | None]], *, origin: Origin) -> None:
    if not ending:
        return
    work.session.execute(
        update(Subscription),
        [
            {
                "id": number,
                "state": SubscriptionState.ENDED,
                "ended_at": entry.ended_at or work.now,
                "end_reason": entry.end_reason,
            }
            for entry, number in ending
        ],
    )
    work.session.execute(
        insert(_table(Consent)),
        [
            {
                "subscription_id": number,
                "kind": ConsentKind.LEFT,
                "language": entry.spoken,
                "evidence": origin.evidence(entry),
                "at": work.now,
            }
            for entry, number in ending
        ],
    )


def _suppress(work: Work, entries: Sequence[Entry]) -> None:
    if not entries:
        return
    statement = (sqlite if work.is_sqlite else postgresql).insert(_table(Suppression))
    work.session.execute(
        statement.on_conflict_do_nothing(index_elements=[Suppression.address_hash, Suppression.reason]),
        [
            {"address_hash": entry.address_hash, "reason": entry.closes, "created_at": work.now}
            for entry in sorted(entries, key=lambda each: each.address_hash)
        ],
    )


def _among(work: Work, column: InstrumentedAttribute[Any], words: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a text is one of these: one parameter however many, so that the statement is kept."""
    if work.is_sqlite:
        listed = func.json_each(json.dumps(list(words))).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(literal(list(words), ARRAY(Text)))


def _table(mapped: type[Any]) -> Any:
    """Return the table behind a class: rows by the thousand need no objects."""
    return mapped.__table__


def refresh_statistics(work: Work) -> None:
    """Let PostgreSQL look at tables that have grown by a multiple, long before it would do so by itself."""
    if not work.is_sqlite:
        work.session.execute(text("ANALYZE subscriber, subscription, consent, suppression"))
