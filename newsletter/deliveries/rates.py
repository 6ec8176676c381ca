"""The rates in the database: what holds now, and what senders learnt from the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.base.families import OTHERS
from newsletter.db.database import Work
from newsletter.deliveries.models import EVERY_FAMILY, Delivery, DeliveryState, Rate
from newsletter.deliveries.pacing import BUSY_FOR, THROTTLED_FOR, Limits, back_off, opened_next


@dataclass(frozen=True, slots=True)
class Pace:
    """What a backend may take at this moment: room for all together, and for the families that have limits.

    A family without room that is not `paused` has some again in a moment.
    """

    paused_until: datetime | None = None
    reason: str | None = None
    together: int | None = None
    rooms: Mapping[str, int] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()


def pace(work: Work, backend: str) -> Pace:
    """Return what a backend may take now; until the end of the work no other sender takes the same room."""
    found = _rates(work, backend)
    if not found:
        return Pace()
    flying = _in_flight(work) if any(each.lines is not None or each.opened is not None for each in found) else {}
    rooms: dict[str, int] = {}
    whole = Pace()
    for rate in found:
        in_flight = sum(flying.values()) if rate.family == EVERY_FAMILY else flying.get(rate.family, 0)
        limits = _limits(rate)
        room = limits.room(work.now, in_flight=in_flight)
        if rate.family != EVERY_FAMILY:
            rooms |= {} if room is None else {rate.family: room}
        elif limits.is_paused(work.now):
            whole = Pace(rate.paused_until, rate.reason, 0)
        else:
            whole = Pace(together=room)
    paused = frozenset(each.family for each in found if is_paused(each, work.now) and each.family != EVERY_FAMILY)
    return Pace(whole.paused_until, whole.reason, whole.together, rooms, paused)


def spend(work: Work, backend: str, families: Counter[str]) -> None:
    """Take the room of these mails from the rates by the minute."""
    for rate in _rates(work, backend):
        if rate.per_minute is not None:
            spent = families.total() if rate.family == EVERY_FAMILY else families[rate.family]
            rate.tokens, rate.filled_at = _limits(rate).spent(work.now, spent)


def stopped(work: Work, backend: str, *, reason: str) -> None:
    """Leave a backend alone that stopped us: 1, 2, 4 … 15 minutes. Senders that it stops at once count as one."""
    rate = _rate(work, backend, EVERY_FAMILY)
    if not is_paused(rate, work.now):
        rate.troubles += 1
    _pause(rate, work.now + back_off(rate.troubles), now=work.now, reason=reason)


def busy(work: Work, backend: str, *, reason: str) -> None:
    """Leave a backend alone whose server says again and again that it is in trouble."""
    _pause(_rate(work, backend, EVERY_FAMILY), work.now + BUSY_FOR, now=work.now, reason=reason)


def throttled(work: Work, backend: str, *, family: str, reason: str) -> None:
    """Let a family rest that says we are too fast, and begin again with one line.

    The many small domains that are no family do not pay for each other: there only the one mail waits.
    """
    if family == OTHERS:
        return
    rate = _rate(work, backend, family)
    _pause(rate, work.now + THROTTLED_FOR, now=work.now, reason=reason)
    rate.opened, rate.opened_at = 1, work.now + THROTTLED_FOR


def accepted(work: Work, backend: str, families: Collection[str]) -> None:
    """Forget a backend's troubles, and open one line more to families that were paused; without families, nothing."""
    if not families:
        return
    for rate in _rates(work, backend):
        if rate.family == EVERY_FAMILY and rate.troubles:
            rate.troubles, rate.paused_until, rate.reason = 0, None, None
        elif rate.family in families and rate.opened is not None:
            opened = opened_next(rate.opened, opened_at=rate.opened_at, now=work.now)
            if opened != rate.opened:
                rate.opened, rate.opened_at = opened, work.now
            if opened is None:
                rate.paused_until, rate.reason = None, None


def set_limits(work: Work, backend: str, *, family: str, per_minute: int | None, lines: int | None) -> None:
    """Set an operator's limits for a family, or for EVERY_FAMILY; None for no limit."""
    rate = _rate(work, backend, family)
    rate.per_minute, rate.lines = per_minute, lines


def resume(work: Work, backend: str) -> int:
    """End all pauses of a backend now, and return how many there were; what was learnt of its families is forgotten."""
    ended = 0
    for rate in _rates(work, backend):
        ended += is_paused(rate, work.now)
        rate.paused_until, rate.reason, rate.opened, rate.opened_at, rate.troubles = None, None, None, None, 0
    return ended


def is_paused(rate: Rate, now: datetime) -> bool:
    """Say whether nothing may leave under this rate."""
    return _limits(rate).is_paused(now)


def known(work: Work) -> list[Rate]:
    """Return every rate, for people to look at."""
    return list(work.session.scalars(select(Rate).order_by(Rate.backend, Rate.family)))


def _rates(work: Work, backend: str) -> list[Rate]:
    return list(
        work.session.scalars(
            select(Rate)
            .where(Rate.backend == backend)
            .order_by(Rate.family)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _rate(work: Work, backend: str, family: str) -> Rate:
    insert = (sqlite if work.is_sqlite else postgresql).insert(Rate)
    work.session.execute(insert.values(backend=backend, family=family, tokens=0.0).on_conflict_do_nothing())
    return next(rate for rate in _rates(work, backend) if rate.family == family)


def _pause(rate: Rate, until: datetime, *, now: datetime, reason: str) -> None:
    rate.paused_until = max(until, rate.paused_until) if rate.paused_until and is_paused(rate, now) else until
    rate.reason = reason[:60]


def _limits(rate: Rate) -> Limits:
    return Limits(rate.per_minute, rate.lines, rate.paused_until, rate.opened, rate.tokens, rate.filled_at)


def _in_flight(work: Work) -> dict[str, int]:
    """Count the mails that may be on their way now, of all senders: the rows are the truth."""
    rows = work.session.execute(
        select(Delivery.family, func.count().label("in_flight"))
        .where(Delivery.state == DeliveryState.SENDING, Delivery.intent_at.is_not(None))
        .group_by(Delivery.family)
    )
    return {row.family: row.in_flight for row in rows}
