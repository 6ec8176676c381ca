"""What somebody without the mailbox, or with a former one, tries: links of another moment, forms no page sends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, subscriptions
from sqlalchemy import select, update

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.schema import Table
from newsletter.deliveries.models import Delivery
from newsletter.privacy.actions import erase
from newsletter.subscribers.queries import by_id
from newsletter.subscriptions.address_change import Standing, ask_new_address, confirm_new_address
from newsletter.subscriptions.models import Request, Subscription, SubscriptionState

EVIL, VICTIM = "evil@example.org", "victim@example.com"


@pytest.fixture
def evil(client: FlaskClient, parts: Parts) -> Subscription:
    return make_reader(parts, EVIL)


def ask_to_move(parts: Parts, subscriber_id: int, to: str = VICTIM) -> str:
    """Ask for another address, and return the token that goes there by mail."""
    with parts.database.work() as work:
        person = by_id(work, subscriber_id)
        key = parts.address_key
        ask_new_address(work, person=person, address=read_address(to), address_key=key, spoken="fr")
    return parts.links.change_address_token(newest(parts, Request).id, at=parts.clock.now())


def move(parts: Parts, clock: SetClock, subscriber_id: int) -> None:
    """Let the victim be talked into taking somebody else's subscriptions."""
    token = ask_to_move(parts, subscriber_id)
    clock.advance(timedelta(seconds=1))
    with parts.database.work() as work:
        assert confirm_new_address(work, token=token, links=parts.links, text_shown="Yes.") is Standing.DONE


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_confirmation_in_a_former_mailbox_subscribes_nobody_at_the_new_address(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription, method: str
) -> None:
    make_newsletter(parts, slug="second")
    ask(parts, EVIL, slug="second")
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    move(parts, clock, evil.subscriber_id)
    answer = client.open(link, method=method)
    assert answer.status_code == 410
    assert "v…m@" not in answer.text  # nor does the former mailbox learn the new one
    assert subscriptions(parts)[-1].state is SubscriptionState.PENDING


@pytest.mark.parametrize("way", ["", "/data", "/export.json", "/erase", "/address"])
def test_a_preferences_link_from_before_a_change_of_address_opens_nothing(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription, way: str
) -> None:
    token = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    assert client.get(f"/preferences/{token}{way}").status_code == 200
    move(parts, clock, evil.subscriber_id)
    before = everything(parts)
    assert client.get(f"/preferences/{token}{way}").status_code == 410
    assert VICTIM not in client.get(f"/preferences/{token}{way}").text
    if way not in {"/data", "/export.json"}:
        sent = {"address": "third@example.org", "newsletter": "second"}
        assert client.post(f"/preferences/{token}{way}", data=sent).status_code == 410
    assert everything(parts) == before
    fresh = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    assert client.get(f"/preferences/{fresh}{way}").status_code == 200


def test_a_number_that_no_row_can_have_confirms_nothing_and_breaks_nothing(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    ask(parts, VICTIM)
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    for shown in ("9" * 5000, "-1", "٣", "1e3", ""):
        assert client.post(link, data={"shown": shown}).status_code == 410
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING]


def test_subscriptions_of_others_named_in_the_form_are_not_confirmed(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    ask(parts, VICTIM)
    theirs = subscriptions(parts)[0].id
    ask(parts, EVIL)
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    assert client.post(link, data={"shown": [str(theirs)]}).status_code == 410
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING] * 2


def test_the_preferences_of_one_reader_change_nothing_of_anothers(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription
) -> None:
    make_newsletter(parts, slug="second")
    victim = make_reader(parts, VICTIM, slug="second")
    token = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    before = [(each.choice_id, each.frequency, each.state) for each in subscriptions(parts) if each.id == victim.id]
    fields = {"shown": "second", "topics.second": "regions", "language.second.1": "ar", "frequency.second": "daily"}
    client.post(f"/preferences/{token}", data=fields)
    client.post(f"/preferences/{token}", data={**fields, "id": victim.id, "subscriber": victim.subscriber_id})
    client.post(f"/preferences/{token}/resume", data={"newsletter": "second"})
    after = [(each.choice_id, each.frequency, each.state) for each in subscriptions(parts) if each.id == victim.id]
    assert after == before


def test_what_a_server_said_of_a_mail_that_somebody_else_asked_for_goes_with_the_address(
    parts: Parts, clock: SetClock, evil: Subscription
) -> None:
    ask_to_move(parts, evil.subscriber_id)
    asked = newest(parts, Request)
    with parts.database.work() as work:
        mailed = update(Delivery).where(Delivery.occasion == asked.id, Delivery.subscriber_id == evil.subscriber_id)
        work.session.execute(mailed.values(reply=f"250 <{VICTIM}> queued"))
    clock.advance(timedelta(days=1))
    victim = make_reader(parts, VICTIM)
    with parts.database.work() as work:
        assert erase(work, person=by_id(work, victim.subscriber_id), log=parts.erasures)
    with parts.database.reading() as work:
        for table in Table.metadata.sorted_tables:
            assert all(VICTIM not in repr(tuple(row)) for row in work.session.execute(select(table))), table.name
