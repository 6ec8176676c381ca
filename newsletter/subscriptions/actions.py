"""Subscribing, confirming, leaving, choosing: what a citizen does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from newsletter.base.addresses import read_address
from newsletter.base.errors import ExpiredToken, InvalidInput
from newsletter.base.languages import language
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.deliveries import actions as outbox
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.models import LaneName
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber, SuppressionReason, closes
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import (
    BudgetEntry,
    Consent,
    ConsentKind,
    EndReason,
    Form,
    Request,
    RequestKind,
    Subscription,
    SubscriptionState,
)

CONFIRMATIONS_A_DAY = 1
CONFIRMATIONS_A_MONTH = 3
PREFERENCE_LINKS_A_DAY = 3
CONFIRMATION_PATIENCE = timedelta(days=3)
PREFERENCES_PATIENCE = timedelta(hours=1)
UNCONFIRMED_FOR = timedelta(days=7)
DAY, MONTH = timedelta(days=1), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SignUp:
    """What the form asked for.

    `topics` names the chosen topics by newsletter (a newsletter that is not in it: all its topics); `languages` is
    the reader's order of preference, of which each newsletter takes those it speaks; a newsletter that does not come
    at this `frequency`, while another one chosen does, comes at its own; `text_shown` is what the person read before
    pressing the button.
    """

    address: str
    newsletters: Sequence[str]
    languages: Sequence[str]
    frequency: Frequency | None
    page_language: str
    text_shown: str
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)


def request_subscription(work: Work, *, sign_up: SignUp, address_key: bytes) -> None:
    """Take the first step of the double opt-in. The answer is the same for every address; the rest goes by mail.

    :raises InvalidInput: if the address, a topic, a language or the frequency cannot be used
    :raises NotFound: if there is no such newsletter
    """
    for code in (sign_up.page_language, *sign_up.languages):
        language(code)
    address = read_address(sign_up.address)
    if not sign_up.newsletters:
        raise InvalidInput("no newsletter was chosen", code="no_newsletter")
    chosen = [newsletter_queries.by_slug(work, slug) for slug in dict.fromkeys(sign_up.newsletters)]
    wishes = [_wish(sign_up, newsletter, chosen) for newsletter in chosen]
    person = subscriber_actions.know(work, address=address, address_key=address_key)
    queries.lock(work, person.id)
    is_mailed = _may_mail(work, person)
    pending = [_ask(work, person, wish, sign_up, is_mailed=is_mailed) for wish in wishes]
    kind = RequestKind.CONFIRMATION if any(pending) else RequestKind.ALREADY_SUBSCRIBED
    if is_mailed:
        work.session.add(BudgetEntry(address_hash=person.address_hash, mailed_at=work.now))
        _mail(work, person, kind, newsletter_id=wishes[0].newsletter.id, spoken=sign_up.page_language)


def confirm(
    work: Work, *, token: str, links: Links, text_shown: str, shown: Collection[int] | None = None
) -> Sequence[Subscription]:
    """Take the second step for all that this person asked for, and return what is active. Safe to repeat.

    `text_shown` is what the person read beside the button, `shown` the subscriptions it spoke of (None: all pending
    ones): what somebody else asked for since then stays pending.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is too old, or what it was about has ended unconfirmed
    """
    request = queries.request(work, links.read_confirm(token, now=work.now))
    queries.lock(work, request.subscriber_id)
    pending = [
        subscription
        for subscription in queries.of_subscriber(work, request.subscriber_id, SubscriptionState.PENDING)
        if shown is None or subscription.id in shown
    ]
    if not pending and request.answered_at is None:
        raise ExpiredToken("what this link was about has ended", code="nothing_to_confirm")
    watermark = newsletter_queries.current_sequence(work)
    for subscription in pending:
        subscription.activate(work.now, watermark=watermark)
        _witness(work, subscription, ConsentKind.CONFIRMED, request.language, text_shown)
    request.answered_at = request.answered_at or work.now
    queries.answer_budget(work, address_hash=request.subscriber.address_hash)
    work.session.flush()
    return queries.of_subscriber(work, request.subscriber_id, SubscriptionState.ACTIVE)


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
        _witness(work, subscription, ConsentKind.LEFT, subscription.language)


def never_write_again(work: Work, *, token: str, links: Links) -> None:
    """Close an address for everything, and end all that is open. Safe to repeat.

    :raises InvalidToken: if the link is not ours
    """
    request = queries.request(work, links.read_never(token))
    queries.lock(work, request.subscriber_id)
    subscriber_actions.suppress(work, address_hash=request.subscriber.address_hash, reason=SuppressionReason.NEVER)
    for subscription in queries.of_subscriber(work, request.subscriber_id, *queries.OPEN):
        end(work, subscription, reason=EndReason.NEVER)


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
        _mail(
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
    wish = Wish(
        newsletter,
        _topic_ids(newsletter, topics),
        _languages(newsletter, languages),
        _frequency(newsletter, frequency),
    )
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
    _witness(work, subscription, ConsentKind.CHANGED, wish.languages[0])
    work.session.flush()
    work.session.refresh(subscription)


def end_unconfirmed(work: Work) -> int:
    """End what nobody confirmed within seven days. Safe to repeat."""
    return queries.end_unconfirmed(work, older_than=UNCONFIRMED_FOR)


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked wish for one newsletter."""

    newsletter: Newsletter
    topics: Sequence[int]
    languages: Sequence[str]
    frequency: Frequency


