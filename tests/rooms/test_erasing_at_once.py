"""Erasing while the same person signs up, confirms or leaves: one after the other, and nothing half-done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from privacy_parts import ADDRESS, rows_with
from sqlalchemy import select

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import read_address
from newsletter.base.errors import ExpiredToken, NewsletterError
from newsletter.bootstrap import Parts
from newsletter.privacy import actions
from newsletter.subscribers.models import Subscriber
from newsletter.subscribers.queries import by_address
from newsletter.subscriptions import actions as subscription_actions
from newsletter.subscriptions import leaving
from newsletter.subscriptions.models import EndReason, Request, Subscription

WHILE = 0.4  # seconds that the erasing takes


def while_erasing(parts: Parts, other: Callable[[], object]) -> NewsletterError | None:
    """Erase the person, and meanwhile let somebody else do `other`; return its error of ours, if there was one."""
    failed: list[NewsletterError] = []

    def run() -> None:
        try:
            other()
        except NewsletterError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    with parts.database.work() as work:
        person = by_address(work, read_address(ADDRESS))
        assert person is not None
        assert actions.erase(work, person=person, log=parts.erasures)
        thread.start()
        time.sleep(WHILE)
    thread.join(30)
    assert not thread.is_alive()
    return failed[0] if failed else None


def all_subscriptions(parts: Parts) -> list[Subscription]:
    with parts.database.reading() as work:
        return list(work.session.scalars(select(Subscription).order_by(Subscription.id)))


def test_who_signs_up_while_being_erased_is_a_new_person(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    assert while_erasing(parts, lambda: ask(parts, ADDRESS)) is None
    old, new = all_subscriptions(parts)
    assert (old.state, old.end_reason) == ("ended", EndReason.ERASURE)
    assert new.state == "pending"
    assert new.subscriber_id != reader.subscriber_id
    assert set(rows_with(parts, ADDRESS)) == {"subscriber"}


def test_a_confirmation_that_meets_the_erasing_confirms_nothing(parts: Parts) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS)
    with parts.database.reading() as work:
        number = work.session.scalars(select(Request.id)).one()
    token = parts.links.confirm_token(number, at=parts.clock.now())

    def confirm() -> None:
        with parts.database.work() as work:
            subscription_actions.confirm(work, token=token, links=parts.links, text_shown="Confirm.")

    assert isinstance(while_erasing(parts, confirm), ExpiredToken)
    assert [str(each.state) for each in all_subscriptions(parts)] == ["ended"]


@pytest.mark.parametrize("reason", [EndReason.ONE_CLICK, EndReason.PAGE])
def test_leaving_while_being_erased_is_harmless(parts: Parts, reason: EndReason) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    token = parts.links.unsubscribe_token(reader.id, 0)

    def leave() -> None:
        with parts.database.work() as work:
            leaving.leave(work, token=token, links=parts.links, reason=reason)

    assert while_erasing(parts, leave) is None
    assert [each.end_reason for each in all_subscriptions(parts)] == [EndReason.ERASURE]


def test_two_presses_at_once_erase_once(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)

    def again() -> None:
        with parts.database.work() as work:
            person = work.session.get_one(Subscriber, reader.subscriber_id)
            assert not actions.erase(work, person=person, log=parts.erasures)

    assert while_erasing(parts, again) is None
    assert len(parts.erasures.path.read_text().splitlines()) == 1
