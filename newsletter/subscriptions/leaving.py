"""Leaving: one newsletter, or all for good."""

from __future__ import annotations

from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions import queries
from newsletter.subscriptions.evidence import witness
from newsletter.subscriptions.models import ConsentKind, EndReason, Subscription, SubscriptionState


def leave(work: Work, *, token: str, links: Links, reason: EndReason) -> Subscription | None:
    """End the subscription of an unsubscribe link; None if it was erased. Safe to repeat, for ever (RFC 8058).

    :raises InvalidToken: if the link is not ours
    """
    subscription = queries.by_id(work, links.read_unsubscribe(token).subscription_id)
    if subscription is not None:
        queries.lock(work, subscription.subscriber_id)
        work.session.refresh(subscription)
        end(work, subscription, reason=reason)
    return subscription


def end(work: Work, subscription: Subscription, *, reason: EndReason) -> None:
    """End a subscription, with evidence. Safe to repeat."""
    if subscription.state is not SubscriptionState.ENDED:
        subscription.end(work.now, reason=reason)
        witness(work, subscription, ConsentKind.LEFT, subscription.language)


def never_write_again(work: Work, *, token: str, links: Links) -> None:
    """Close an address for everything, and end all that is open. Safe to repeat.

    :raises InvalidToken: if the link is not ours
    """
    request = queries.request(work, links.read_never(token))
    queries.lock(work, request.subscriber_id)
    subscriber_actions.suppress(work, address_hash=request.subscriber.address_hash, reason=SuppressionReason.NEVER)
    for subscription in queries.of_subscriber(work, request.subscriber_id, *queries.OPEN):
        end(work, subscription, reason=EndReason.NEVER)
