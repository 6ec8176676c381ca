"""The end of readers' pauses: what came meanwhile is owed to who catches up, and given to who starts afresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from newsletter.articles.models import Availability
from newsletter.db.database import Work
from newsletter.newsletters.queries import current_sequence
from newsletter.subscriptions.models import Subscription, SubscriptionState


def end_pauses(work: Work, *, among: Sequence[ColumnElement[bool]] = ()) -> int:
    """End the pauses that are over, of all readers or those whose Subscription fits; returns how many.

    Safe to repeat, and as exact when it comes late: what became available after a pause's end stays owed.
    """
    any_over = (Subscription.paused_until <= work.now, Subscription.state == SubscriptionState.ACTIVE)
    if not work.session.scalar(select(select(Subscription.id).where(*any_over).exists())):  # the index of few says so
        return 0
    over = (*any_over, *among)
    afresh = (*over, Subscription.catches_up.is_(False))
    lowest = select(Subscription.paused_until, func.min(Subscription.watermark)).where(*afresh)
    for until, above in work.session.execute(lowest.group_by(Subscription.paused_until)).all():
        sequence = _last_before(work, moment=until, above=above)
        work.session.execute(
            update(Subscription)
            .where(*afresh, Subscription.paused_until == until, Subscription.watermark < sequence)
            .values(watermark=sequence)
            .execution_options(synchronize_session=False)
        )
    ended = work.session.execute(
        update(Subscription)
        .where(*over)
        .values(paused_until=None, catches_up=True)
        .returning(Subscription.id)
        .execution_options(synchronize_session=False)
    )
    return len(ended.all())


def _last_before(work: Work, *, moment: datetime | None, above: int | None) -> int:
    """Return the sequence up to which everything became available by then; below `above` it need not be exact.

    Where works overlap, moments may run against the sequence: what stands behind the first later one is not given.
    """
    newest = current_sequence(work)  # first: what is numbered after this look is later
    first_later = select(func.min(Availability.sequence)).where(
        Availability.sequence > above, Availability.created_at > moment
    )
    found = work.session.scalar(first_later)
    return newest if found is None else min(found - 1, newest)
