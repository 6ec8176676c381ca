"""Choosing: what a reader gets, and the link that opens the choice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose
from newsletter.subscriptions import queries
from newsletter.subscriptions.answering import answer_by_mail
from newsletter.subscriptions.evidence import witness
from newsletter.subscriptions.models import ConsentKind, RequestKind, Subscription, SubscriptionState
from newsletter.subscriptions.wishes import checked_wish

PREFERENCE_LINKS_A_DAY = 3
DAY = timedelta(days=1)


def ask_preferences(work: Work, *, token: str, links: Links) -> None:
    """Mail the link that opens this person's preferences; at most three a day, and none to somebody who left.

    :raises InvalidToken: if the link is not ours
    """
    subscription = queries.by_id(work, links.read_manage(token).subscription_id)
    if subscription is None:
        return
    person = subscription.subscriber
    if not queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE):
        return
    queries.lock(work, person.id)
    asked = queries.requests_since(work, subscriber_id=person.id, kind=RequestKind.PREFERENCES_LINK, period=DAY)
    if asked < PREFERENCE_LINKS_A_DAY and not subscriber_queries.closed_among(work, [person.id], purpose=Purpose.NEWS):
        answer_by_mail(
            work,
            person,
            RequestKind.PREFERENCES_LINK,
            newsletter_id=subscription.newsletter_id,
            spoken=subscription.language,
        )


def change(
    work: Work,
    *,
    subscription: Subscription,
    topics: Sequence[str],
    languages: Sequence[str],
    frequency: Frequency,
) -> None:
    """Change what a reader gets. A topic or language added counts from this moment on; the watermark stays.

    :raises InvalidInput: if a topic, a language or the frequency cannot be used
    """
    newsletter = subscription.newsletter
    wish = checked_wish(newsletter, topics=topics, languages=languages, frequency=frequency)
    queries.lock(work, subscription.subscriber_id)
    work.session.refresh(subscription)
    old = subscription.choice
    now = newsletter_queries.current_sequence(work)
    kept_topics = dict(old.topics_since)
    kept_languages = dict(old.languages_since)
    chosen = queries.choice_id(
        work,
        newsletter_id=newsletter.id,
        form=old.form,
        languages=[(code, kept_languages.get(code, now)) for code in wish.languages],
        topics=[(topic, kept_topics.get(topic, now)) for topic in wish.topics],
    )
    if set(wish.topics) != set(kept_topics) or set(wish.languages) != set(kept_languages):
        subscription.changed = True
    subscription.choice_id = chosen
    subscription.frequency = wish.frequency
    witness(work, subscription, ConsentKind.CHANGED, wish.languages[0])
    work.session.flush()
    work.session.refresh(subscription)