def _wish(sign_up: SignUp, newsletter: Newsletter, chosen: Sequence[Newsletter]) -> Wish:
    every = [topic.slug for topic in newsletter.topics]
    spoken = [code for code in sign_up.languages if code in newsletter.languages]
    frequency = sign_up.frequency or newsletter.rhythms[0].frequency
    if not _comes(newsletter, frequency) and any(_comes(other, frequency) for other in chosen):
        frequency = newsletter.rhythms[0].frequency
    return Wish(
        newsletter,
        _topic_ids(newsletter, sign_up.topics.get(newsletter.slug, every)),
        _languages(newsletter, spoken or sign_up.languages),
        _frequency(newsletter, frequency),
    )


def _topic_ids(newsletter: Newsletter, slugs: Sequence[str]) -> list[int]:
    known = {topic.slug: topic.id for topic in newsletter.topics}
    unknown = [slug for slug in slugs if slug not in known]
    if unknown:
        raise InvalidInput(f"the newsletter has no topic “{unknown[0]}”", code="unknown_topic")
    if not slugs:
        raise InvalidInput("no topic was chosen", code="no_topic")
    return sorted({known[slug] for slug in slugs})


def _languages(newsletter: Newsletter, codes: Sequence[str]) -> list[str]:
    chosen = list(dict.fromkeys(codes))
    if not chosen:
        raise InvalidInput("no language was chosen", code="no_language")
    for code in chosen:
        if code not in newsletter.languages:
            raise InvalidInput(f"the newsletter does not speak “{code}”", code="unknown_language")
    return chosen


def _frequency(newsletter: Newsletter, frequency: Frequency) -> Frequency:
    if not _comes(newsletter, frequency):
        raise InvalidInput(f"the newsletter does not come {frequency}", code="unknown_frequency")
    return frequency


def _comes(newsletter: Newsletter, frequency: Frequency) -> bool:
    return frequency in {rhythm.frequency for rhythm in newsletter.rhythms}


def _ask(work: Work, person: Subscriber, wish: Wish, sign_up: SignUp, *, is_mailed: bool) -> bool:
    """Write one wish down and say whether it waits for confirmation; an active subscription stays untouched.

    So does a pending one of which no new mail will speak: nobody else changes what its mail asks, or keeps it alive.
    """
    subscription = queries.open_one(work, subscriber_id=person.id, newsletter_id=wish.newsletter.id)
    if subscription is not None and (subscription.state is SubscriptionState.ACTIVE or not is_mailed):
        return subscription.state is SubscriptionState.PENDING
    chosen = queries.choice_id(
        work,
        newsletter_id=wish.newsletter.id,
        form=Form.DIGEST,
        languages=[(code, 0) for code in wish.languages],
        topics=[(topic, 0) for topic in wish.topics],
    )
    if subscription is None:
        subscription = Subscription(
            subscriber_id=person.id,
            newsletter_id=wish.newsletter.id,
            state=SubscriptionState.PENDING,
            choice_id=chosen,
        )
        work.session.add(subscription)
    subscription.choice_id = chosen
    subscription.frequency = wish.frequency
    subscription.created_at = work.now  # the seven days to confirm start anew
    work.session.flush()
    _witness(work, subscription, ConsentKind.REQUESTED, sign_up.page_language, sign_up.text_shown)
    return True


def _may_mail(work: Work, person: Subscriber) -> bool:
    """Say whether the budget of this address has room for one more confirmation."""
    reasons = subscriber_queries.suppressions_of(work, person.address_hash)
    if any(closes(reason, Purpose.CONFIRMATION) for reason in reasons):
        return False
    closed_for_news = any(closes(reason, Purpose.NEWS) for reason in reasons)
    a_month = 1 if closed_for_news else CONFIRMATIONS_A_MONTH
    return (
        queries.mailed_since(work, address_hash=person.address_hash, period=DAY) < CONFIRMATIONS_A_DAY
        and queries.mailed_since(work, address_hash=person.address_hash, period=MONTH) < a_month
    )


def _mail(work: Work, person: Subscriber, kind: RequestKind, *, newsletter_id: int, spoken: str) -> None:
    request = Request(
        subscriber_id=person.id, newsletter_id=newsletter_id, kind=kind, language=spoken, created_at=work.now
    )
    work.session.add(request)
    work.session.flush()
    is_notice = kind is RequestKind.PREFERENCES_LINK
    batch_id = ledger.standing_batch(
        work,
        lane=LaneName.NOTICE if is_notice else LaneName.CONFIRMATION,
        kind=str(kind),
        patience=PREFERENCES_PATIENCE if is_notice else CONFIRMATION_PATIENCE,
    )
    outbox.put(
        work,
        batch_id=batch_id,
        subscriber_id=person.id,
        content_id=request.id,
        occasion=request.id,
        family=person.family,
    )


def _witness(work: Work, subscription: Subscription, kind: ConsentKind, spoken: str, shown: str | None = None) -> None:
    work.session.add(
        Consent(
            subscription_id=subscription.id,
            kind=kind,
            language=spoken,
            text_hash=None if shown is None else sha256(shown.encode()).hexdigest(),
            at=work.now,
        )
    )
