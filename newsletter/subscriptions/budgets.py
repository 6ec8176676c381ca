"""How often an address that has not answered is written to: one confirmation (or its like) a day, three a month."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from newsletter.db.database import Work
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, closes
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import BudgetEntry

CONFIRMATIONS_A_DAY = 1
CONFIRMATIONS_A_MONTH = 3
DAY, MONTH = timedelta(days=1), timedelta(days=30)


def has_room(work: Work, *, address_hash: str) -> bool:
    """Say whether the budget of an address has room for one more confirmation; a closed one has none.

    Until this work ends nobody else is told about the same address: who asks need not be the one who has it.
    """
    if not work.is_sqlite:
        work.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"budget {address_hash}", 0))))
    reasons = subscriber_queries.suppressions_of(work, address_hash)
    if any(closes(reason, Purpose.CONFIRMATION) for reason in reasons):
        return False
    closed_for_news = any(closes(reason, Purpose.NEWS) for reason in reasons)
    a_month = 1 if closed_for_news else CONFIRMATIONS_A_MONTH
    return (
        queries.mailed_since(work, address_hash=address_hash, period=DAY) < CONFIRMATIONS_A_DAY
        and queries.mailed_since(work, address_hash=address_hash, period=MONTH) < a_month
    )


def spend(work: Work, *, address_hash: str) -> None:
    """Write down that a confirmation goes to an address now."""
    work.session.add(BudgetEntry(address_hash=address_hash, mailed_at=work.now))
