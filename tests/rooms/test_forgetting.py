"""What has been kept long enough goes, and nothing that somebody still needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from privacy_parts import (
    ADDRESS,
    NETWORK,
    consents_of,
    erase,
    leave,
    person,
    rich_reader,
    rows_with,
    state,
)
from sqlalchemy import func, select, update

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.privacy import retention
from newsletter.privacy.forgetting import forget
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import (
    BudgetEntry,
    Consent,
    ConsentKind,
    Request,
    Scope,
    SignUpCount,
    SpentProof,
    Subscription,
)

A_DAY, A_MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def reader(parts: Parts) -> Subscription:
    make_newsletter(parts)
    return make_reader(parts, ADDRESS)


def has_address(parts: Parts, subscriber_id: int) -> bool:
    found = person(parts, subscriber_id)
    return found is not None and found.address is not None


def rows(parts: Parts, table: type[Any]) -> int:
    with parts.database.reading() as work:
        return work.session.scalars(select(func.count()).select_from(table)).one()


def _of_persons(done: dict[str, int]) -> int:
    return sum(done[name] for name in ("unconfirmed", "addresses", "networks", "request_addresses", "persons"))


def test_whoever_does_not_confirm_is_gone_after_seven_days(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS)
    clock.advance(7 * A_DAY - A_MINUTE)
    assert _of_persons(forget(parts.database)) == 0
    assert rows_with(parts, ADDRESS)
    clock.advance(A_MINUTE)
    done = forget(parts.database)
    assert (done["unconfirmed"], done["addresses"]) == (1, 1)
    assert state(parts, 1) == ("ended", "expired")
    assert rows_with(parts, ADDRESS) == {}


def test_asking_once_more_gives_seven_days_once_more(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS)
    clock.advance(6 * A_DAY)
    ask(parts, ADDRESS)
    clock.advance(3 * A_DAY)
    assert _of_persons(forget(parts.database)) == 0
    assert rows_with(parts, ADDRESS)


def test_an_address_goes_twenty_eight_days_after_leaving(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    clock.advance(100 * A_DAY)
    leave(parts, reader.id)
    clock.advance(28 * A_DAY - A_MINUTE)
    forget(parts.database)
    assert has_address(parts, reader.subscriber_id)
    clock.advance(A_MINUTE)
    assert forget(parts.database)["addresses"] == 1
    assert rows_with(parts, ADDRESS) == {}
    assert rows(parts, Consent) == 2  # the evidence stays


@pytest.mark.parametrize("confirms", [True, False])
def test_an_address_stays_while_another_subscription_is_open_or_asked_for(
    parts: Parts, clock: SetClock, reader: Subscription, confirms: bool
) -> None:
    make_newsletter(parts, slug="second")
    leave(parts, reader.id)
    clock.advance(27 * A_DAY)
    (make_reader if confirms else ask)(parts, ADDRESS, slug="second")
    clock.advance(3 * A_DAY)
    forget(parts.database)
    assert has_address(parts, reader.subscriber_id)
    clock.advance(30 * A_DAY)
    forget(parts.database)
    assert has_address(parts, reader.subscriber_id) is confirms


def test_leaving_one_of_two_lately_keeps_the_address(parts: Parts, clock: SetClock, reader: Subscription) -> None:
    make_newsletter(parts, slug="second")
    second = make_reader(parts, ADDRESS, slug="second")
    leave(parts, reader.id)
    clock.advance(20 * A_DAY)
    leave(parts, second.id)
    clock.advance(20 * A_DAY)
    forget(parts.database)
    assert has_address(parts, reader.subscriber_id)


def test_an_unconfirmed_wish_does_not_shorten_what_leaving_promised(
    parts: Parts, clock: SetClock, reader: Subscription
) -> None:
    make_newsletter(parts, slug="second")
    clock.advance(A_DAY)
    leave(parts, reader.id)
    ask(parts, ADDRESS, slug="second")
    clock.advance(8 * A_DAY)
    done = forget(parts.database)
    assert (done["unconfirmed"], done["addresses"]) == (1, 0)


def test_a_network_is_kept_thirty_days(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    reader = rich_reader(parts)
    clock.advance(30 * A_DAY - A_MINUTE)
    forget(parts.database)
    assert NETWORK in {each.network for each in consents_of(parts, reader.id)}
    clock.advance(A_MINUTE)
    assert forget(parts.database)["networks"] == 1
    assert {each.network for each in consents_of(parts, reader.id)} == {None}
    assert has_address(parts, reader.subscriber_id)
    evidence = consents_of(parts, reader.id)[2].evidence
    assert evidence is not None
    assert evidence["row"]["EMAIL"] == ADDRESS  # they still read us


def test_a_request_loses_its_address_after_a_day_but_not_while_its_mail_is_on_its_way(
    parts: Parts, clock: SetClock
) -> None:
    make_newsletter(parts)
    rich_reader(parts)
    clock.advance(A_DAY + A_MINUTE)
    assert forget(parts.database)["request_addresses"] == 0
    with parts.database.work() as work:
        work.session.execute(update(Delivery).values(state=DeliveryState.ACCEPTED))
        work.session.execute(update(Request).values(created_at=work.now))
    clock.advance(A_DAY - A_MINUTE)
    assert forget(parts.database)["request_addresses"] == 0
    clock.advance(A_MINUTE)
    assert forget(parts.database)["request_addresses"] == 1
    assert rows_with(parts, f"new.{ADDRESS}") == {}


def test_what_a_server_says_after_an_erasure_goes_too(parts: Parts, reader: Subscription) -> None:
    erase(parts, reader.subscriber_id)
    with parts.database.work() as work:
        work.session.execute(update(Delivery).values(reply=f"550 <{ADDRESS}> unknown", state=DeliveryState.FAILED))
    assert forget(parts.database)["late_replies"] == 1
    assert rows_with(parts, ADDRESS) == {}


def test_limits_and_budgets_are_kept_as_long_as_they_count(parts: Parts, clock: SetClock) -> None:
    with parts.database.work() as work:
        work.session.add(BudgetEntry(address_hash="0", mailed_at=work.now))
        hour = work.now.replace(minute=0)
        for back in range(4):
            for scope in (Scope.ALL, Scope.DOMAIN):
                work.session.add(SignUpCount(scope=scope, key="", hour=hour - back * A_DAY, count=1))
        work.session.add(SpentProof(challenge="old", until=work.now))
        work.session.add(SpentProof(challenge="new", until=work.now + A_MINUTE))
    done = forget(parts.database)
    assert (done["sign_up_counts"], done["proofs_of_work"], done["budget_entries"]) == (4, 1, 0)
    assert (rows(parts, SignUpCount), rows(parts, SpentProof)) == (4, 1)
    clock.advance(30 * A_DAY)
    assert forget(parts.database)["budget_entries"] == 1
    assert rows(parts, BudgetEntry) == 0


def everything(parts: Parts) -> dict[str, list[Any]]:
    with parts.database.reading() as work:
        tables = Subscriber.metadata.sorted_tables
        return {table.name: sorted(map(repr, work.session.execute(select(table)))) for table in tables}


def _crowd(parts: Parts, clock: SetClock) -> None:
    """Leave something for every rule."""
    make_newsletter(parts)
    for number in range(7):
        gone, left = rich_reader(parts, f"gone{number}@example.org"), make_reader(parts, f"left{number}@example.org")
        erase(parts, gone.subscriber_id)
        leave(parts, left.id)
    clock.advance(370 * A_DAY)
    for number in range(7):
        ask(parts, f"asking{number}@example.org")
        rich_reader(parts, f"reading{number}@example.org")
    with parts.database.work() as work:
        work.session.execute(update(Delivery).values(state=DeliveryState.ACCEPTED))
        for number in range(7):
            work.session.add(SpentProof(challenge=f"{number}", until=work.now))
            work.session.add(SignUpCount(scope=Scope.ALL, key="", hour=work.now + number * A_MINUTE, count=1))
    clock.advance(31 * A_DAY)
    latest = make_reader(parts, "latest@example.org")
    erase(parts, latest.subscriber_id)
    with parts.database.work() as work:
        theirs = Delivery.subscriber_id == latest.subscriber_id
        work.session.execute(update(Delivery).where(theirs).values(reply="550 latest@example.org"))


def test_a_dry_run_counts_what_a_run_does_and_changes_nothing(parts: Parts, clock: SetClock) -> None:
    _crowd(parts, clock)
    before = everything(parts)
    counted = forget(parts.database, dry_run=True)
    assert everything(parts) == before
    assert all(counted.values()), counted
    assert forget(parts.database) == counted
    assert not any(forget(parts.database).values())


def test_small_slices_do_the_same_and_let_others_work_in_between(
    parts: Parts, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crowd(parts, clock)
    counted = forget(parts.database, dry_run=True)
    small = [retention.Rule(each.name, each.key, each.where, each.do, 2) for each in retention.rules()]
    monkeypatch.setattr("newsletter.privacy.forgetting.rules", lambda: small)
    steps: list[str] = []

    def between(step: str) -> None:
        steps.append(step)
        with parts.database.work() as work:  # nobody holds the lock
            work.session.add(SpentProof(challenge=f"new{len(steps)}", until=work.now + A_DAY))

    assert forget(parts.database, progress=between) == counted
    assert steps.count("forgetting persons") == 4


def test_it_can_be_stopped_and_goes_on_the_next_time(parts: Parts, clock: SetClock) -> None:
    _crowd(parts, clock)
    counted = forget(parts.database, dry_run=True)
    done: list[str] = []

    def stop(step: str) -> None:
        done.append(step)
        if len(done) == 3:
            raise Unavailable("stopped by a signal")

    with pytest.raises(Unavailable):
        forget(parts.database, progress=stop)
    rest = forget(parts.database)
    assert rest["unconfirmed"] == rest["addresses"] == 0
    assert rest["persons"] == counted["persons"]


def test_who_signs_up_at_the_moment_of_forgetting_keeps_the_address(
    parts: Parts, clock: SetClock, reader: Subscription
) -> None:
    leave(parts, reader.id)
    clock.advance(40 * A_DAY)

    def sign_up(_: str) -> None:
        ask(parts, ADDRESS)

    assert forget(parts.database, progress=sign_up)["addresses"] == 0
    assert has_address(parts, reader.subscriber_id)


def test_an_address_taken_out_of_evidence_leaves_the_rest_of_it(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    reader = rich_reader(parts)
    leave(parts, reader.id)
    clock.advance(40 * A_DAY)
    forget(parts.database)
    imported = consents_of(parts, reader.id)[2]
    assert imported.kind is ConsentKind.IMPORTED
    assert imported.evidence == {"from": "mailchimp", "row": {}, "at": "2024-01-05"}
