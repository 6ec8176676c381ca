"""Leaving: a topic, one newsletter, all of them, or for good; and taking it back."""

from __future__ import annotations

from newsletter.base.errors import Conflict, InvalidToken
from newsletter.base.links import UNDO_FOR, Links
from newsletter.db.database import Work
from newsletter.deliveries.actions import hand_over
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, SuppressionReason
from newsletter.subscriptions import queries
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import ConsentKind, EndReason, Subscription, SubscriptionState
from newsletter.subscriptions.preferences import change

LEAVE_FORM, LEAVE_ALL_FORM, TOPIC_FORM, UNDO_FORM = "leave-1", "leave-all-1", "leave-topic-1", "undo-1"
NEVER_FORM = "never-1"
OF_THEIR_OWN = (EndReason.ONE_CLICK, EndReason.PAGE)


def leave(
    work: Work, *, token: str, links: Links, reason: EndReason, text_shown: str | None = None
) -> Subscription | None:
    """End the subscription of an unsubscribe link; None if it was erased. Safe to repeat, for ever (RFC 8058).

    Where an undo took it up again, the link leads on to what continues it. `text_shown` is what the person read beside
    the button; a mail program shows nothing.

    :raises InvalidToken: if the link is not ours
    """
    subscription = _locked(work, links.read_unsubscribe(token).subscription_id)
    if subscription is not None:
        shown = None if text_shown is None else Shown(text_shown, LEAVE_FORM)
        end(work, subscription, reason=reason, shown=shown)
    return subscription


def leave_all(work: Work, *, token: str, links: Links, text_shown: str) -> Subscription | None:
    """End all open subscriptions of the person of an unsubscribe link; returns the link's own, None if it was erased.

    Safe to repeat.

    :raises InvalidToken: if the link is not ours
    """
    subscription = _locked(work, links.read_unsubscribe(token).subscription_id)
    if subscription is not None:
        shown = Shown(text_shown, LEAVE_ALL_FORM, language=subscription.language)
        for each in queries.of_subscriber(work, subscription.subscriber_id, *queries.OPEN):
            end(work, each, reason=EndReason.PAGE, shown=shown)
        work.session.flush()
    return subscription


def leave_topic(work: Work, *, token: str, links: Links, text_shown: str) -> Subscription | None:
    """Take one topic off a reader's choice, unless it is the last; None if the subscription was erased.

    Safe to repeat, for ever; on one that has ended it does nothing.

    :raises InvalidToken: if the link is not ours
    """
    subscription_id, topic_id = links.read_topic(token)
    subscription = _locked(work, subscription_id)
    if subscription is None or subscription.state is not SubscriptionState.ACTIVE:
        return subscription
    chosen = set(subscription.choice.topic_ids)
    left = [topic.slug for topic in subscription.newsletter.topics if topic.id in chosen - {topic_id}]
    if topic_id in chosen and left:
        change(
            work,
            subscription=subscription,
            topics=left,
            languages=subscription.choice.language_codes,
            frequency=subscription.frequency,
            shown=Shown(text_shown, TOPIC_FORM),
        )
    return subscription


def undo(work: Work, *, token: str, links: Links, text_shown: str) -> Subscription:
    """Take up again what somebody just left, by a new subscription that goes on where the ended one was.

    What was left by one press on "all" comes back together. Safe to repeat: where something is in place of the ended
    one already, that is returned, whatever its state.

    :raises InvalidToken: if the link is not ours, or what it was about is no longer kept
    :raises ExpiredToken: if it is older than half an hour
    :raises Conflict: if it cannot be taken up again: the address was closed or removed, or somebody else ended it
    """
    ended = undoes(work, token=token, links=links)
    queries.lock(work, ended.subscriber_id)
    work.session.refresh(ended)
    present = in_place_of(work, ended)
    if present is not None:
        return present
    links.read_undo(token, now=work.now)
    for each in [ended, *queries.left_together(work, ended, form_version=LEAVE_ALL_FORM)]:
        if in_place_of(work, each) is None:
            _take_up(work, each, text_shown)
    present = in_place_of(work, ended)
    assert present is not None  # noqa: S101 (taken up, or refused)
    return present


