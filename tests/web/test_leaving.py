from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import chosen, everything, newest, path, press, read, subscriptions
from sqlalchemy import update
from werkzeug.test import TestResponse

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.links import Links
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import ConsentKind, EndReason, Request, Subscription, SubscriptionState
from newsletter.web.app import create_app

ADDRESS = "salma.bennani@gmail.com"


@pytest.fixture
def reader(client: FlaskClient, parts: Parts) -> Subscription:
    return make_reader(parts, ADDRESS, languages=["ar", "fr"])


@pytest.fixture
def link(parts: Parts, reader: Subscription) -> str:
    return path(parts.links.unsubscribe(parts.links.unsubscribe_token(reader.id, 7)))


def state(parts: Parts) -> tuple[SubscriptionState, EndReason | None]:
    (found,) = subscriptions(parts)
    return found.state, found.end_reason


ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BY_ONE_CLICK = (SubscriptionState.ENDED, EndReason.ONE_CLICK)


@pytest.mark.parametrize(
    "request_of",
    [
        {"data": ONE_CLICK},
        {"data": ONE_CLICK, "content_type": "multipart/form-data"},
        {},
        {"data": b"", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"List-Unsubscribe=One-Click", "content_type": "text/plain"},
        {"data": b"broken", "content_type": "multipart/form-data"},
        {"data": b"broken", "content_type": "multipart/form-data; boundary=x"},
        {"data": ONE_CLICK, "headers": {"Origin": "null", "Cookie": "session=somebody-elses"}},
        {"data": ONE_CLICK, "headers": {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}},
    ],
    ids=["urlencoded", "multipart", "nothing", "empty", "plain", "no boundary", "cut off", "null origin", "other site"],
)
def test_one_click_leaves_whatever_the_mail_program_sends(
    client: FlaskClient, parts: Parts, link: str, request_of: dict[str, object]
) -> None:
    answer = client.post(link, **request_of)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert state(parts) == BY_ONE_CLICK


def test_a_trailing_slash_is_no_redirect(client: FlaskClient, parts: Parts, link: str) -> None:
    answer = client.post(f"{link}/", data=ONE_CLICK)
    assert answer.status_code == 200
    assert state(parts) == BY_ONE_CLICK


def test_a_folded_token_still_leaves(client: FlaskClient, parts: Parts, link: str) -> None:
    head, _, token = link.rpartition("/")
    assert client.post(f"{head}/{token.upper()}", data=ONE_CLICK).status_code == 200
    assert state(parts) == BY_ONE_CLICK


def test_looking_shows_a_button_and_leaves_nobody(client: FlaskClient, parts: Parts, link: str) -> None:
    before = everything(parts)
    page = read(client.get(link))
    assert client.head(link).status_code == 200
    assert page.language == "ar"
    assert len(page.all("button")) == 1
    assert "s…i@gmail.com" in page.one("main").text
    assert "الأسبوعية" in page.one("main").text
    assert everything(parts) == before


def test_the_pages_button_leaves_and_is_told_from_one_click(client: FlaskClient, parts: Parts, link: str) -> None:
    answer = press(client, read(client.get(link)))
    assert answer.status_code == 200
    assert read(answer).language == "ar"
    assert state(parts) == (SubscriptionState.ENDED, EndReason.PAGE)


def test_leaving_twice_changes_nothing_more(client: FlaskClient, parts: Parts, link: str) -> None:
    first = client.post(link, data=ONE_CLICK)
    before = everything(parts)
    second, looked = client.post(link), client.get(link)
    assert second.data == first.data == looked.data
    assert everything(parts) == before


def test_a_link_of_somebody_erased_is_answered_with_peace(client: FlaskClient, parts: Parts, link: str) -> None:
    gone = f"/u/{parts.links.unsubscribe_token(999_999, 7)}"
    assert client.get(gone).status_code == client.post(gone, data=ONE_CLICK).status_code == 200
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    assert client.get(link).status_code == client.post(link, data=ONE_CLICK).status_code == 200
    assert state(parts) == BY_ONE_CLICK


