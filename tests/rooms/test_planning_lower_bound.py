"""Readers who get no mail anyway do not make planning read the history since they joined."""

from __future__ import annotations

from datetime import timedelta

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.issues import actions, gathering
from newsletter.newsletters.queries import by_slug
from newsletter.subscribers.actions import suppress
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.models import Subscription


def test_a_closed_address_that_lags_behind_does_not_widen_what_is_looked_at(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    lagging, current = make_reader(parts, "closed@example.com"), make_reader(parts, "lectrice@example.com")
    with parts.database.work() as work:
        work.session.get_one(Subscription, current.id).watermark = 70_000
        suppress(
            work,
            address_hash=work.session.get_one(Subscription, lagging.id).subscriber.address_hash,
            reason=SuppressionReason.HARD_BOUNCE,
        )
    clock.advance(timedelta(days=7) - timedelta(minutes=50))
    with parts.database.work() as work:
        newsletter = by_slug(work, "hebdo")
        issue = actions.open_due(work, newsletter=newsletter, rhythm=newsletter.rhythms[0])
        assert issue is not None
        work.session.flush()
        everybody = gathering.next_slice(work, issue, size=10)
        assert everybody is not None
        assert gathering.gather(work, everybody) == gathering.Gathered(audience=2, lowest_watermark=70_000)
