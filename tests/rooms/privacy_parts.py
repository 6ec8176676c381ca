"""Readers with everything that can be kept of one, and looking for what is left: what privacy's tests stand on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from factories import ask, make_reader
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.schema import Table
from newsletter.deliveries.models import Delivery
from newsletter.operations.run_due import run_due
from newsletter.privacy import actions
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.address_change import ask_new_address
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import Consent, ConsentKind, EndReason, Subscription

ADDRESS = "salma.bennani@gmail.com"
NETWORK = "198.51.100.0/24"


def rich_reader(parts: Parts, address: str = ADDRESS) -> Subscription:
    """Make a reader whose address stands wherever it can: in a reply, in a request, in an import's evidence."""
    reader = make_reader(parts, address)
    with parts.database.work() as work:
        person = subscriber_queries.by_id(work, reader.subscriber_id)
        subscription = queries.by_id(work, reader.id)
        assert subscription is not None
        spoken = Shown("I agree.", "sign-up-1", NETWORK)
        evidence = {"from": "mailchimp", "row": {"EMAIL": address, "ip": "198.51.100.7"}, "at": "2024-01-05"}
        witness(work, subscription, ConsentKind.IMPORTED, "fr", spoken, evidence=evidence)
        new = read_address(f"new.{address}")
        ask_new_address(work, person=person, address=new, address_key=parts.address_key, spoken="fr")
        work.session.flush()
        work.session.execute(
            update(Delivery).where(Delivery.subscriber_id == person.id).values(reply=f"250 <{address}> ok")
        )
    return reader


def erase(parts: Parts, subscriber_id: int) -> bool:
    with parts.database.work() as work:
        person = subscriber_queries.by_id(work, subscriber_id)
        return actions.erase(work, person=person, log=parts.erasures)


def rows_with(parts: Parts, *words: str) -> dict[str, int]:
    """Return in how many rows of which tables one of these words stands."""
    found: dict[str, int] = {}
    with parts.database.reading() as work:
        for table in Table.metadata.sorted_tables:
            rows = [repr(tuple(row)) for row in work.session.execute(select(table))]
            if count := sum(any(word in row for word in words) for row in rows):
                found[table.name] = count
    return found


def row(parts: Parts, table: type[Any], number: int) -> Any:
    with parts.database.reading() as work:
        return work.session.get(table, number)


def person(parts: Parts, subscriber_id: int) -> Subscriber | None:
    return row(parts, Subscriber, subscriber_id)  # type: ignore[no-any-return]


def state(parts: Parts, subscription_id: int) -> tuple[str, str | None]:
    found = row(parts, Subscription, subscription_id)
    return str(found.state), found.end_reason and str(found.end_reason)


def consents_of(parts: Parts, subscription_id: int) -> list[Consent]:
    with parts.database.reading() as work:
        return list(queries.consents(work, subscription_id))


def leave(parts: Parts, subscription_id: int) -> None:
    """End a subscription now, as a person does."""
    with parts.database.work() as work:
        subscription = queries.by_id(work, subscription_id)
        assert subscription is not None
        subscription.end(work.now, reason=EndReason.PAGE)


def newer_rows(parts: Parts, clock: SetClock) -> None:
    """Let somebody else sign up, confirm and be mailed, so that nobody else's rows are the newest."""
    make_reader(parts, f"later{clock.now():%Y%m%d%H%M%S}@example.org")
    ask(parts, f"asking{clock.now():%Y%m%d%H%M%S}@example.org")
    run_due(parts.postroom)
    clock.advance(timedelta(seconds=1))
