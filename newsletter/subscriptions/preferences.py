"""Choosing: what a reader gets, when nothing comes, and the link that opens the choice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from newsletter.base.addresses import Address
from newsletter.base.errors import Conflict, ExpiredToken, InvalidInput
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.answering import answer_by_mail
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import ConsentKind, Form, RequestKind, Subscription, SubscriptionState
from newsletter.subscriptions.wishes import checked_wish

PREFERENCE_LINKS_A_DAY = 3
DAY = timedelta(days=1)
LONGEST_PAUSE = timedelta(days=366)


def ask_preferences(work: Work, *, token: str, links: Links) -> None:
    """Mail the link that opens this person's preferences; at most three a day, and none to somebody who left.

    :raises InvalidToken: if the link is not ours
    """
    subscription = queries.by_id(work, links.read_manage(token).subscription_id)
    if subscription is None:
        return
    _mail_link(work, subscription.subscriber, newsletter_id=subscription.newsletter_id)


def ask_preferences_at(work: Work, *, address: Address, wait: timedelta | None = None) -> None:
    """Mail the link to whoever reads at this address, if anybody does, by the same rules; not before `wait`."""
    person = subscriber_queries.by_address(work, address)
    if person is not None:
        _mail_link(work, person, wait=wait)


def check_link(work: Work, *, token: str, links: Links) -> None:
    """Make sure that a preferences link is in force.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is older than an hour, or than the person's last change of address: who reads at the
        former address, or moved somebody else's here, opens nothing any more
    """
    moved_at = queries.moved_at(work, subscriber_id=links.read_preferences(token, now=work.now))
    if moved_at is not None and links.read_preferences_moment(token) < moved_at:
        raise ExpiredToken("this link is from before the change of address")


def _mail_link(
    work: Work, person: Subscriber, *, newsletter_id: int | None = None, wait: timedelta | None = None
) -> None:
    """Mail the link under the letterhead of this newsletter, if the person still receives it, else of another."""
    queries.lock(work, person.id)
    active = queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE)
    asked = queries.requests_since(work, subscriber_id=person.id, kind=RequestKind.PREFERENCES_LINK, period=DAY)
    is_closed = bool(subscriber_queries.closed_among(work, [person.id], purpose=Purpose.NEWS))
    if not active or is_closed or asked >= PREFERENCE_LINKS_A_DAY:
        return
    about = next((each for each in active if each.newsletter_id == newsletter_id), active[0])
    answer_by_mail(
        work,
        person,
        RequestKind.PREFERENCES_LINK,
        newsletter_id=about.newsletter_id,
        spoken=about.language,
        wait=wait,
    )


def change(
    work: Work,
    *,
    subscription: Subscription,
    topics: Sequence[str],
    languages: Sequence[str],
    frequency: Frequency,
    form: Form | None = None,
    shown: Shown | None = None,
) -> None:
    """Change what a reader gets (without a `form` it stays). Safe to repeat.

    A topic or language added counts from this moment on; the watermark stays.

    :raises InvalidInput: if a topic, a language or the frequency cannot be used
    :raises Conflict: if the subscription is not active
    """
    newsletter = subscription.newsletter
    wish = checked_wish(newsletter, topics=topics, languages=languages, frequency=frequency)
    _hold_active(work, subscription)
    old = subscription.choice
    now = newsletter_queries.current_sequence(work)
    kept_topics = dict(old.topics_since)
    kept_languages = dict(old.languages_since)
    chosen = queries.choice_id(
        work,
        newsletter_id=newsletter.id,
        form=form or old.form,
        languages=[(code, kept_languages.get(code, now)) for code in wish.languages],
        topics=[(topic, kept_topics.get(topic, now)) for topic in wish.topics],
    )
    if (chosen, wish.frequency) == (old.id, subscription.frequency):
        return
    if set(wish.topics) != set(kept_topics) or set(wish.languages) != set(kept_languages):
        subscription.changed = True
    subscription.choice_id = chosen
    subscription.frequency = wish.frequency
    witness(work, subscription, ConsentKind.CHANGED, wish.languages[0], shown)
    work.session.flush()
    work.session.refresh(subscription)


def pause(
    work: Work, *, subscription: Subscription, until: datetime, catches_up: bool, shown: Shown | None = None
) -> None:
    """Let nothing be planned for a reader until then; the watermark stays. Safe to repeat.

    A reader who `catches_up` then gets all that came meanwhile; for another one all of it counts as given.

    :raises InvalidInput: if that moment is not ahead, or more than a year away
    :raises Conflict: if the subscription is not active, or what an earlier pause let pass was not counted as given yet
    """
    if until <= work.now:
        raise InvalidInput("a pause ends on a day to come", code="pause_not_ahead")
    if until > work.now + LONGEST_PAUSE:
        raise InvalidInput("a pause lasts a year at most", code="pause_too_long")
    _hold_active(work, subscription)
    if (subscription.paused_until, subscription.catches_up) == (until, catches_up):
        return
    if catches_up and _lets_pass(subscription) and not _is_paused(work, subscription):
        raise Conflict("an earlier pause is just being ended: try again in some minutes", code="pause_ending")
    subscription.paused_until = until
    subscription.catches_up = catches_up
    witness(work, subscription, ConsentKind.CHANGED, subscription.language, shown)
    work.session.flush()


def resume(work: Work, *, subscription: Subscription, shown: Shown | None = None) -> None:
    """End a reader's pause now; one that is over is left to the next run. Safe to repeat.

    :raises Conflict: if the subscription is not active
    """
    _hold_active(work, subscription)
    if not _is_paused(work, subscription):
        return
    if _lets_pass(subscription):
        subscription.watermark = max(subscription.watermark or 0, newsletter_queries.current_sequence(work))
    subscription.paused_until = None
    subscription.catches_up = True
    witness(work, subscription, ConsentKind.CHANGED, subscription.language, shown)
    work.session.flush()


def _hold_active(work: Work, subscription: Subscription) -> None:
    """Let one work at a time act for this reader, and see the subscription as it is now."""
    queries.lock(work, subscription.subscriber_id)
    work.session.refresh(subscription, with_for_update={"of": Subscription, "key_share": True})
    if subscription.state is not SubscriptionState.ACTIVE:
        raise Conflict("only an active subscription can be changed", code="not_active")


def _is_paused(work: Work, subscription: Subscription) -> bool:
    return subscription.paused_until is not None and subscription.paused_until > work.now


def _lets_pass(subscription: Subscription) -> bool:
    """Say whether what comes in a reader's pause counts as given."""
    return subscription.paused_until is not None and not subscription.catches_up
