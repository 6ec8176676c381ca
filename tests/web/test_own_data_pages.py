"""Seeing what is kept, taking it away, having it erased: behind the preferences link, by the reader alone."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, press, read, subscriptions
from sqlalchemy import update

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery
from newsletter.operations.run_due import run_due
from newsletter.privacy.record import record
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import queries
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import (
    ConsentKind,
    ConsentText,
    EndReason,
    Request,
    Subscription,
    SubscriptionState,
)

ADDRESS = "salma.bennani@gmail.com"
FRENCH, ARABIC, ENGLISH = ("fr",), ("ar", "fr"), ("en",)


def test_the_preferences_lead_to_what_is_kept(client: FlaskClient, link: str) -> None:
    assert f"{link}/data" in read(client.get(link)).links


def test_a_reader_sees_subscriptions_consents_and_mails_in_words(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    run_due(parts.postroom)
    with parts.database.work() as work:
        subscription = queries.by_id(work, reader.id)
        assert subscription is not None
        shown = Shown("Vos choix.", "preferences-1", "198.51.100.0/24")
        witness(work, subscription, ConsentKind.CHANGED, "fr", shown)
    answer = client.get(f"{link}/data")
    page = read(answer)
    assert page.language == "fr"
    said = " ".join(page.one("main").text.split())
    assert "s…i@gmail.com" in said
    assert ADDRESS not in answer.text
    assert "Vous la recevez chaque lundi à 8" in page.one("main").text
    assert "en français et arabe, sur\xa0: Services et Régions" in page.one("main").text
    assert "16 novembre 2026\xa0: Vous avez demandé à vous abonner." in page.one("main").text
    assert "I agree." in said
    assert "198.51.100.0/24" in said
    assert (
        "16 novembre 2026\xa0: Un lien de confirmation, non envoyé" in page.one("main").text
    )  # confirmed before it left
    assert "D-000/2026" in answer.text
    assert {f"{link}/export.json", f"{link}/erase", link} <= set(page.links)


@pytest.mark.parametrize("languages", [FRENCH, ARABIC, ENGLISH])
def test_everything_that_can_be_kept_is_said_in_the_readers_language(
    client: FlaskClient, parts: Parts, clock: SetClock, languages: tuple[str, ...]
) -> None:
    make_newsletter(parts, slug="second")
    make_newsletter(parts, slug="third")
    make_reader(parts, ADDRESS, slug="third", languages=languages)
    with parts.database.work() as work:
        for each in SuppressionReason:
            subscriber_actions.suppress(work, address_hash=_person(parts).address_hash, reason=each)
        subscription = queries.by_id(work, 1)
        assert subscription is not None
        for kind in ConsentKind:
            witness(work, subscription, kind, languages[0], Shown(f"{kind}", "form-1"))
        subscription.paused_until = clock.now() + timedelta(days=3)
        subscription.end(work.now, reason=EndReason.PAGE)
    make_reader(parts, ADDRESS, languages=languages)
    ask(parts, ADDRESS, slug="second", languages=languages)
    link = path(parts.links.preferences(_person(parts).id, at=clock.now()))
    for way in ("data", "erase"):
        page = read(client.get(f"{link}/{way}"))
        assert page.language == languages[0]
        assert page.one("h1").text
    assert len(page.all("li")) >= 3


def _person(parts: Parts) -> Subscriber:
    with parts.database.reading() as work:
        return work.session.query(Subscriber).filter_by(address=ADDRESS).one()


def test_looking_changes_nothing(client: FlaskClient, parts: Parts, link: str) -> None:
    before = everything(parts)
    for way in ("data", "export.json", "erase"):
        assert client.get(f"{link}/{way}").status_code == 200
        assert client.head(f"{link}/{way}").status_code == 200
    assert everything(parts) == before


def test_the_export_is_a_file_with_all_that_is_kept(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    run_due(parts.postroom)
    answer = client.get(f"{link}/export.json")
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="newsletter-data.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    data = json.loads(answer.data)
    assert data["address"] == ADDRESS
    [subscription] = data["subscriptions"]
    assert (subscription["state"], subscription["languages"]) == ("active", ["fr", "ar"])
    assert [each["topic"] for each in subscription["topics"]] == ["services", "regions"]
    for consent in subscription["consents"]:
        assert consent["text_hash"] == sha256(consent["text_shown"].encode()).hexdigest()
        assert consent["text_matches_hash"] is True
    assert [(each["kind"], each["state"]) for each in data["mails"]] == [("confirmation", "skipped")]
    assert data["closed_for"] == []
    with parts.database.reading() as work:
        same = record(work, address_hash=data["keyed_hash"])
    assert json.loads(json.dumps(same, default=str)).keys() == data.keys()


def test_nothing_that_a_persons_rows_hold_is_missing_from_the_export(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    """Each column of each table about persons is in the file, or is named here with its reason."""
    left_out = {
        # The numbers of rows would tell how many others came in between. The key is the address, written otherwise.
        "subscriber": {"id", "address_key", "needs_smtputf8"},
        "subscription": {"id", "subscriber_id", "newsletter_id", "choice_id", "changed"},  # by name; for the planner
        "consent": {"id", "subscription_id"},
        "request": {"id", "subscriber_id", "newsletter_id", "address_hash"},
        "suppression": {"id", "address_hash"},
        "budget_entry": {"id", "address_hash"},
    }
    tables = Subscriber.metadata.tables
    columns = {name: {column.name for column in tables[name].columns} - left for name, left in left_out.items()}
    data = client.get(f"{link}/export.json").get_json()
    [known], [subscription] = data["known"], data["subscriptions"]
    assert len(columns["subscriber"] - {"address", "address_hash"}) == len(known)
    in_words = {"newsletter", "newsletter_names", "form", "languages", "topics", "consents"}
    assert len(columns["subscription"]) == len(set(subscription) - in_words)
    assert len(columns["consent"]) == len(set(subscription["consents"][0]) - {"text_shown", "text_matches_hash"})
    assert len(columns["request"]) == len(data["requests"][0])
    assert columns["suppression"] == {"reason", "created_at"}
    assert columns["budget_entry"] == set(data["confirmations_counted"][0])


def test_one_press_erases_and_a_second_one_answers_the_same(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    page = read(client.get(f"{link}/erase"))
    assert "Vos abonnements prennent fin\xa0: L’hebdo." in page.one("main").text
    answer = press(client, page)
    assert answer.status_code == 200
    assert read(answer).language == "fr"
    assert read(answer).one("h1").text == "Tout ce qui vous concerne est effacé"
    [subscription] = subscriptions(parts)
    assert (subscription.state, subscription.end_reason) == (SubscriptionState.ENDED, "erasure")
    assert ADDRESS not in json.dumps(everything(parts), default=str)
    after = everything(parts)
    assert press(client, page).data == answer.data
    for way in ("data", "export.json", "erase"):
        assert client.get(f"{link}/{way}").data == answer.data
    assert everything(parts) == after


def test_the_erasure_keeps_what_the_page_said_as_evidence(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    page = read(client.get(f"{link}/erase"))
    press(client, page)
    with parts.database.reading() as work:
        last = queries.consents(work, reader.id)[-1]
        text = work.session.get(ConsentText, last.text_hash)
    assert (last.kind, last.form_version, last.language) == (ConsentKind.LEFT, "erase-1", "fr")
    assert text is not None
    for item in page.all("li")[:3]:
        assert item.text in text.text


def test_an_erased_readers_links_answer_kindly(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    press(client, read(client.get(f"{link}/erase")))
    leave = path(parts.links.unsubscribe(parts.links.unsubscribe_token(reader.id, 1)))
    assert client.post(leave, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert client.get(leave).status_code == 200
    manage = path(parts.links.manage(parts.links.manage_token(reader.id, 1)))
    assert client.get(manage).status_code == client.post(manage).status_code == 200


def test_the_links_of_a_forgotten_reader_answer_kindly(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    leave = path(parts.links.unsubscribe(parts.links.unsubscribe_token(999_999, 1)))
    for answer in (client.get(leave), client.post(leave, data={"List-Unsubscribe": "One-Click"})):
        assert answer.status_code == 200
        assert read(answer).one("h1").text


def test_without_a_home_that_can_be_written_a_kind_page_says_to_come_back(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    parts.erasures.path.mkdir()
    before = everything(parts)
    answer = press(client, read(client.get(f"{link}/erase")))
    assert answer.status_code == 503
    assert read(answer).one("h1").text
    assert everything(parts) == before


@pytest.mark.parametrize("way", ["data", "export.json", "erase"])
def test_after_an_hour_the_link_offers_a_new_one(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str, way: str
) -> None:
    clock.advance(timedelta(hours=1, seconds=1))
    before = everything(parts)
    for answer in [client.get(f"{link}/{way}"), *([client.post(f"{link}/erase")] if way == "erase" else [])]:
        assert answer.status_code == 410
        assert read(answer).language == "fr"
    assert everything(parts) == before


@pytest.mark.parametrize("way", ["data", "export.json", "erase"])
def test_a_link_that_is_not_ours_opens_nothing(client: FlaskClient, link: str, way: str) -> None:
    broken = link[:-1] + ("a" if link[-1] != "a" else "b")
    assert client.get(f"{broken}/{way}").status_code == 404
    assert client.post(f"{broken}/erase").status_code == 404


def test_after_coming_back_the_page_also_tells_of_the_time_before(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str
) -> None:
    press(client, read(client.get(f"{link}/erase")))
    clock.advance(timedelta(days=2))
    again = make_reader(parts, ADDRESS)
    data = client.get(path(parts.links.preferences(again.subscriber_id, at=clock.now())) + "/export.json").get_json()
    assert [each["state"] for each in data["subscriptions"]] == ["ended", "active"]
    assert [each["reason"] for each in data["closed_for"]] == ["erasure"]
    page = read(client.get(path(parts.links.preferences(again.subscriber_id, at=clock.now())) + "/data"))
    assert "aucune importation" in page.one("main").text


def test_a_year_of_daily_mails_fits_the_page(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    request = newest(parts, Request)
    with parts.database.work() as work:
        row = work.session.query(Delivery).filter_by(occasion=request.id).one()
        for number in range(40):
            work.session.add(
                Delivery(
                    batch_id=row.batch_id,
                    subscriber_id=row.subscriber_id,
                    occasion=-number - 1,
                    state="accepted",
                    created_at=work.now,
                )
            )
        work.session.execute(update(Delivery).values(settled_at=work.now))
    page = read(client.get(f"{link}/data"))
    assert "Le fichier en contient 11 de plus." in page.one("main").text
    assert len(client.get(f"{link}/export.json").get_json()["mails"]) == 41
