from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, press, read, subscriptions
from sqlalchemy import update

from factories import ask, make_reader
from newsletter.base.links import Links
from newsletter.bootstrap import Parts
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import EndReason, Request, Subscription, SubscriptionState
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
