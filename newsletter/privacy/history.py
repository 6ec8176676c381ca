"""Forgetting persons whose address has long gone: nothing of them stays but what the books of issues count."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, select, union, update

from newsletter.db.database import Work
from newsletter.db.parameters import among
from newsletter.deliveries.models import Batch, Delivery, LaneName
from newsletter.privacy.removing import QUIETLY
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Consent, Request, Subscription

NOBODY = "0" * 64  # where a person's keyed hash stands: no address has this one


def forget_persons(work: Work, subscriber_ids: Sequence[int]) -> None:
    """Delete these persons with all that is kept of them. Their rows in the books of issues become nobody's.

    Which issue, what became of the mail, and why: that stays, and the books balance as before.
    """
    if not subscriber_ids:
        return
    of_issues = select(Batch.id).where(Batch.lane == LaneName.DIGEST)
    their_mails = among(work, Delivery.subscriber_id, subscriber_ids)
    work.session.execute(
        update(Delivery)
        .where(their_mails, Delivery.batch_id.in_(of_issues))
        .values(subscriber_id=_nobody(work), subscription_id=None, occasion=Delivery.id, reply=None)
        .execution_options(**QUIETLY)
    )
    work.session.execute(delete(Delivery).where(their_mails).execution_options(**QUIETLY))
    work.session.execute(
        delete(Request).where(among(work, Request.subscriber_id, subscriber_ids)).execution_options(**QUIETLY)
    )
    theirs = among(work, Subscription.subscriber_id, subscriber_ids)
    subscription_ids = work.session.scalars(select(Subscription.id).where(theirs)).all()
    work.session.execute(
        delete(Consent).where(among(work, Consent.subscription_id, subscription_ids)).execution_options(**QUIETLY)
    )
    these = among(work, Subscription.id, subscription_ids)
    work.session.execute(update(Subscription).where(these).values(continues_id=None).execution_options(**QUIETLY))
    work.session.execute(delete(Subscription).where(these).execution_options(**QUIETLY))
    work.session.execute(
        delete(Subscriber).where(among(work, Subscriber.id, subscriber_ids)).execution_options(**QUIETLY)
    )


def holders_of_newest_rows() -> Select[int]:
    """Return the query of the persons whose rows are the newest of their tables: they wait for newer ones.

    SQLite gives the number of a deleted newest row again, and links that never expire are about numbers: an old link
    would unsubscribe somebody else.
    """
    newest = union(
        select(func.max(Subscriber.id).label("id")),
        *(
            select(table.subscriber_id).where(table.id == select(func.max(table.id)).scalar_subquery())
            for table in (Subscription, Request, Delivery)
        ),
    ).subquery()
    return select(newest.c.id).where(newest.c.id.is_not(None))


def _nobody(work: Work) -> int:
    """Return the number of the row that stands for persons who were forgotten, made now if there is none."""
    found = work.session.scalar(select(func.min(Subscriber.id)).where(Subscriber.address_hash == NOBODY))
    if found is not None:
        return found
    nobody = Subscriber(address_hash=NOBODY, created_at=work.now)
    work.session.add(nobody)
    work.session.flush()
    return nobody.id
