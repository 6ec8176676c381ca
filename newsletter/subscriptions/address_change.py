"""A new address: asked on the preferences page, confirmed from its own mailbox, told to the old one.

The person keeps number, subscriptions, watermarks and choices; a suppression of the old address stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.exc import IntegrityError

from newsletter.base.addresses import Address, address_hash, read_address
from newsletter.base.errors import Conflict, ExpiredToken, InvalidInput, InvalidToken
from newsletter.base.families import family_of
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber
from newsletter.subscriptions import budgets, queries
from newsletter.subscriptions.answering import answer_by_mail
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import (
    ConsentKind,
    EndReason,
    Request,
    RequestKind,
    Subscription,
    SubscriptionState,
)

ADDRESS_CHANGES_A_DAY = 3
ADDRESS_FORM = "address-1"
DAY = timedelta(days=1)
_TRIES = 3


class Standing(StrEnum):
    """What a link that confirms a new address can do now."""

    OPEN = "open"
    DONE = "done"  # this link did it
    SUPERSEDED = "superseded"  # another request came later
    IN_USE = "in_use"  # the address has subscriptions of its own
    CLOSED = "closed"  # the address takes no news from us
    ENDED = "ended"  # the person left meanwhile


def ask_new_address(work: Work, *, person: Subscriber, address: Address, address_key: bytes, spoken: str) -> None:
    """Mail the new address a link to confirm it. The answer is the same for every address; the rest goes by mail.

    No mail leaves beyond three requests a day, to a closed address, or to one that has not answered yet.

    :raises InvalidInput: if it is the person's address already
    """
    if address.key == person.address_key:
        raise InvalidInput("the letters come to this address already", code="address_same")
    queries.lock(work, person.id)
    active = queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE)
    key = address_hash(address_key, address.key)
    asked = queries.requests_since(work, subscriber_id=person.id, kind=RequestKind.CHANGE_ADDRESS, period=DAY)
    if not active or asked >= ADDRESS_CHANGES_A_DAY or _is_closed(work, key):
        return
    if budgets.has_room(work, address_hash=key):
        budgets.spend(work, address_hash=key)
        answer_by_mail(
            work,
            person,
            RequestKind.CHANGE_ADDRESS,
            newsletter_id=active[0].newsletter_id,
            spoken=spoken,
            to=address,
            to_hash=key,
        )


def request_of(work: Work, *, token: str, links: Links) -> Request:
    """Return the request of a link of any age.

    :raises InvalidToken: if the link is not ours, or what it was about is no longer kept
    """
    request = queries.request(work, links.read_old_change_address(token))
    if request.kind is not RequestKind.CHANGE_ADDRESS:
        raise InvalidToken("this link was not made here")
    return request


def standing(work: Work, request: Request) -> Standing:
    """Say what the link of this request can do now.

    :raises ExpiredToken: if it is so old that the address is no longer kept
    """
    person = request.subscriber
    if person.address is None:
        return Standing.ENDED
    if request.answered_at is not None and person.address_hash == request.address_hash:
        return Standing.DONE
    newest = queries.newest_request(work, subscriber_id=person.id, kind=RequestKind.CHANGE_ADDRESS)
    if request.answered_at is not None or newest != request.id:
        return Standing.SUPERSEDED
    if not queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE):
        return Standing.ENDED
    if request.address is None or request.address_hash is None:
        raise ExpiredToken("this link is too old")
    if _is_closed(work, request.address_hash):
        return Standing.CLOSED
    holder = subscriber_queries.by_address(work, read_address(request.address))
    is_used = holder is not None and queries.of_subscriber(work, holder.id, SubscriptionState.ACTIVE)
    return Standing.IN_USE if is_used else Standing.OPEN


def confirm_new_address(work: Work, *, token: str, links: Links, text_shown: str) -> Standing:
    """Move a person to the new address that this link confirms, if it still can. Safe to repeat.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is older than a day, and did not do its work before
    :raises Conflict: if others were given the address again and again in this very moment
    """
    request = request_of(work, token=token, links=links)
    for _ in range(_TRIES):
        holder = _lock_both(work, request)
        found = standing(work, request)
        if found is not Standing.OPEN or request.address is None:
            return found
        links.read_change_address(token, now=work.now)
        address = read_address(request.address)
        try:
            with work.session.begin_nested():
                if holder is not None:
                    _give_up(work, holder)
                old = _move(work, request, address)
        except IntegrityError:
            continue  # somebody else was given this address in the same moment
        _write_down(work, request, old, text_shown)
        return Standing.DONE
    raise Conflict("somebody else was given this address in the same moment")


def newsletters_at(work: Work, key: str) -> Sequence[Subscription]:
    """Return the active subscriptions of an address, by its keyed hash."""
    return [
        subscription
        for person in subscriber_queries.by_hash(work, key)
        for subscription in queries.of_subscriber(work, person.id, SubscriptionState.ACTIVE)
    ]


def _is_closed(work: Work, key: str) -> bool:
    """Say whether an address takes no news: then it takes no reader either."""
    return key in subscriber_queries.closed_hashes(work, [key], purpose=Purpose.NEWS)


def _lock_both(work: Work, request: Request) -> Subscriber | None:
    """Let nobody else act for the person or for who has the new address; return the latter.

    In the order of their numbers: two persons who take each other's addresses must not wait for each other.
    """
    holder = None
    if request.address is not None:
        holder = subscriber_queries.by_address(work, read_address(request.address))
    for number in sorted({request.subscriber_id} | ({holder.id} if holder else set())):
        queries.lock(work, number)
    for row in (request, request.subscriber, holder):
        if row is not None:
            work.session.refresh(row)
    if holder is None or holder.address_key is None or holder.id == request.subscriber_id:
        return None
    return holder


def _give_up(work: Work, holder: Subscriber) -> None:
    """Take the address from a person who receives nothing: what waits there for confirmation ends."""
    for subscription in queries.of_subscriber(work, holder.id, SubscriptionState.PENDING):
        subscription.end(work.now, reason=EndReason.MOVED)
    holder.address = holder.address_key = None
    holder.removed_at = work.now
    work.session.flush()  # the address is free before another row takes it


def _move(work: Work, request: Request, address: Address) -> tuple[Address, str]:
    """Give the person the new address, and return the old one with its hash."""
    person = request.subscriber
    old = Address(person.address or "", person.address_key or "", person.needs_smtputf8), person.address_hash
    person.address, person.address_key = address.mailed, address.key
    person.needs_smtputf8 = address.needs_smtputf8
    person.address_hash = request.address_hash or person.address_hash
    person.family = family_of(address.mailed)
    work.session.flush()
    return old


def _write_down(work: Work, request: Request, old: tuple[Address, str], text_shown: str) -> None:
    """Keep the evidence, and tell the old address."""
    person, (address, key) = request.subscriber, old
    for subscription in queries.of_subscriber(work, person.id, *queries.OPEN):
        shown = Shown(text_shown, ADDRESS_FORM)
        witness(work, subscription, ConsentKind.ADDRESS_CHANGED, request.language, shown)
    request.answered_at = work.now
    queries.answer_budget(work, address_hash=person.address_hash)
    answer_by_mail(
        work,
        person,
        RequestKind.ADDRESS_CHANGED,
        newsletter_id=request.newsletter_id,
        spoken=request.language,
        to=address,
        to_hash=key,
    )
