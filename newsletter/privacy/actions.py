"""Erasing a person, and erasing anew whom a restored backup brought back."""

from __future__ import annotations

from sqlalchemy import select, update

from newsletter.db.database import Database, Work
from newsletter.deliveries.models import Batch, Delivery, LaneName
from newsletter.privacy import queries
from newsletter.privacy.erasures import ErasureLog
from newsletter.privacy.removing import QUIETLY, remove_addresses
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import ConsentKind, EndReason, Request


def erase(work: Work, *, person: Subscriber, log: ErasureLog, shown: Shown | None = None) -> bool:
    """Erase a person: nothing leaves any more, and the address stands nowhere. False if that was done before.

    `shown` is what the person read beside the button. Their own sign-up is welcome later; an import is not.

    :raises ConfigError: if the erasure cannot be written down beside the database; then nothing is erased
    """
    subscription_queries.lock(work, person.id)
    work.session.refresh(person)
    if person.address is None:
        return False
    hashes = [person.address_hash, *queries.former_hashes(work, person.id)]
    log.append(work.now, hashes)
    for each in hashes:
        subscriber_actions.suppress(work, address_hash=each, reason=SuppressionReason.ERASURE)
    _carry_out(work, person.id, shown=shown)
    work.session.refresh(person)
    return True


def close_erased(work: Work, *, address_hash: str, log: ErasureLog) -> None:
    """Close an address whose person has gone already, so that no import and no restored backup brings it back.

    :raises ConfigError: if that cannot be written down beside the database
    """
    log.append(work.now, [address_hash])
    subscriber_actions.suppress(work, address_hash=address_hash, reason=SuppressionReason.ERASURE)


def erase_anew(database: Database, log: ErasureLog) -> int:
    """Erase whom the log names and a restored backup has brought back; return how many. Safe to repeat and at once.

    Reads the log and asks two questions; writes only where something is amiss.

    :raises ConfigError: if the log cannot be read
    """
    erased = log.read()
    if not erased:
        return 0
    with database.reading() as work:
        found = queries.revived(work, erased)
        not_closed = queries.not_closed(work, erased)
    if not_closed:
        with database.work() as work:
            for each in not_closed:
                subscriber_actions.suppress(work, address_hash=each, reason=SuppressionReason.ERASURE)
    for number in found:
        with database.work() as work:
            subscription_queries.lock(work, number)
            _carry_out(work, number)
    return len(found)


def _carry_out(work: Work, subscriber_id: int, *, shown: Shown | None = None) -> None:
    # The rows of mails first, as senders take them, so that no two works wait for each other crosswise.
    work.session.execute(
        update(Delivery)
        .where(Delivery.subscriber_id == subscriber_id, Delivery.reply.is_not(None))
        .values(reply=None)
        .execution_options(**QUIETLY)
    )
    _take_from_others(work, subscriber_id)
    for subscription in subscription_queries.of_subscriber(work, subscriber_id, *subscription_queries.OPEN):
        subscription.end(work.now, reason=EndReason.ERASURE)
        witness(work, subscription, ConsentKind.LEFT, subscription.language, shown)
    work.session.flush()
    remove_addresses(work, [subscriber_id])


def _take_from_others(work: Work, subscriber_id: int) -> None:
    """Take the address out of what others asked for: to move to it, or they left it; a server's reply may quote it."""
    own = select(Subscriber.address_hash).where(Subscriber.id == subscriber_id).scalar_subquery()
    others = select(Request.id, Request.subscriber_id).where(
        Request.address_hash == own, Request.subscriber_id != subscriber_id
    )
    of_answers = select(Batch.id).where(Batch.lane != LaneName.DIGEST)
    for request_id, asking in work.session.execute(others.order_by(Request.id)).all():  # few, if any
        went_there = (Delivery.subscriber_id == asking, Delivery.occasion == request_id)
        work.session.execute(
            update(Delivery)
            .where(*went_there, Delivery.batch_id.in_(of_answers), Delivery.reply.is_not(None))
            .values(reply=None)
            .execution_options(**QUIETLY)
        )
    work.session.execute(
        update(Request)
        .where(Request.address_hash == own, Request.address.is_not(None))
        .values(address=None)
        .execution_options(**QUIETLY)
    )