def test_an_old_link_outlives_the_change_of_keys(parts: Parts, link: str) -> None:
    old = parts.settings.keys[0]
    rotated = replace(parts, links=Links(base_url=parts.links.base_url, keys=["k" * 40, old]))
    assert create_app(rotated).test_client().post(link, data=ONE_CLICK).status_code == 200
    assert state(parts) == BY_ONE_CLICK


def test_never_again_closes_the_address_by_a_button(client: FlaskClient, parts: Parts, reader: Subscription) -> None:
    request = newest(parts, Request)
    link = path(parts.links.never(request.id))
    before = everything(parts)
    page = read(client.get(link))
    assert page.language == "ar"
    assert everything(parts) == before
    answer = press(client, page)
    assert answer.status_code == 200
    assert state(parts) == (SubscriptionState.ENDED, EndReason.NEVER)
    assert client.post(link).data == answer.data
    ask(parts, ADDRESS)
    assert newest(parts, Request).id == request.id  # nothing is mailed to it any more


def two_newsletters(parts: Parts) -> Subscription:
    make_newsletter(parts, slug="second")
    return make_reader(parts, ADDRESS, languages=["ar", "fr"], slug="second")


def states_of(parts: Parts) -> list[SubscriptionState]:
    return [each.state for each in subscriptions(parts)]


def press_form(client: FlaskClient, answer: TestResponse, place: int = -1) -> TestResponse:
    """Send one of a page's forms as it stands."""
    form = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', answer.text, re.DOTALL)[place]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', form[1]))
    return client.post(form[0], data=fields)


def test_who_left_by_the_page_takes_it_back_there(client: FlaskClient, parts: Parts, link: str) -> None:
    left = press(client, read(client.get(link)))
    page = read(left)
    assert len(page.all("button")) == 1
    back = press(client, page)
    assert (back.status_code, read(back).language) == (200, "ar")
    assert "s…i@gmail.com" in read(back).one("main").text
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]
    before = everything(parts)
    assert press(client, page).data == back.data == client.get(page.one("form")["action"]).data
    assert everything(parts) == before


def test_who_left_by_one_click_takes_it_back_on_the_links_page(
    client: FlaskClient, parts: Parts, link: str, clock: SetClock
) -> None:
    client.post(link, data=ONE_CLICK)
    clock.advance(timedelta(minutes=29))
    page = read(client.get(link))
    asked = read(client.get(page.one("form")["action"]))
    assert (asked.language, len(asked.all("button"))) == ("ar", 1)
    assert press(client, asked).status_code == 200
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]
    assert read(client.get(link)).all("button")  # and can leave anew, by the same link
    client.post(link, data=ONE_CLICK)
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ENDED]


def test_after_half_an_hour_nothing_is_offered_and_an_old_button_is_answered_kindly(
    client: FlaskClient, parts: Parts, link: str, clock: SetClock
) -> None:
    undo = read(client.post(link, data=ONE_CLICK)).one("form")["action"]
    clock.advance(timedelta(minutes=30, seconds=1))
    assert not read(client.get(link)).all("form")
    before = everything(parts)
    for answer in (client.get(undo), client.post(undo)):
        assert (answer.status_code, read(answer).language) == (410, "ar")
        assert "/ar/?newsletters=hebdo" in read(answer).links
    assert everything(parts) == before


def test_a_closed_or_removed_address_is_offered_no_way_back(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    undo = read(client.post(link, data=ONE_CLICK)).one("form")["action"]
    client.post(path(parts.links.never(newest(parts, Request).id)))
    assert not read(client.get(link)).all("form")
    assert client.get(undo).status_code == client.post(undo).status_code == 410
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    assert client.get(undo).status_code == client.post(undo).status_code == 410
    assert state(parts) == BY_ONE_CLICK


def test_a_pending_one_in_its_place_is_told(client: FlaskClient, parts: Parts, link: str, clock: SetClock) -> None:
    undo = read(client.post(link, data=ONE_CLICK)).one("form")["action"]
    clock.advance(timedelta(minutes=1))
    ask(parts, ADDRESS, languages=["ar"])
    before = everything(parts)
    for answer in (client.get(undo), client.post(undo)):
        assert (answer.status_code, read(answer).language) == (200, "ar")
        assert not read(answer).all("button")
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.PENDING]
    assert everything(parts) == before


