"""The SQL of each step of a row; every one is a compare-and-set and notes what it moved."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    TextClause,
    and_,
    bindparam,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from newsletter.db.database import Work
from newsletter.db.parameters import Statement, among
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.models import OPEN_STATES, Delivery, DeliveryState
from newsletter.deliveries.policy import DOUBTFUL_CRASHES, InDoubt, Step
from newsletter.deliveries.queries import is_abandoned

ROW: tuple[Any, ...] = (
    Delivery.id,
    Delivery.batch_id,
    Delivery.subscriber_id,
    Delivery.subscription_id,
    Delivery.content_id,
    Delivery.occasion,
    Delivery.family,
)
QUIETLY = {"synchronize_session": False}


@dataclass(slots=True)
class Held:
    """A claimed row with what the policy needs to know of its past."""

    row: Claimed
    attempts: int
    doubts: int


@dataclass(frozen=True, slots=True)
class Result:
    """What is to be written of a row that this sender holds."""

    held: Held
    step: Step
    code: int | None = None
    reply: str = ""


def claim(
    work: Work,
    *,
    batch_id: int,
    owner: str,
    lease: timedelta,
    most: int,
    after: int,
    without: Collection[str],
    moves: Moves,
) -> list[Held]:
    """Take up to `most` pending rows for `owner`, those behind the row `after`, none of the families `without`."""
    chosen = (
        select(Delivery.id)
        .where(Delivery.batch_id == batch_id, Delivery.state == DeliveryState.PENDING, Delivery.id > after)
        .order_by(Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    if without:
        chosen = chosen.where(Delivery.family.not_in(sorted(without)))
    # Chosen once: as a subquery PostgreSQL may run it again for each row, and skip other locks each time.
    once = chosen.cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")
    rows = work.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(select(once.c.id)), Delivery.state == DeliveryState.PENDING)
        .values(state=DeliveryState.SENDING, owner=owner, lease_until=work.now + lease, intent_at=None)
        .returning(*ROW, Delivery.attempts, Delivery.doubts)
        .execution_options(**QUIETLY)
    )
    held = [Held(Claimed(*row[:7]), row[7], row[8]) for row in rows]
    note(moves, [each.row for each in held], was=DeliveryState.PENDING, now=DeliveryState.SENDING)
    return sorted(held, key=lambda each: each.row.id)


_INTEND = Statement(
    "UPDATE delivery SET intent_at = :now, attempts = attempts + 1 WHERE id {ids} AND owner = :owner "
    "AND state = 'sending' AND intent_at IS NULL AND lease_until > :safe RETURNING id, content_id",
    moments=("now", "safe"),
)


def intend(work: Work, held: Sequence[Held], *, owner: str, margin: timedelta) -> list[Held]:
    """Mark the intent to send these rows; returns those that are still this owner's, for at least `margin`.

    What they are composed from may have changed since the claim; the rows returned say what it is now.
    """
    kept = _INTEND.run(work, [each.row.id for each in held], now=work.now, owner=owner, safe=work.now + margin)
    contents = {row.id: row.content_id for row in kept}
    mine = []
    for each in held:
        if each.row.id in contents:
            if contents[each.row.id] != each.row.content_id:
                each.row = replace(each.row, content_id=contents[each.row.id])
            each.attempts += 1
            mine.append(each)
    return mine


def release(work: Work, held: Sequence[Held], *, owner: str, moves: Moves) -> None:
    """Give rows back of which no byte has left."""
    if not held:
        return
    rows = work.session.scalars(
        update(Delivery)
        .where(
            among(work, Delivery.id, [each.row.id for each in held]),
            Delivery.owner == owner,
            Delivery.state == DeliveryState.SENDING,
            Delivery.intent_at.is_(None),
        )
        .values(state=DeliveryState.PENDING, owner=None, lease_until=None)
        .returning(Delivery.id)
        .execution_options(**QUIETLY)
    )
    given_back = set(rows)
    note(
        moves,
        [each.row for each in held if each.row.id in given_back],
        was=DeliveryState.SENDING,
        now=DeliveryState.PENDING,
    )


def settle(work: Work, results: Sequence[Result], *, owner: str, moves: Moves) -> set[int]:
    """Write where these rows go; returns those whose lease was not lost, of the others nothing changes."""
    accepted = [each for each in results if each.step.state is DeliveryState.ACCEPTED]
    settled = _accept(work, accepted, owner=owner) if accepted else set()
    for each in results:
        if each.step.state is not DeliveryState.ACCEPTED and _settle_one(work, each, owner=owner):
            settled.add(each.held.row.id)
    for each in results:
        row = each.held.row
        if row.id in settled:
            moves.add(row.batch_id, row.family, was=DeliveryState.SENDING, now=each.step.state)
    return settled


def created(work: Work, row_ids: Collection[int]) -> dict[int, datetime]:
    """Return when these rows were made."""
    rows = work.session.execute(select(Delivery.id, Delivery.created_at).where(among(work, Delivery.id, row_ids)))
    return {row.id: row.created_at for row in rows}


def renew(work: Work, *, owner: str, lease: timedelta) -> None:
    """Keep what `owner` holds for another lease; a lost one is not taken back."""
    held = (Delivery.owner == owner, Delivery.state == DeliveryState.SENDING, Delivery.lease_until > work.now)
    work.session.execute(
        update(Delivery)
        .where(_not_in_use(work, *held), *held)
        .values(lease_until=work.now + lease)
        .execution_options(**QUIETLY)
    )


def wake(work: Work, *, batch_id: int, moves: Moves) -> None:
    """Let the deferred rows of a batch be claimed whose next try is due."""
    due = (
        Delivery.batch_id == batch_id,
        Delivery.state == DeliveryState.DEFERRED,
        Delivery.next_attempt_at <= work.now,
    )
    rows = work.session.scalars(
        update(Delivery)
        .where(_not_in_use(work, *due), *due)
        .values(state=DeliveryState.PENDING, next_attempt_at=None)
        .returning(Delivery.family)
        .execution_options(**QUIETLY)
    )
    for family, count in Counter(rows).items():
        moves.add(batch_id, family, was=DeliveryState.DEFERRED, now=DeliveryState.PENDING, rows=count)


def take_back(work: Work, *, batch_id: int, in_doubt: InDoubt, moves: Moves) -> list[Claimed]:
    """Take back the rows of dead senders: those that may have left go by the policy. Safe to repeat.

    Returns those that wait to be sent again.
    """
    again = and_(literal(in_doubt == "resend"), Delivery.doubts + 1 < DOUBTFUL_CRASHES)
    common: dict[str, Any] = {"state": DeliveryState.PENDING, "owner": None, "lease_until": None}
    untouched = _update(work, batch_id, is_abandoned(work), Delivery.intent_at.is_(None), values=common)
    resent = _update(
        work,
        batch_id,
        is_abandoned(work),
        again,
        values={
            **common,
            "intent_at": None,
            "doubts": Delivery.doubts + 1,
            "possible_copies": Delivery.possible_copies + 1,
        },
    )
    note(moves, untouched + resent, was=DeliveryState.SENDING, now=DeliveryState.PENDING)
    return untouched + resent


def give_up_doubtful(work: Work, *, batch_id: int, moves: Moves) -> list[Claimed]:
    """Set the rest of the dead senders' rows uncertain, and return them for the lane to follow up."""
    values = {
        "state": DeliveryState.UNCERTAIN,
        "reason": "sender_died",
        "owner": None,
        "lease_until": None,
        "doubts": Delivery.doubts + 1,
        "settled_at": work.now,
    }
    rows = _update(work, batch_id, is_abandoned(work), values=values)
    note(moves, rows, was=DeliveryState.SENDING, now=DeliveryState.UNCERTAIN)
    return rows


