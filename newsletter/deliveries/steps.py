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
    Select,
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

_ROW: tuple[Any, ...] = (
    Delivery.id,
    Delivery.batch_id,
    Delivery.subscriber_id,
    Delivery.subscription_id,
    Delivery.content_id,
    Delivery.occasion,
    Delivery.family,
)
SLICE = 5_000
_QUIETLY = {"synchronize_session": False}


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
        .returning(*_ROW, Delivery.attempts, Delivery.doubts)
        .execution_options(**_QUIETLY)
    )
    held = [Held(Claimed(*row[:7]), row[7], row[8]) for row in rows]
    _note(moves, [each.row for each in held], was=DeliveryState.PENDING, now=DeliveryState.SENDING)
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
        .execution_options(**_QUIETLY)
    )
    given_back = set(rows)
    _note(
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
        .execution_options(**_QUIETLY)
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
        .execution_options(**_QUIETLY)
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
    _note(moves, untouched + resent, was=DeliveryState.SENDING, now=DeliveryState.PENDING)
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
    _note(moves, rows, was=DeliveryState.SENDING, now=DeliveryState.UNCERTAIN)
    return rows


def cancel_open(work: Work, *, batch_id: int, reason: str, moves: Moves) -> list[Claimed]:
    """Cancel rows of a batch that are not on their way at this moment; returns those that became uncertain.

    At most SLICE rows, so that nobody waits for the lock: while `cancellable` says so, call it again in another work.
    """
    some = select(Delivery.id).where(*_cancellable(batch_id)).order_by(Delivery.id).limit(SLICE)
    chosen = some.with_for_update(skip_locked=True).cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")
    where = (Delivery.batch_id == batch_id, Delivery.id.in_(select(chosen.c.id)))
    return _end_rows(work, *where, state=DeliveryState.CANCELLED, reason=reason, moves=moves)


def cancellable(work: Work, *, batch_id: int) -> bool:
    """Say whether a batch has a row that can be cancelled now."""
    return bool(work.session.scalar(select(select(Delivery.id).where(*_cancellable(batch_id)).exists())))


def _cancellable(batch_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.batch_id == batch_id, Delivery.state.in_(OPEN_STATES), Delivery.intent_at.is_(None))


def expire_deferred(
    work: Work, *, subscriptions: Select[int], keep_batch: int, reason: str, moves: Moves
) -> list[Claimed]:
    """Fail the deferred rows of these subscriptions in every other batch: their next slot has come.

    Returns those that became uncertain.
    """
    return _end_rows(
        work,
        Delivery.subscription_id.in_(subscriptions),
        Delivery.batch_id != keep_batch,
        state=DeliveryState.FAILED,
        reason=reason,
        moves=moves,
        from_states=(DeliveryState.DEFERRED,),
    )


def skip_waiting(work: Work, *, batch_id: int, content_id: int, reason: str, moves: Moves) -> list[Claimed]:
    """Skip the rows of a content that are not on their way at this moment; returns those that became uncertain."""
    where = (Delivery.batch_id == batch_id, Delivery.content_id == content_id)
    return _end_rows(work, *where, state=DeliveryState.SKIPPED, reason=reason, moves=moves)


def move_waiting(work: Work, *, batch_id: int, content_id: int, to_content_id: int) -> None:
    """Give the rows of a content that are not on their way, and never were, another content."""
    work.session.execute(
        update(Delivery)
        .where(
            Delivery.batch_id == batch_id,
            Delivery.content_id == content_id,
            Delivery.state.in_(OPEN_STATES),
            Delivery.intent_at.is_(None),
            Delivery.doubts == 0,
        )
        .values(content_id=to_content_id)
        .execution_options(**_QUIETLY)
    )


def _note(moves: Moves, rows: Sequence[Claimed], *, was: DeliveryState, now: DeliveryState) -> None:
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
        .returning(*_ROW)
        .execution_options(**_QUIETLY)
    )
    return [Claimed(*row) for row in rows]


def _end_rows(
    work: Work,
    *where: ColumnElement[bool],
    state: DeliveryState,
    reason: str,
    moves: Moves,
    from_states: Sequence[DeliveryState] = OPEN_STATES,
) -> list[Claimed]:
    """End rows that are not on their way; those that may have left are uncertain, and returned for the lane to follow.

    A sender that holds one of them finds it gone when it marks its intent.
    """
    values: dict[str, Any] = {
        "reason": reason,
        "next_attempt_at": None,
        "settled_at": work.now,
        "owner": None,
        "lease_until": None,
    }
    found: list[Claimed] = []
    for was in from_states:
        end = (
            update(Delivery)
            .where(Delivery.state == was, Delivery.intent_at.is_(None), *where)
            .execution_options(**_QUIETLY)
        )
        doubtful = end.where(Delivery.doubts > 0).values(state=DeliveryState.UNCERTAIN, **values)
        rows = [Claimed(*row) for row in work.session.execute(doubtful.returning(*_ROW))]
        _note(moves, rows, was=was, now=DeliveryState.UNCERTAIN)
        found += rows
        sure = end.where(Delivery.doubts == 0).values(state=state, **values)
        ended = work.session.execute(sure.returning(Delivery.batch_id, Delivery.family))
        for (batch_id, family), count in Counter((row.batch_id, row.family) for row in ended).items():
            moves.add(batch_id, family, was=was, now=state, rows=count)
    return found


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
        .execution_options(**_QUIETLY)
    )
    return changed.scalar_one_or_none() is not None
