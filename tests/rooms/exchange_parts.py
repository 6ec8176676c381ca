"""Files of subscribers, brought in and taken out, and the rows that they become."""

from __future__ import annotations

import io
from collections.abc import Sequence

from sqlalchemy import func, select

from newsletter.base.addresses import address_hash, read_address
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions import leaving
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.exporting import export_subscribers
from newsletter.subscriptions.exchange.formats import Format
from newsletter.subscriptions.exchange.importing import Source, Summary, Told, import_subscribers
from newsletter.subscriptions.models import (
    Consent,
    EndReason,
    Subscription,
    SubscriptionState,
)

JUNE = "2024-06-01 10:00:00"
FRENCH = Terms(languages=["fr"])
KNOWN = Terms(languages=["fr"], evidence="paper forms of 2024, kept in the archive")
MAILCHIMP = "Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LEID,EUID\n"


def bring(
    parts: Parts,
    text: str | bytes,
    *,
    terms: Terms = FRENCH,
    name: str = "readers.csv",
    dry_run: bool = False,
    told: list[Told] | None = None,
    named: Format | None = None,
) -> Summary:
    data = text.encode() if isinstance(text, str) else text
    return import_subscribers(
        parts.database,
        source=Source(io.BufferedReader(io.BytesIO(data)), name, named),  # type: ignore[arg-type]
        newsletter="hebdo",
        terms=terms,
        address_key=parts.address_key,
        dry_run=dry_run,
        tell=(told if told is not None else []).append,
        progress=lambda _: None,
    )


def take_out(parts: Parts, *, newsletter: str | None = None, state: SubscriptionState | None = None) -> str:
    out = io.StringIO(newline="")
    export_subscribers(parts.database, to=out, newsletter=newsletter, state=state)
    return out.getvalue()


def rows_of(parts: Parts, address: str) -> Sequence[Subscription]:
    with parts.database.reading() as work:
        hashed = address_hash(parts.address_key, read_address(address).key)
        return work.session.scalars(
            select(Subscription)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscriber.address_hash == hashed)
            .order_by(Subscription.id)
        ).all()


def consents_of(parts: Parts, subscription: Subscription) -> Sequence[Consent]:
    with parts.database.reading() as work:
        return work.session.scalars(
            select(Consent).where(Consent.subscription_id == subscription.id).order_by(Consent.id)
        ).all()


def counts(parts: Parts) -> list[int]:
    with parts.database.reading() as work:
        tables = (Subscriber, Subscription, Consent, Suppression, Delivery)
        return [work.session.scalars(select(func.count()).select_from(table)).one() for table in tables]


def close(parts: Parts, address: str, reason: SuppressionReason) -> None:
    with parts.database.work() as work:
        subscriber_actions.suppress(
            work, address_hash=address_hash(parts.address_key, read_address(address).key), reason=reason
        )


def leave(parts: Parts, subscription: Subscription) -> None:
    with parts.database.work() as work:
        found = work.session.get_one(Subscription, subscription.id)
        leaving.end(work, found, reason=EndReason.PAGE)
