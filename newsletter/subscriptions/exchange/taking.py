"""The SQL of an import: what is known of a thousand addresses, and a thousand rows written at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.base.errors import Unavailable
from newsletter.base.families import family_of
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions.exchange.cells import moment_cell
from newsletter.subscriptions.exchange.entries import Entry
from newsletter.subscriptions.exchange.standings import Standing, Verdict, judge
from newsletter.subscriptions.models import Consent, ConsentKind, Subscription, SubscriptionState

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
    closed = _closed(work, hashes)
    rows = work.session.execute(
        select(
            Subscriber.address_hash,
            Subscription.id,
            Subscription.state,
            Subscription.created_at,
            Subscription.activated_at,
            Subscription.ended_at,
        )
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscriber.address_hash.in_(hashes), Subscription.newsletter_id == newsletter_id)
        .order_by(Subscription.id)
    ).all()
    undated = _undated(work, [row.id for row in rows if row.ended_at is None]) if _any_leaves(entries) else set()
    known = {each: Standing(frozenset(reasons)) for each, reasons in closed.items()}
    for each, number, _, created_at, activated_at, ended_at in rows:
        before = known.get(each, Standing())
        if ended_at is None:
            since = None if number in undated else activated_at or created_at
            known[each] = Standing(before.closed, number, since, before.left_at)
        else:
            left_at = max(before.left_at or ended_at, ended_at)
            known[each] = Standing(before.closed, before.open_id, before.since, left_at)
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
                raise Unavailable("an address was closed at the same moment: run the same command again")
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


def _closed(work: Work, hashes: Iterable[str]) -> dict[str, set[SuppressionReason]]:
    rows = work.session.execute(
        select(Suppression.address_hash, Suppression.reason).where(
            Suppression.address_hash.in_(hashes),
            Suppression.reason.in_(subscriber_queries.reasons_closing(Purpose.IMPORT)),
        )
    )
    closed: dict[str, set[SuppressionReason]] = {}
    for each, reason in rows:
        closed.setdefault(each, set()).add(SuppressionReason(reason))
    return closed


def _any_leaves(entries: Sequence[Entry]) -> bool:
    return any(entry.leaves for entry in entries)


def _undated(work: Work, numbers: Sequence[int]) -> set[int]:
    """Return which of these were imported without anybody's knowing when the person consented."""
    rows = work.session.execute(
        select(Consent.subscription_id, Consent.evidence).where(
            Consent.subscription_id.in_(numbers), Consent.kind == ConsentKind.IMPORTED
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
        .where(Subscriber.address_key.in_({entry.address.key for entry in entries}))
        .order_by(Subscriber.id)
        .with_for_update(key_share=True)
    )
    return {str(key): number for key, number in rows}


def _insert(work: Work, chosen: Sequence[tuple[Entry, int, int]], *, newsletter_id: int, origin: Origin) -> None:
    if not chosen:
        return
    watermark = newsletter_queries.current_sequence(work)
    numbers = work.session.scalars(
        insert(_table(Subscription)).returning(_table(Subscription).c.id, sort_by_parameter_order=True),
        [
            {
                "subscriber_id": person_id,
                "newsletter_id": newsletter_id,
                "choice_id": choice_id,
                **_row(entry, now=work.now, watermark=watermark),
            }
            for entry, choice_id, person_id in chosen
        ],
    ).all()
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


def _table(mapped: type[Any]) -> Any:
    """Return the table behind a class: rows by the thousand need no objects."""
    return mapped.__table__
