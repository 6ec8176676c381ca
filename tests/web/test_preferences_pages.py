from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import chosen, everything, newest, path, press, read, subscriptions
from sqlalchemy import update

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Frequency
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Request, RequestKind, Subscription, SubscriptionState

ADDRESS = "salma.bennani@gmail.com"


def test_the_digests_link_shows_a_button_that_mails_another_link(
    client: FlaskClient, parts: Parts, reader: Subscription
) -> None:
    manage = path(parts.links.manage(parts.links.manage_token(reader.id, 3)))
    before = everything(parts)
    page = read(client.get(manage))
    assert page.language == "fr"
    assert "s…i@gmail.com" in page.one("main").text
    assert everything(parts) == before
    answer = press(client, page)
    assert answer.status_code == 200
    asked = newest(parts, Request)
    assert asked.kind is RequestKind.PREFERENCES_LINK
    for _ in range(5):
        assert client.post(manage).data == answer.data  # also when no more than three a day are mailed


def test_the_digests_link_of_somebody_erased_says_that_nothing_is_kept(
    client: FlaskClient, parts: Parts, reader: Subscription
) -> None:
    gone = path(parts.links.manage(parts.links.manage_token(999_999, 3)))
    assert client.get(gone).status_code == client.post(gone).status_code == 200
    manage = path(parts.links.manage(parts.links.manage_token(reader.id, 3)))
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    assert client.get(manage).data == client.get(gone).data.replace(b'lang="en"', b'lang="fr"')


def test_preferences_show_what_is_in_force(client: FlaskClient, link: str) -> None:
    page = read(client.get(link))
    assert page.language == "fr"
    fields = page.fields()
    assert fields["topics.hebdo"] == ["services", "regions"]
    assert (fields["language.hebdo.1"], fields["language.hebdo.2"]) == (["fr"], ["ar"])
    assert "language.hebdo.3" not in fields
    assert fields["frequency.hebdo"] == ["weekly"]


def test_saving_untouched_preferences_changes_nothing(client: FlaskClient, parts: Parts, link: str) -> None:
    before = everything(parts)
    assert press(client, read(client.get(link))).status_code == 200
    assert everything(parts) == before


def test_topics_languages_in_order_and_frequency_are_saved(client: FlaskClient, parts: Parts, link: str) -> None:
    changes = {
        "topics.hebdo": ["regions"],
        "language.hebdo.1": "ar",
        "language.hebdo.2": "",
        "language.hebdo.3": "en",
        "frequency.hebdo": "daily",
    }
    answer = press(client, read(client.get(link)), changes)
    assert answer.status_code == 200
    assert chosen(parts) == (["regions"], ["ar", "en"], Frequency.DAILY)
    page = read(answer)
    assert page.language == "ar"  # from now on the reader is spoken to in Arabic
    assert any(element["role"] == "status" for element in page.elements)
    said = page.one("main").text
    assert "الجهات" in said
    assert "كل يوم على الساعة 7:00" in said
    assert page.fields()["language.hebdo.2"] == ["en"]


def test_each_newsletter_keeps_its_own_preferences(client: FlaskClient, parts: Parts, link: str) -> None:
    make_newsletter(parts, slug="second")
    make_reader(parts, ADDRESS, slug="second", languages=["fr"])
    press(client, read(client.get(link)), {"topics.second": ["services"]})
    assert chosen(parts, 0) == (["services", "regions"], ["fr", "ar"], Frequency.WEEKLY)
    assert chosen(parts, 1) == (["services"], ["fr"], Frequency.WEEKLY)


def test_without_a_topic_or_a_language_nothing_is_saved_and_all_is_kept(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    before = everything(parts)
    changes = {"topics.hebdo": [], "language.hebdo.1": "", "language.hebdo.2": "", "frequency.hebdo": "daily"}
    answer = press(client, read(client.get(link)), changes)
    assert answer.status_code == 400
    page = read(answer)
    assert [link for link in page.links if link.startswith("#") and link != "#content"] == [
        "#topics-hebdo",
        "#language-hebdo-1",
    ]
    assert page.fields()["frequency.hebdo"] == ["daily"]
    assert "topics.hebdo" not in page.fields()
    assert everything(parts) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("topics.hebdo", "none-such"),
        ("language.hebdo.1", "xx"),
        ("frequency.hebdo", "hourly"),
        ("frequency.hebdo", "monthly"),
    ],
)
def test_what_was_never_offered_is_refused(
    client: FlaskClient, parts: Parts, link: str, field: str, value: str
) -> None:
    before = everything(parts)
    answer = press(client, read(client.get(link)), {field: value})
    assert answer.status_code == 400
    assert read(answer).language == "fr"
    assert everything(parts) == before


def test_the_page_leads_to_leaving(client: FlaskClient, parts: Parts, link: str) -> None:
    (leave,) = [each for each in read(client.get(link)).links if each.startswith("/u/")]
    press(client, read(client.get(leave)))
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.ENDED]
    page = read(client.get(link))
    assert not page.all("form")


@pytest.mark.parametrize("method", ["get", "post"])
def test_after_an_hour_the_link_offers_a_new_one(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str, method: str
) -> None:
    clock.advance(timedelta(hours=1, seconds=1))
    before = everything(parts)
    answer = client.open(link, method=method)
    assert answer.status_code == 410
    page = read(answer)
    assert page.language == "fr"
    assert everything(parts) == before
    (again,) = [each for each in page.links if each.startswith("/p/")]
    press(client, read(client.get(again)))
    assert newest(parts, Request).kind is RequestKind.PREFERENCES_LINK


def test_an_erased_persons_link_opens_nothing(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    answer = client.get(path(parts.links.preferences(999_999, at=clock.now())))
    assert answer.status_code == 404
