"""Subscribing at once: for a person who has just proved to own the mailbox, no mail needs to ask again."""

from __future__ import annotations

from collections.abc import Sequence

from newsletter.base.errors import Conflict
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import ConsentKind, Form, Subscription, SubscriptionState
from newsletter.subscriptions.wishes import Wish, checked_wish


def subscribe_at_once(
    work: Work, *, person: Subscriber, newsletter: Newsletter, spoken: str, shown: Shown
) -> Subscription:
    """Subscribe a reader of ours to one more newsletter, with every topic. Safe to repeat.

    Languages and form are those that the person reads the others in. What comes from now on is given.

    :raises Conflict: if the person receives nothing at present, or the address is closed
    """
    queries.lock(work, person.id)
    active = queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE)
    if not active or not may_add(work, person):
        raise Conflict("only who receives a newsletter already can add one like this", code="not_active")
    subscription = queries.open_one(work, subscriber_id=person.id, newsletter_id=newsletter.id)
    if subscription is not None and subscription.state is SubscriptionState.ACTIVE:
        return subscription
    wish = wish_for(newsletter, active)
    chosen = queries.choice_id(
        work,
        newsletter_id=newsletter.id,
        form=Form.LIGHT if all(each.choice.form is Form.LIGHT for each in active) else Form.DIGEST,
        languages=[(code, 0) for code in wish.languages],
        topics=[(topic, 0) for topic in wish.topics],
    )
    if subscription is None:
        subscription = Subscription(
            subscriber_id=person.id,
            newsletter_id=newsletter.id,
            state=SubscriptionState.PENDING,
            choice_id=chosen,
            created_at=work.now,
        )
        work.session.add(subscription)
    subscription.choice_id = chosen
    subscription.frequency = wish.frequency
    work.session.flush()
    witness(work, subscription, ConsentKind.REQUESTED, spoken, shown)
    subscription.activate(work.now, watermark=newsletter_queries.current_sequence(work))
    witness(work, subscription, ConsentKind.CONFIRMED, spoken, shown)
    work.session.flush()
    return subscription


def may_add(work: Work, person: Subscriber) -> bool:
    """Say whether newsletters may be added for this person: the address is kept, and open for news."""
    return not subscriber_queries.closed_among(work, [person.id], purpose=Purpose.NEWS)


def wish_for(newsletter: Newsletter, active: Sequence[Subscription]) -> Wish:
    """Return what such a reader gets of a newsletter: every topic, in the languages read elsewhere, at its own rhythm.

    A newsletter that speaks none of these languages comes in its first.
    """
    read = [code for each in active for code in each.choice.language_codes]
    return checked_wish(
        newsletter,
        topics=[topic.slug for topic in newsletter.topics],
        languages=[code for code in read if code in newsletter.languages] or newsletter.languages[:1],
        frequency=newsletter.rhythms[0].frequency,
    )
