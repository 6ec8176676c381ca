from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, press, read, subscriptions

from factories import ask, make_newsletter
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Request, SubscriptionState

ADDRESS = "salma.bennani@gmail.com"


@pytest.fixture
def link(client: FlaskClient, parts: Parts, clock: SetClock) -> str:
    """The link in the confirmation of somebody who asked in Arabic."""
    ask(parts, ADDRESS, languages=["ar"])
    return path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))


def test_the_link_shows_a_button_and_the_button_confirms(client: FlaskClient, parts: Parts, link: str) -> None:
    page = read(client.get(link))
    assert page.language == "ar"
    assert len(page.all("button")) == 1
    assert "الأسبوعية" in page.one("main").text
    assert "s…i@gmail.com" in page.one("main").text
    answer = press(client, page)
    assert answer.status_code == 200
    assert read(answer).language == "ar"
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ACTIVE]


def test_one_link_confirms_all_that_the_person_asked_for(client: FlaskClient, parts: Parts, link: str) -> None:
    make_newsletter(parts, slug="second")
    ask(parts, ADDRESS, slug="second")
    press(client, read(client.get(link)))
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ACTIVE] * 2


def test_a_second_use_is_answered_kindly(client: FlaskClient, parts: Parts, link: str) -> None:
    client.post(link)
    before = everything(parts)
    again, looked = client.post(link), client.get(link)
    assert (again.status_code, looked.status_code) == (200, 200)
    assert again.data == looked.data
    assert not read(looked).all("button")
    assert everything(parts) == before


def test_a_link_used_before_leaving_says_that_nothing_comes(client: FlaskClient, parts: Parts, link: str) -> None:
    client.post(link)
    token = parts.links.unsubscribe_token(subscriptions(parts)[0].id, 0)
    client.post(f"/u/{token}")
    answer = client.get(link)
    assert answer.status_code == 200
    assert "/ar/" in read(answer).links
    client.post(link)
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ENDED]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_older_than_seven_days_has_expired(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str, method: str
) -> None:
    clock.advance(timedelta(days=7, seconds=1))
    before = everything(parts)
    answer = client.open(link, method=method)
    assert answer.status_code == 410
    page = read(answer)
    assert page.language == "ar"
    assert "/ar/" in page.links
    assert everything(parts) == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_ended_unconfirmed_can_no_longer_be_confirmed(
    client: FlaskClient, parts: Parts, link: str, method: str
) -> None:
    client.post(path(parts.links.never(newest(parts, Request).id)))
    answer = client.open(link, method=method)
    assert answer.status_code == 410
    assert read(answer).language == "ar"
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ENDED]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_of_another_purpose_is_not_taken(client: FlaskClient, parts: Parts, link: str, method: str) -> None:
    token = parts.links.never(newest(parts, Request).id).rpartition("/")[2]
    answer = client.open(f"/confirm/{token}", method=method, headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert read(answer).language == "en"
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING]
