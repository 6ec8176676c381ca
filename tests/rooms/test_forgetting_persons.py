"""A year after the address a person goes for good, and the books of issues are as before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from planning_parts import Ground, books_of, entry, lay, open_weekly, plan, publish
from privacy_parts import (
    ADDRESS,
    consents_of,
    erase,
    leave,
    newer_rows,
    person,
    rich_reader,
    row,
    rows_with,
    state,
)
from sqlalchemy import func, select, update

from factories import make_newsletter, make_reader
from newsletter.base.addresses import address_hash
from newsletter.base.clock import SetClock
from newsletter.base.errors import InvalidToken
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.operations.run_due import run_due
from newsletter.privacy.forgetting import forget
from newsletter.privacy.history import NOBODY
from newsletter.subscribers.models import Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions import leaving, queries
from newsletter.subscriptions.models import (
    EndReason,
    Request,
    Subscription,
)

A_DAY, A_MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


@pytest.fixture
def reader(parts: Parts) -> Subscription:
    make_newsletter(parts)
    return make_reader(parts, ADDRESS)


def rows(parts: Parts, table: type[Any]) -> int:
    with parts.database.reading() as work:
        return work.session.scalars(select(func.count()).select_from(table)).one()


def test_a_year_after_the_address_nothing_is_left_of_a_person_but_what_the_books_count(
    parts: Parts, ground: Ground, clock: SetClock
) -> None:
    reader = rich_reader(parts)
    make_reader(parts, "somebody@example.org")
    publish(ground, entry("one"))
    number = open_weekly(ground)
    plan(ground, number)
    run_due(parts.postroom)
    before = books_of(ground, number)
    assert before.accepted == before.audience == 2
    erase(parts, reader.subscriber_id)
    clock.advance(365 * A_DAY - A_MINUTE)
    newer_rows(parts, clock)
    assert person(parts, reader.subscriber_id) is not None
    clock.advance(A_MINUTE)
    keyed = address_hash(parts.address_key, ADDRESS)
    assert forget(parts.database)["persons"] == 1
    assert person(parts, reader.subscriber_id) is row(parts, Subscription, reader.id) is None
    assert consents_of(parts, reader.id) == []
    assert rows_with(parts, keyed) == {"suppression": 1}
    with parts.database.reading() as work:
        left = work.session.scalars(select(Delivery).where(Delivery.subscriber_id == reader.subscriber_id)).all()
        assert not left
        assert not work.session.scalars(select(Request).where(Request.subscriber_id == reader.subscriber_id)).all()
    assert books_of(ground, number) == before
    assert not any(forget(parts.database).values())


def test_nobody_has_no_name_and_stands_there_once(parts: Parts, ground: Ground, clock: SetClock) -> None:
    readers = [make_reader(parts, f"reader{number}@example.org") for number in range(3)]
    publish(ground, entry("one"))
    plan(ground, open_weekly(ground))
    run_due(parts.postroom)
    for reader in readers:
        erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    newer_rows(parts, clock)
    assert rows_with(parts, "reader0@", "reader1@", "reader2@") == {}
    with parts.database.reading() as work:
        nobody = work.session.scalars(select(Subscriber).where(Subscriber.address_hash == NOBODY)).one()
        assert (nobody.address, nobody.removed_at) == (None, None)
        theirs = work.session.scalars(select(Delivery).where(Delivery.subscriber_id == nobody.id)).all()
        assert {each.subscription_id for each in theirs} == {None}
        assert len(theirs) == 3


def test_suppressions_outlive_the_person(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    with parts.database.work() as work:
        keyed = address_hash(parts.address_key, ADDRESS)
        work.session.add(Suppression(address_hash=keyed, reason=SuppressionReason.NEVER, created_at=work.now))
    run_due(parts.postroom)
    erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    newer_rows(parts, clock)
    assert person(parts, reader.subscriber_id) is None
    assert rows_with(parts, keyed) == {"suppression": 2}


def test_the_unsubscribe_link_of_a_forgotten_reader_reaches_nobody(
    parts: Parts, clock: SetClock, reader: Subscription
) -> None:
    token = parts.links.unsubscribe_token(reader.id, 1)
    run_due(parts.postroom)
    erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    newer_rows(parts, clock)
    assert row(parts, Subscription, reader.id) is None
    with parts.database.work() as work:
        assert leaving.leave(work, token=token, links=parts.links, reason=EndReason.ONE_CLICK) is None


def test_numbers_in_links_are_never_given_to_somebody_else(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    run_due(parts.postroom)
    erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    assert forget(parts.database)["persons"] == 0  # these rows are the newest of their tables
    other = make_reader(parts, "other@example.org")
    assert other.id != reader.id
    assert other.subscriber_id != reader.subscriber_id
    assert forget(parts.database)["persons"] == 1
    assert make_reader(parts, "third@example.org").id == other.id + 1


def test_a_mail_in_flight_keeps_its_person(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    erase(parts, reader.subscriber_id)
    with parts.database.work() as work:
        work.session.execute(update(Delivery).values(state=DeliveryState.SENDING, owner="somebody"))
    clock.advance(400 * A_DAY)
    make_reader(parts, "other@example.org")
    assert forget(parts.database)["persons"] == 0
    with parts.database.work() as work:
        work.session.execute(update(Delivery).values(state=DeliveryState.ACCEPTED, owner=None))
    assert forget(parts.database)["persons"] == 1


def test_an_undone_leaving_can_be_forgotten_with_what_it_took_up(
    parts: Parts, clock: SetClock, reader: Subscription
) -> None:
    leave(parts, reader.id)
    with parts.database.work() as work:
        old = queries.by_id(work, reader.id)
        assert old is not None
        again = Subscription(
            subscriber_id=old.subscriber_id,
            newsletter_id=old.newsletter_id,
            state="ended",
            frequency=old.frequency,
            choice_id=old.choice_id,
            watermark=old.watermark,
            continues_id=old.id,
            created_at=work.now,
            activated_at=work.now,
            ended_at=work.now,
        )
        work.session.add(again)
    run_due(parts.postroom)
    erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    newer_rows(parts, clock)
    assert row(parts, Subscription, reader.id) is None


def test_who_reads_us_loses_nothing_however_long_they_do(parts: Parts, ground: Ground, clock: SetClock) -> None:
    reader = make_reader(parts, ADDRESS)
    publish(ground, entry("one"))
    plan(ground, open_weekly(ground))
    run_due(parts.postroom)
    for _ in range(3):
        clock.advance(400 * A_DAY)
        forget(parts.database)
    assert state(parts, reader.id) == ("active", None)
    assert rows(parts, Delivery) == 2
    assert len(consents_of(parts, reader.id)) == 2


def test_a_deleted_requests_links_are_not_ours_any_more(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    token = parts.links.never_token(1)
    run_due(parts.postroom)
    erase(parts, reader.subscriber_id)
    clock.advance(400 * A_DAY)
    newer_rows(parts, clock)
    with parts.database.work() as work, pytest.raises(InvalidToken):
        leaving.never_write_again(work, token=token, links=parts.links)