def note(moves: Moves, rows: Sequence[Claimed], *, was: DeliveryState, now: DeliveryState) -> None:
    """Count these rows as moved."""
    for (batch_id, family), count in Counter((row.batch_id, row.family) for row in rows).items():
        moves.add(batch_id, family, was=was, now=now, rows=count)


def _not_in_use(work: Work, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition to be one of these rows and in no other work's hands: nobody waits for each other crosswise.

    What somebody else is writing now is looked at again at the next time.
    """
    if work.is_sqlite:
        return true()
    free = select(Delivery.id).where(*where).with_for_update(skip_locked=True).cte("free").prefix_with("MATERIALIZED")
    return Delivery.id.in_(select(free.c.id))


def _update(work: Work, batch_id: int, *where: ColumnElement[bool], values: dict[str, Any]) -> list[Claimed]:
    wanted = (Delivery.batch_id == batch_id, *where)
    rows = work.session.execute(
        update(Delivery)
        .where(_not_in_use(work, *wanted), *wanted)
        .values(**values)
        .returning(*ROW)
        .execution_options(**QUIETLY)
    )
    return [Claimed(*row) for row in rows]


_ACCEPT = (
    "UPDATE delivery SET state = 'accepted', reason = NULL, reply_code = answer.code, reply = answer.reply, "
    "owner = NULL, lease_until = NULL, next_attempt_at = NULL, settled_at = :now "
    "FROM {answers} WHERE delivery.id = answer.id AND delivery.owner = :owner AND delivery.state = 'sending' "
    "RETURNING delivery.id"
)
_ACCEPT_ON_SQLITE: TextClause = text(
    _ACCEPT.format(
        answers="(SELECT value ->> 0 AS id, value ->> 1 AS code, value ->> 2 AS reply FROM json_each(:answers)) answer"
    )
).bindparams(bindparam("now", type_=Delivery.created_at.type))
_ACCEPT_ON_POSTGRESQL: TextClause = text(
    _ACCEPT.format(answers="unnest(:ids, :codes, :replies) AS answer (id, code, reply)")
).bindparams(
    bindparam("now", type_=Delivery.created_at.type),
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("codes", type_=ARRAY(Integer)),
    bindparam("replies", type_=ARRAY(String)),
)


def _accept(work: Work, results: Sequence[Result], *, owner: str) -> set[int]:
    """Write the answers of what was accepted, all at once: nearly every row of nearly every work."""
    answers = [(each.held.row.id, each.code, each.reply[:500] or None) for each in results]
    if work.is_sqlite:
        values: dict[str, object] = {"answers": json.dumps(answers)}
        rows = work.session.execute(_ACCEPT_ON_SQLITE, {"now": work.now, "owner": owner, **values})
    else:
        ids, codes, replies = (list(column) for column in zip(*answers, strict=True))
        values = {"ids": ids, "codes": codes, "replies": replies}
        rows = work.session.execute(_ACCEPT_ON_POSTGRESQL, {"now": work.now, "owner": owner, **values})
    return {row[0] for row in rows}


def _settle_one(work: Work, result: Result, *, owner: str) -> bool:
    step = result.step
    is_open = step.state in OPEN_STATES
    changed = work.session.execute(
        update(Delivery)
        .where(Delivery.id == result.held.row.id, Delivery.owner == owner, Delivery.state == DeliveryState.SENDING)
        .values(
            state=step.state,
            reason=step.reason,
            reply_code=result.code,
            reply=result.reply[:500] or None,
            attempts=Delivery.attempts - (0 if step.spends_attempt else 1),
            doubts=Delivery.doubts + int(step.is_doubt),
            possible_copies=Delivery.possible_copies + int(step.is_possible_copy),
            owner=None,
            lease_until=None,
            intent_at=None if is_open else Delivery.intent_at,
            next_attempt_at=step.next_attempt_at,
            settled_at=None if is_open else work.now,
        )
        .returning(Delivery.id)
        .execution_options(**QUIETLY)
    )
    return changed.scalar_one_or_none() is not None