def undoes(work: Work, *, token: str, links: Links) -> Subscription:
    """Return the ended subscription that an undo link of any age is about.

    :raises InvalidToken: if the link is not ours, or what it was about is no longer kept
    """
    ended = queries.by_id(work, links.read_old_undo(token))
    if ended is None:
        raise InvalidToken("what this link was about is no longer kept")
    return ended


def undo_offered(work: Work, subscription: Subscription, *, links: Links) -> str | None:
    """Return the token that takes an end back, good until half an hour after it; None if it cannot be taken back.

    Nothing is in place of the subscription: see `in_place_of`.
    """
    if subscription.ended_at is None or not _can_undo(work, subscription):
        return None
    return links.undo_token(subscription.id, at=subscription.ended_at)


def in_place_of(work: Work, ended: Subscription) -> Subscription | None:
    """Return what a person has instead of an ended subscription: what continues it, else a newer open one."""
    last = queries.last_of(work, ended.id)
    if last is not None and last.id != ended.id:
        return last
    return queries.open_one(work, subscriber_id=ended.subscriber_id, newsletter_id=ended.newsletter_id)


def left_all(work: Work, subscription: Subscription) -> bool:
    """Say whether this subscription was ended by the button that ends all of a person."""
    consents = queries.consents(work, subscription.id)
    return any(each.kind is ConsentKind.LEFT and each.form_version == LEAVE_ALL_FORM for each in consents)


def end(work: Work, subscription: Subscription, *, reason: EndReason, shown: Shown | None = None) -> None:
    """End a subscription, with evidence. Safe to repeat."""
    if subscription.state is not SubscriptionState.ENDED:
        subscription.end(work.now, reason=reason)
        witness(work, subscription, ConsentKind.LEFT, subscription.language, shown)


def never_write_again(work: Work, *, token: str, links: Links, text_shown: str | None = None) -> None:
    """Close the address that a mail went to for everything, and end all that is open there. Safe to repeat.

    It is not always the address of who asked: a new one to be confirmed is somebody's own, and persons move.

    :raises InvalidToken: if the link is not ours
    """
    request = queries.request(work, links.read_never(token))
    shown = None if text_shown is None else Shown(text_shown, NEVER_FORM, language=request.language)
    closed = request.address_hash or request.subscriber.address_hash
    subscriber_actions.suppress(work, address_hash=closed, reason=SuppressionReason.NEVER)
    for person in subscriber_queries.by_hash(work, closed):
        queries.lock(work, person.id)
        for subscription in queries.of_subscriber(work, person.id, *queries.OPEN):
            end(work, subscription, reason=EndReason.NEVER, shown=shown)


def _locked(work: Work, subscription_id: int) -> Subscription | None:
    """Return what a link's subscription has become, as it is now; nobody else acts for its person meanwhile."""
    named = queries.by_id(work, subscription_id)
    if named is None:
        return None
    queries.lock(work, named.subscriber_id)
    last = queries.last_of(work, subscription_id)
    if last is not None:
        work.session.refresh(last)
    return last


def _take_up(work: Work, ended: Subscription, text_shown: str) -> None:
    if not _can_undo(work, ended):
        raise Conflict("this can no longer be taken up again", code="cannot_undo")
    taken = Subscription(
        subscriber_id=ended.subscriber_id,
        newsletter_id=ended.newsletter_id,
        state=SubscriptionState.PENDING,
        frequency=ended.frequency,
        choice_id=ended.choice_id,
        changed=ended.changed,
        catches_up=ended.catches_up,
        paused_until=ended.paused_until,
        continues_id=ended.id,
        created_at=work.now,
    )
    work.session.add(taken)
    work.session.flush()
    hand_over(work, from_subscription=ended.id, to_subscription=taken.id)
    # Only now: the result of a mail on its way, written before the rows were ours, has moved it.
    work.session.refresh(ended, ["watermark"])
    taken.activate(work.now, watermark=ended.watermark or 0)
    witness(work, taken, ConsentKind.UNDONE, ended.language, Shown(text_shown, UNDO_FORM))
    work.session.flush()


def _can_undo(work: Work, ended: Subscription) -> bool:
    return (
        ended.ended_at is not None
        and work.now - ended.ended_at.replace(microsecond=0) <= UNDO_FOR  # a token knows whole seconds
        and ended.activated_at is not None
        and ended.end_reason in OF_THEIR_OWN
        and not subscriber_queries.closed_among(work, [ended.subscriber_id], purpose=Purpose.NEWS)
    )