def test_all_is_left_by_a_second_button_that_names_nothing(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    two_newsletters(parts)
    with parts.database.work() as work:
        work.session.execute(update(Newsletter).where(Newsletter.slug == "second").values(names={"ar": "سرية"}))
    answer = client.get(link)
    assert len(read(answer).all("button")) == 2
    assert "سرية" not in answer.text
    left = press_form(client, answer)
    assert "سرية" not in left.text
    assert {each.end_reason for each in subscriptions(parts)} == {EndReason.PAGE}
    with parts.database.reading() as work:
        evidence = [queries.consents(work, each.id)[-1] for each in subscriptions(parts)]
    assert {each.form_version for each in evidence} == {"leave-all-1"}
    back = press_form(client, left)
    assert "سرية" not in back.text
    assert states_of(parts) == [SubscriptionState.ENDED] * 2 + [SubscriptionState.ACTIVE] * 2


def test_the_first_button_leaves_the_others_alone(client: FlaskClient, parts: Parts, link: str) -> None:
    two_newsletters(parts)
    press_form(client, client.get(link), 0)
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]


def test_one_topic_is_left_by_a_link_of_the_leave_page(client: FlaskClient, parts: Parts, link: str) -> None:
    topics = [each for each in read(client.get(link)).links if "/topic/" in each]
    assert len(topics) == 2
    before = everything(parts)
    page = read(client.get(topics[0]))
    assert (page.language, len(page.all("button"))) == ("ar", 1)
    assert "s…i@gmail.com" in page.one("main").text
    assert everything(parts) == before
    left = press(client, page)
    assert left.status_code == 200
    assert chosen(parts)[0] == ["regions"]
    (found,) = subscriptions(parts)
    assert (found.state, found.changed) == (SubscriptionState.ACTIVE, True)
    with parts.database.reading() as work:
        evidence = queries.consents(work, found.id)[-1]
    assert (evidence.kind, evidence.form_version) == (ConsentKind.CHANGED, "leave-topic-1")
    before = everything(parts)
    assert client.post(topics[0]).data == left.data == client.get(topics[0]).data
    assert not [each for each in read(client.get(link)).links if "/topic/" in each]
    assert everything(parts) == before


def test_the_last_topic_stays_and_the_page_offers_to_leave_the_newsletter(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    first, second = [each for each in read(client.get(link)).links if "/topic/" in each]
    client.post(first)
    before = everything(parts)
    assert client.get(second).status_code == 200
    refused = client.post(second)
    assert (refused.status_code, everything(parts)) == (409, before)
    (way_out,) = [each for each in read(refused).links if each.startswith("/u/")]
    assert press(client, read(client.get(way_out))).status_code == 200
    assert state(parts) == (SubscriptionState.ENDED, EndReason.PAGE)


def test_a_topics_link_outlives_years_keys_and_an_undo_and_does_nothing_else(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str, clock: SetClock
) -> None:
    topic = next(each for each in read(client.get(link)).links if "/topic/" in each)
    press(client, read(client.post(link, data=ONE_CLICK)))
    clock.advance(timedelta(days=3653))
    rotated = replace(parts, links=Links(base_url=parts.links.base_url, keys=["k" * 40, parts.settings.keys[0]]))
    assert create_app(rotated).test_client().post(topic, data={"from": "page", "all": "yes"}).status_code == 200
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]
    assert chosen(parts, 1)[0] == ["regions"]
    client.post(link, data=ONE_CLICK)
    before = everything(parts)
    answer = client.post(topic)
    assert answer.status_code == 200
    assert not read(answer).all("form")  # it cannot take an end back
    assert everything(parts) == before
    assert client.post(f"/topic/{parts.links.topic_token(999_999, 1)}").status_code == 200


def test_a_link_of_long_ago_does_not_say_that_nothing_comes(
    client: FlaskClient, parts: Parts, link: str, clock: SetClock
) -> None:
    first = client.post(link, data=ONE_CLICK)
    clock.advance(timedelta(days=2))
    later = client.get(link)
    assert read(first).one("main").text != read(later).one("main").text
    clock.advance(timedelta(minutes=1))
    make_reader(parts, ADDRESS)
    assert client.get(link).data == client.post(link, data=ONE_CLICK).data == later.data
    assert states_of(parts) == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]
