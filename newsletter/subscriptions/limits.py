"""How many sign-ups an hour takes before mails wait: from one network, for one domain, and in all.

The counts stand in the database, so that every process knows them and a restart forgets none. What is decided here
never depends on whether an address is known. Only a network's own limit ever refuses: whoever fills the others would
close them for everybody else.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.base.addresses import address_hash
from newsletter.base.errors import TooMany
from newsletter.db.database import Work
from newsletter.subscriptions.models import Scope, SignUpCount

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REFUSES_AT = 4  # times what a network may do
WAITS_AT_LEAST, WAITS_AT_MOST = timedelta(minutes=10), timedelta(minutes=20)
FEWEST_MAILED = 200
FEWEST_CONFIRMED = 0.2  # of those mailed


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sign-ups an hour takes before proof of work is asked; `key` hashes what they are counted by."""

    per_network: int
    per_domain: int
    in_all: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-up: where it comes from, for which domain, for how many it counts.

    A `suspect` one waits even when nothing is busy; a proven one never waits.
    """

    network: str | None
    domain: str
    weight: int = 1
    is_suspect: bool = False
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class Confirmations:
    """How many confirmations the last day mailed (long enough ago to be answered), and how many were given."""

    mailed: int
    given: int

    @property
    def are_doubtful(self) -> bool:
        """Say whether so few are given that somebody may sign others up."""
        return self.mailed >= FEWEST_MAILED and self.given < FEWEST_CONFIRMED * self.mailed


def weigh(work: Work, attempt: Attempt, *, limits: Limits) -> timedelta | None:
    """Say how long the mail of this sign-up waits; None if it leaves at once. Counts nothing.

    :raises TooMany: if its network did four times what it may
    """
    seen = _seen(work, attempt, limits)
    if seen[Scope.NETWORK] > REFUSES_AT * limits.per_network:
        raise TooMany("too many sign-ups come from this network: try again in an hour")
    if attempt.is_proven or not (attempt.is_suspect or _is_busy(seen, limits) or confirmations(work).are_doubtful):
        return None
    spread = int((WAITS_AT_MOST - WAITS_AT_LEAST).total_seconds())
    return WAITS_AT_LEAST + timedelta(seconds=secrets.randbelow(spread + 1))


def needs_proof(work: Work, attempt: Attempt, *, limits: Limits) -> bool:
    """Say whether the mail of such a sign-up would wait for want of a proof of work."""
    return attempt.is_suspect or _is_busy(_seen(work, attempt, limits), limits) or confirmations(work).are_doubtful


def count(work: Work, attempt: Attempt, *, limits: Limits) -> None:
    """Count a sign-up. The last step of its work: the rows counted in are those of everybody."""
    for scope, key in _keys(attempt, limits).items():
        _add(work, scope, key, attempt.weight)


def count_mailed(work: Work) -> None:
    """Count a confirmation that was asked by mail."""
    _add(work, Scope.MAILED, "", 1)


def count_confirmed(work: Work) -> None:
    """Count a confirmation that was given."""
    _add(work, Scope.CONFIRMED, "", 1)


def confirmations(work: Work) -> Confirmations:
    """Return what became of the confirmations of the last day, those of the last hour apart."""
    hour = _hour(work.now)
    rows = work.session.execute(
        select(SignUpCount.scope, SignUpCount.hour, SignUpCount.count.label("times")).where(
            SignUpCount.scope.in_([Scope.MAILED, Scope.CONFIRMED]),
            SignUpCount.key == "",
            SignUpCount.hour >= hour - DAY,
        )
    ).all()
    mailed = sum(row.times for row in rows if row.scope is Scope.MAILED and row.hour + HOUR <= work.now - HOUR)
    return Confirmations(mailed, sum(row.times for row in rows if row.scope is Scope.CONFIRMED))


def _is_busy(seen: Mapping[Scope, float], limits: Limits) -> bool:
    return (
        seen[Scope.NETWORK] > limits.per_network
        or seen[Scope.DOMAIN] > limits.per_domain
        or seen[Scope.ALL] > limits.in_all
    )


def _seen(work: Work, attempt: Attempt, limits: Limits) -> dict[Scope, float]:
    """Return what the sixty minutes before now saw, this attempt included.

    Of the hour before the running one as much counts as is left of the running one: nobody gets twice the limit
    around the full hour.
    """
    hour, keys = _hour(work.now), _keys(attempt, limits)
    rows = work.session.execute(
        select(SignUpCount.scope, SignUpCount.hour, SignUpCount.count.label("times")).where(
            or_(*(and_(SignUpCount.scope == scope, SignUpCount.key == key) for scope, key in keys.items())),
            SignUpCount.hour >= hour - HOUR,
        )
    ).all()
    left = 1 - (work.now - hour) / HOUR
    seen: dict[Scope, float] = dict.fromkeys((Scope.NETWORK, Scope.DOMAIN, Scope.ALL), 0)
    seen.update((scope, attempt.weight) for scope in keys)
    for row in rows:
        seen[row.scope] += row.times * (1 if row.hour == hour else left)
    return seen


def _keys(attempt: Attempt, limits: Limits) -> dict[Scope, str]:
    """Return what an attempt is counted by, in the one order in which rows are locked."""
    keys = {Scope.DOMAIN: _hashed(Scope.DOMAIN, attempt.domain, limits.key)}
    if attempt.network is not None:
        keys[Scope.NETWORK] = _hashed(Scope.NETWORK, attempt.network, limits.key)
    return {**keys, Scope.ALL: ""}


def _hashed(scope: Scope, text: str, key: bytes) -> str:
    return address_hash(key, f"sign_up_count {scope} {text}")


def _add(work: Work, scope: Scope, key: str, weight: int) -> None:
    insert = (sqlite if work.is_sqlite else postgresql).insert(SignUpCount)
    statement = insert.values(scope=scope, key=key, hour=_hour(work.now), count=weight)
    work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[SignUpCount.scope, SignUpCount.key, SignUpCount.hour],
            set_={"count": SignUpCount.count + statement.excluded.count},
        )
    )


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
