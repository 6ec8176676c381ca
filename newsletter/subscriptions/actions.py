"""Subscribing and confirming: the two steps of the double opt-in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.base.addresses import Address, read_address
from newsletter.base.errors import ExpiredToken, InvalidInput
from newsletter.base.languages import language
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import budgets, limits, queries
from newsletter.subscriptions.answering import answer_by_mail
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import (
    ConsentKind,
    Form,
    Request,
    RequestKind,
    Subscription,
    SubscriptionState,
)
from newsletter.subscriptions.wishes import Wish, checked_wish, comes

UNCONFIRMED_FOR = timedelta(days=7)
CONFIRM_FORM = "confirm-1"


@dataclass(frozen=True, slots=True)
class SignUp:
    """What the form asked for.

    `topics` names the chosen topics by newsletter (a newsletter that is not in it: all its topics); `languages` is
    the reader's order of preference, of which each newsletter takes those it speaks; a newsletter that does not come
    at this `frequency`, while another one chosen does, comes at its own; `text_shown` is what the person read before
    pressing the button in this version of the form; `network` is where it came from, truncated.
    """

    address: str
    newsletters: Sequence[str]
    languages: Sequence[str]
    frequency: Frequency | None
    page_language: str
    text_shown: str
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form_version: str = ""
    network: str | None = None


def request_subscription(work: Work, *, sign_up: SignUp, address_key: bytes, wait: timedelta | None = None) -> None:
    """Take the first step of the double opt-in. The answer is the same for every address; the rest goes by mail.

    The mail does not leave before `wait`.

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
    person = _held(work, address, address_key)
    is_mailed = budgets.has_room(work, address_hash=person.address_hash)
    pending = [_ask(work, person, wish, sign_up, is_mailed=is_mailed) for wish in wishes]
    kind = RequestKind.CONFIRMATION if any(pending) else RequestKind.ALREADY_SUBSCRIBED
    if is_mailed:
        budgets.spend(work, address_hash=person.address_hash)
        first = wishes[0].newsletter.id
        answer_by_mail(work, person, kind, newsletter_id=first, spoken=sign_up.page_language, wait=wait)
        if kind is RequestKind.CONFIRMATION:
            limits.count_mailed(work)


def confirm(
    work: Work, *, token: str, links: Links, text_shown: str, shown: Collection[str] | None = None
) -> Sequence[Subscription]:
    """Take the second step for what this person asked for, and return what is active. Safe to repeat.

    `text_shown` is what the person read beside the button, `shown` the newsletters it spoke of (None: those that the
    mail asked about): what somebody else asked for since then stays pending unless the person ticked it.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is too old, what it was about has ended unconfirmed, or the person reads elsewhere now
    """
    request = queries.request(work, links.read_confirm(token, now=work.now))
    queries.lock(work, request.subscriber_id)
    work.session.refresh(request.subscriber)
    check_mailbox(request)
    pending = [
        subscription
        for subscription in queries.of_subscriber(work, request.subscriber_id, SubscriptionState.PENDING)
        if (is_asked_by(request, subscription) if shown is None else subscription.newsletter.slug in shown)
    ]
    if not pending and request.answered_at is None:
        raise ExpiredToken("what this link was about has ended", code="nothing_to_confirm")
    watermark = newsletter_queries.current_sequence(work)
    for subscription in pending:
        subscription.activate(work.now, watermark=watermark)
        witness(work, subscription, ConsentKind.CONFIRMED, request.language, Shown(text_shown, CONFIRM_FORM))
    if request.answered_at is None:
        request.answered_at = work.now
        limits.count_confirmed(work)
    queries.answer_budget(work, address_hash=request.subscriber.address_hash)
    work.session.flush()
    return queries.of_subscriber(work, request.subscriber_id, SubscriptionState.ACTIVE)


def is_asked_by(request: Request, subscription: Subscription) -> bool:
    """Say whether the mail of a request spoke of this wish, or whether it came later, perhaps from somebody else."""
    is_its_own = subscription.newsletter_id == request.newsletter_id
    return is_its_own or subscription.created_at <= request.created_at


def check_mailbox(request: Request) -> None:
    """Make sure that a confirmation was mailed to where its person reads now: a former mailbox is somebody else's.

    :raises ExpiredToken: if not
    """
    if request.address_hash not in (None, request.subscriber.address_hash):
        raise ExpiredToken("this link went to an address that is no longer in use", code="nothing_to_confirm")


def _held(work: Work, address: Address, address_key: bytes) -> Subscriber:
    """Return the person of this address, for this work alone; who was erased or moved in this moment is another one."""
    while True:
        person = subscriber_actions.know(work, address=address, address_key=address_key)
        queries.lock(work, person.id)
        work.session.refresh(person)
        if person.address_key == address.key:
            return person


def _wish(sign_up: SignUp, newsletter: Newsletter, chosen: Sequence[Newsletter]) -> Wish:
    every = [topic.slug for topic in newsletter.topics]
    spoken = [code for code in sign_up.languages if code in newsletter.languages]
    frequency = sign_up.frequency or newsletter.rhythms[0].frequency
    if not comes(newsletter, frequency) and any(comes(other, frequency) for other in chosen):
        frequency = newsletter.rhythms[0].frequency
    return checked_wish(
        newsletter,
        topics=sign_up.topics.get(newsletter.slug, every),
        languages=spoken or sign_up.languages,
        frequency=frequency,
    )


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
    shown = Shown(sign_up.text_shown, sign_up.form_version, sign_up.network)
    witness(work, subscription, ConsentKind.REQUESTED, sign_up.page_language, shown)
    return True
