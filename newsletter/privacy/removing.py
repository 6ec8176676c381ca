"""Taking an address out of every row that names it; what is evidence or statistics stays, without the person."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from sqlalchemy import select, update

from newsletter.db.database import Work
from newsletter.db.parameters import among
from newsletter.deliveries.models import Delivery
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Consent, Request, Subscription

QUIETLY = {"synchronize_session": False}


def remove_addresses(work: Work, subscriber_ids: Sequence[int]) -> None:
    """Take the addresses of these persons out of everything that is kept. The number and the keyed hash stay.

    A server's reply may quote an address, an import's evidence may hold it, and a network leads to a person, too.
    """
    # Deliveries before subscriptions and persons, as senders do, so that two works never wait for each other crosswise.
    work.session.execute(
        update(Delivery)
        .where(among(work, Delivery.subscriber_id, subscriber_ids), Delivery.reply.is_not(None))
        .values(reply=None)
        .execution_options(**QUIETLY)
    )
    work.session.execute(
        update(Request)
        .where(among(work, Request.subscriber_id, subscriber_ids), Request.address.is_not(None))
        .values(address=None)
        .execution_options(**QUIETLY)
    )
    theirs = Consent.subscription_id.in_(
        select(Subscription.id).where(among(work, Subscription.subscriber_id, subscriber_ids))
    )
    work.session.execute(
        update(Consent).where(theirs, Consent.network.is_not(None)).values(network=None).execution_options(**QUIETLY)
    )
    _clean_evidence(work, theirs)
    work.session.execute(
        update(Subscriber)
        .where(among(work, Subscriber.id, subscriber_ids))
        .values(address=None, address_key=None, removed_at=work.now)
        .execution_options(**QUIETLY)
    )


def without_person(evidence: Any) -> Any:
    """Return an import's evidence without what leads to a person: addresses of mail or network, wherever they stand."""
    match evidence:
        case dict():
            return {name: without_person(each) for name, each in evidence.items() if not _leads_to_person(each)}
        case list():
            return [without_person(each) for each in evidence if not _leads_to_person(each)]
        case _:
            return evidence


def _clean_evidence(work: Work, theirs: Any) -> None:
    rows = work.session.execute(select(Consent.id, Consent.evidence).where(theirs, Consent.evidence.is_not(None)))
    for number, evidence in rows.all():
        if (cleaned := without_person(evidence)) != evidence:
            work.session.execute(
                update(Consent).where(Consent.id == number).values(evidence=cleaned).execution_options(**QUIETLY)
            )


def _leads_to_person(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if "@" in value:
        return True
    try:
        ip_address(value.strip().partition("/")[0])
    except ValueError:
        return False
    return True
