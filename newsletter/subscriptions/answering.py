"""Answering a person's request by mail: the request, and its delivery in the lane that composes it."""

from __future__ import annotations

from datetime import timedelta

from newsletter.base.addresses import Address
from newsletter.base.families import family_of
from newsletter.db.database import Work
from newsletter.deliveries import actions as outbox
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.models import LaneName
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Request, RequestKind

_LANES = {
    RequestKind.CONFIRMATION: LaneName.CONFIRMATION,
    RequestKind.ALREADY_SUBSCRIBED: LaneName.CONFIRMATION,
    RequestKind.PREFERENCES_LINK: LaneName.NOTICE,
    RequestKind.CHANGE_ADDRESS: LaneName.CONFIRMATION,
    RequestKind.ADDRESS_CHANGED: LaneName.NOTICE,
}
_PATIENCE = {
    RequestKind.CONFIRMATION: timedelta(days=3),
    RequestKind.ALREADY_SUBSCRIBED: timedelta(days=3),
    RequestKind.PREFERENCES_LINK: timedelta(hours=1),
    RequestKind.CHANGE_ADDRESS: timedelta(days=1),
    RequestKind.ADDRESS_CHANGED: timedelta(days=3),
}


def answer_by_mail(
    work: Work,
    person: Subscriber,
    kind: RequestKind,
    *,
    newsletter_id: int,
    spoken: str,
    to: Address | None = None,
    to_hash: str | None = None,
    wait: timedelta | None = None,
) -> Request:
    """Write a request down and put its mail into the outbox, in the lane and for as long as its kind asks.

    The mail goes to the person's address, or to the address `to` whose keyed hash is `to_hash`; not before `wait`. The
    request keeps the hash of where it goes: "never write to me again" closes that address, whoever has moved since.
    """
    request = Request(
        subscriber_id=person.id,
        newsletter_id=newsletter_id,
        kind=kind,
        language=spoken,
        address=None if to is None else to.mailed,
        address_hash=to_hash or person.address_hash,
        created_at=work.now,
    )
    work.session.add(request)
    work.session.flush()
    batch_id = ledger.standing_batch(work, lane=_LANES[kind], kind=str(kind), patience=_PATIENCE[kind])
    outbox.put(
        work,
        batch_id=batch_id,
        subscriber_id=person.id,
        content_id=request.id,
        occasion=request.id,
        family=person.family if to is None else family_of(to.mailed),
        not_before=None if wait is None else work.now + wait,
    )
    return request
