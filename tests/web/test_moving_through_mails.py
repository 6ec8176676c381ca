"""A reader moves to another address by following links out of real mails; nothing is lost, repeated or merged."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient
from pages import path, press, read, subscriptions
from post import links_in, mails, publish, send_digest
from sqlalchemy import select

from factories import make_newsletter, make_reader, text_of
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.operations.run_due import run_due
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import SubscriptionState

OLD, NEW = "salma.bennani@gmail.com", "salma@menara.ma"


def link(mail: EmailMessage, start: str) -> str:
    """Return the one link of a mail that begins so."""
    (found,) = {path(each) for each in links_in(mail) if path(each).startswith(start)}
    return found


def last_mail(parts: Parts, address: str) -> EmailMessage:
    run_due(parts.postroom)
    return [mail for mail in mails(parts) if mail["To"] == address][-1]


def titles(mail: EmailMessage) -> set[str]:
    return {each.rpartition("/")[2] for each in links_in(mail) if each.startswith("https://news.test/")}


def press_through(client: FlaskClient, parts: Parts, digest: EmailMessage, new: str = NEW) -> EmailMessage:
    """Go from the foot of a digest to the mail that asks the new address, and return that."""
    asked = press(client, read(client.get(link(digest, "/p/"))))
    assert asked.status_code == 200
    preferences = link(last_mail(parts, digest["To"]), "/preferences/")
    (form,) = [each for each in read(client.get(preferences)).links if each.endswith("/address")]
    assert press(client, read(client.get(form)), {"address": new}).status_code == 200
    return last_mail(parts, new)


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_the_way_from_one_mailbox_to_the_other(
    client: FlaskClient, parts: Parts, clock: SetClock, language: str
) -> None:
    reader = make_reader(parts, OLD, languages=[language])
    publish(parts, "first", language=language)
    (digest,) = send_digest(parts, clock)
    publish(parts, "second", language=language)  # waits while the reader moves
    asking = press_through(client, parts, digest)
    assert asking["Content-Language"] == language
    assert asking["List-Unsubscribe"] is None
    done = press(client, read(client.get(link(asking, "/address/"))))
    assert done.status_code == 200
    assert read(done).language == language

    told = last_mail(parts, OLD)
    assert told["Content-Language"] == language
    assert "s…a@menara.ma" in text_of(told)
    publish(parts, "third", language=language)
    (digest_after,) = send_digest(parts, clock)
    assert digest_after["To"] == NEW
    assert titles(digest_after) == {"second", "third"}
    assert send_digest(parts, clock) == []
    (kept,) = subscriptions(parts)
    assert (kept.id, kept.subscriber_id) == (reader.id, reader.subscriber_id)


def test_the_old_mailbox_may_begin_anew_and_both_get_their_own(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    make_reader(parts, OLD)
    publish(parts, "first")
    (digest,) = send_digest(parts, clock)
    press(client, read(client.get(link(press_through(client, parts, digest), "/address/"))))
    publish(parts, "second")
    again = make_reader(parts, OLD)
    publish(parts, "third")
    found = {mail["To"]: titles(mail) for mail in send_digest(parts, clock)}
    assert found == {NEW: {"second", "third"}, OLD: {"third"}}
    assert len({each.subscriber_id for each in subscriptions(parts)}) == 2

    # What hangs in the old mailbox still leads to the subscription that it came for, and to nobody else's.
    press(client, read(client.get(link(digest, "/u/"))))
    states = {each.id: each.state for each in subscriptions(parts)}
    assert states.pop(again.id) is SubscriptionState.ACTIVE
    assert set(states.values()) == {SubscriptionState.ENDED}


def test_the_link_in_an_old_digest_is_answered_at_the_new_address_only(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    make_reader(parts, OLD)
    publish(parts, "first")
    (digest,) = send_digest(parts, clock)
    press(client, read(client.get(link(press_through(client, parts, digest), "/address/"))))
    run_due(parts.postroom)
    before = len(mails(parts))
    press(client, read(client.get(link(digest, "/p/"))))
    run_due(parts.postroom)
    assert [mail["To"] for mail in mails(parts)[before:]] == [NEW]


def test_all_newsletters_move_with_the_person(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts, slug="second")
    make_reader(parts, OLD)
    make_reader(parts, OLD, slug="second")
    publish(parts, "a")
    publish(parts, "b", slug="second")
    digests = send_digest(parts, clock)
    press(client, read(client.get(link(press_through(client, parts, digests[0]), "/address/"))))
    publish(parts, "c")
    publish(parts, "d", slug="second")
    assert sorted((mail["To"], *titles(mail)) for mail in send_digest(parts, clock)) == [(NEW, "c"), (NEW, "d")]


def test_a_reader_of_ours_is_told_in_the_own_mailbox_and_nobody_is_merged(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    make_reader(parts, OLD)
    make_reader(parts, NEW, languages=["ar"])
    publish(parts, "first")
    publish(parts, "awal", language="ar")
    digests = {mail["To"]: mail for mail in send_digest(parts, clock)}
    told = press_through(client, parts, digests[OLD])
    assert not [each for each in links_in(told) if "/address/" in each]
    own = read(client.get(link(told, "/preferences/")))
    assert "s…a@menara.ma" in own.one("main").text
    assert own.fields()["language.hebdo.1"] == ["ar"]
    publish(parts, "second")
    assert {mail["To"]: titles(mail) for mail in send_digest(parts, clock)} == {OLD: {"second"}}
    with parts.database.reading() as work:
        assert set(work.session.scalars(select(Subscriber.address))) == {OLD, NEW}
