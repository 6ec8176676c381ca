"""The preferences page: light version, pause, further newsletters in one tap, forms shown before another change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from pages import Page, chosen, everything, path, press, read, subscriptions
from sqlalchemy import select

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import address_hash, read_address
from newsletter.base.clock import SetClock, zone
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Counter, Frequency, Newsletter
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import Choice, ConsentKind, ConsentText, Form, Subscription, SubscriptionState

ADDRESS = "salma.bennani@gmail.com"


def save(client: FlaskClient, link: str, **changes: object) -> Page:
    """Open the page, change these fields of its newsletter, save, and read what comes."""
    given = {f"{name}.hebdo": value for name, value in changes.items()}
    return read(press(client, read(client.get(link)), given))


def form_of(parts: Parts) -> Form:
    with parts.database.reading() as work:
        choice = work.session.get(Choice, subscriptions(parts)[0].choice_id)
        assert choice is not None
        return choice.form


def test_the_light_version_is_chosen_and_taken_back(client: FlaskClient, parts: Parts, link: str) -> None:
    before = chosen(parts)
    page = save(client, link, form="light")
    assert form_of(parts) is Form.LIGHT
    assert page.fields()["form.hebdo"] == ["light"]
    assert "version légère" in page.one("main").text
    assert save(client, link, topics=["regions"]).fields()["form.hebdo"] == ["light"], "it stays when others change"
    save(client, link, topics=["services", "regions"], form=[])
    assert form_of(parts) is Form.DIGEST
    assert chosen(parts) == before


def test_a_pause_lasts_to_the_day_that_begins_in_the_newsletters_zone(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    page = save(client, link, pause="2026-12-07", after="afresh")
    (paused,) = subscriptions(parts)
    assert paused.paused_until == datetime(2026, 12, 7, tzinfo=zone("Africa/Casablanca"))
    assert not paused.catches_up
    assert "lundi 7 décembre 2026" in page.one("main").text
    assert page.fields()["pause.hebdo"] == ["2026-12-07"]
    assert page.fields()["after.hebdo"] == ["afresh"]


def test_saving_something_else_leaves_a_pause_as_it_is(client: FlaskClient, parts: Parts, link: str) -> None:
    save(client, link, pause="2026-12-07", after="afresh")
    (before,) = subscriptions(parts)
    save(client, link, topics=["regions"])
    (after,) = subscriptions(parts)
    assert (after.paused_until, after.catches_up) == (before.paused_until, before.catches_up)


def test_a_pause_is_changed_and_ended_by_its_field(client: FlaskClient, parts: Parts, link: str) -> None:
    save(client, link, pause="2026-12-07")
    assert subscriptions(parts)[0].catches_up
    save(client, link, pause="2027-01-10", after="afresh")
    (longer,) = subscriptions(parts)
    assert longer.paused_until == datetime(2027, 1, 10, tzinfo=zone("Africa/Casablanca"))
    assert not longer.catches_up
    save(client, link, pause="")
    assert subscriptions(parts)[0].paused_until is None


def test_one_press_ends_the_pause_and_pressing_again_does_nothing(client: FlaskClient, parts: Parts, link: str) -> None:
    page = save(client, link, pause="2026-12-07")
    (button,) = [each for each in page.all("button") if each["form"]]
    assert page.by_id(button["form"])["action"] == f"{link}/resume"
    ended = read(press(client, page, to=f"{link}/resume"))
    assert subscriptions(parts)[0].paused_until is None
    assert any(element["role"] == "status" for element in ended.elements)
    before = everything(parts)
    assert press(client, page, to=f"{link}/resume").status_code == 200
    assert client.post(f"{link}/resume", data={"newsletter": "none"}).status_code == 200
    assert everything(parts) == before


@pytest.mark.parametrize(
    "typed", ["2026-11-16", "2026-11-15", "1999-01-01", "2027-11-17", "9999-12-31", "2026-02-30", "demain", "0", "٢٠٢٦"]
)
def test_a_day_that_cannot_be_is_said_beside_its_field_and_all_is_kept(
    client: FlaskClient, parts: Parts, link: str, typed: str
) -> None:
    before = everything(parts)
    page = read(client.get(link))
    answer = press(client, page, {"pause.hebdo": typed, "topics.hebdo": ["regions"], "after.hebdo": "afresh"})
    assert answer.status_code == 400
    page = read(answer)
    assert page.by_id("pause-hebdo")["aria-describedby"] == "pause-hebdo-problem"
    assert page.by_id("pause-hebdo-problem").text.strip()
    assert "open" in next(each for each in page.all("details")).attributes
    assert page.fields()["pause.hebdo"] == [typed]
    assert page.fields()["after.hebdo"] == ["afresh"]
    assert page.fields()["topics.hebdo"] == ["regions"]
    assert everything(parts) == before


@pytest.mark.parametrize("days", [1, 365])
def test_tomorrow_and_a_year_ahead_can_be_chosen(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str, days: int
) -> None:
    day = date(2026, 11, 16) + timedelta(days=days)
    save(client, link, pause=day.isoformat())
    until = subscriptions(parts)[0].paused_until
    assert until is not None
    assert until.astimezone(zone("Africa/Casablanca")).date() == day


def test_tomorrow_is_the_newsletters_and_not_greenwichs(
    client: FlaskClient, parts: Parts, clock: SetClock, reader: Subscription
) -> None:
    with parts.database.work() as work:
        newsletter = work.session.scalars(select(Newsletter)).one()
        newsletter.time_zone = "Asia/Tokyo"
    clock.move_to(datetime(2026, 11, 16, 16, tzinfo=UTC))  # one o'clock of the seventeenth in Tokyo
    link = path(parts.links.preferences(reader.subscriber_id, at=clock.now()))
    assert read(client.get(link)).by_id("pause-hebdo")["min"] == "2026-11-18"
    assert press(client, read(client.get(link)), {"pause.hebdo": "2026-11-17"}).status_code == 400
    assert press(client, read(client.get(link)), {"pause.hebdo": "2026-11-18"}).status_code == 200
    assert subscriptions(parts)[0].paused_until == datetime(2026, 11, 17, 15, tzinfo=UTC)


def test_a_pause_that_is_over_is_not_shown(client: FlaskClient, parts: Parts, clock: SetClock, link: str) -> None:
    save(client, link, pause="2026-11-17")
    clock.move_to(datetime(2026, 11, 17, 8, tzinfo=UTC))
    fresh = path(parts.links.preferences(subscriptions(parts)[0].subscriber_id, at=clock.now()))
    page = read(client.get(fresh))
    assert page.fields()["pause.hebdo"] == [""]
    (before,) = subscriptions(parts)
    assert press(client, page).status_code == 200
    (after,) = subscriptions(parts)
    assert (after.choice_id, after.watermark, after.paused_until) == (before.choice_id, before.watermark, None)


def test_a_form_shown_before_another_change_is_shown_anew_and_takes_nothing_back(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    old_tab = read(client.get(link))
    save(client, link, topics=["regions"], pause="2026-12-07")
    before = everything(parts)
    answer = press(client, old_tab, {"frequency.hebdo": "daily"})
    assert answer.status_code == 409
    assert everything(parts) == before
    page = read(answer)
    assert any(element["role"] == "alert" for element in page.elements)
    assert page.fields()["topics.hebdo"] == ["regions"]
    assert page.fields()["pause.hebdo"] == ["2026-12-07"]
    assert press(client, page, {"frequency.hebdo": "daily"}).status_code == 200
    assert chosen(parts)[2] is Frequency.DAILY
    assert subscriptions(parts)[0].paused_until is not None


def test_the_same_form_sent_twice_is_saved_once(client: FlaskClient, parts: Parts, link: str) -> None:
    page = read(client.get(link))
    assert press(client, page, {"topics.hebdo": ["regions"]}).status_code == 200
    before = everything(parts)
    assert press(client, page, {"topics.hebdo": ["regions"]}).status_code == 200
    assert everything(parts) == before


def test_a_form_about_a_newsletter_that_was_left_meanwhile_changes_nothing(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    make_newsletter(parts, slug="second")
    make_reader(parts, ADDRESS, slug="second")
    page = read(client.get(link))
    leave = next(each for each in page.links if each.startswith("/u/"))
    press(client, read(client.get(leave)))
    before = everything(parts)
    answer = press(client, page, {"topics.second": ["services"]})
    assert answer.status_code == 409
    assert everything(parts) == before


def test_a_further_newsletter_comes_by_one_tap_and_no_mail_asks_again(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    make_newsletter(parts, slug="second", languages=("ar", "fr"))
    with parts.database.work() as work:
        work.session.scalars(select(Counter)).one().value = 41
    page = read(client.get(link))
    before = everything(parts)
    answer = press(client, page, to=f"{link}/subscribe")
    assert answer.status_code == 200
    first, second = subscriptions(parts)
    assert (second.state, second.watermark, second.subscriber_id) == (SubscriptionState.ACTIVE, 41, first.subscriber_id)
    assert chosen(parts, 1) == (["services", "regions"], ["fr", "ar"], Frequency.WEEKLY)
    with parts.database.reading() as work:
        consents = queries.consents(work, second.id)
        assert [each.kind for each in consents] == [ConsentKind.REQUESTED, ConsentKind.CONFIRMED]
        for each in consents:
            assert each.form_version == "add-1"
            text = work.session.get(ConsentText, each.text_hash)
            assert text is not None
            assert text.text.split(".")[0] in page.one("main").text
    after = everything(parts)
    assert after["delivery"] == before["delivery"]
    assert after["request"] == before["request"]
    assert {"hebdo", "second"} == set(read(answer).fields()["shown"])


def test_a_second_tap_adds_nothing(client: FlaskClient, parts: Parts, link: str) -> None:
    make_newsletter(parts, slug="second")
    page = read(client.get(link))
    press(client, page, to=f"{link}/subscribe")
    before = everything(parts)
    assert press(client, page, to=f"{link}/subscribe").status_code == 200
    assert everything(parts) == before


def test_what_waited_for_confirmation_is_taken_up_by_the_tap(client: FlaskClient, parts: Parts, link: str) -> None:
    make_newsletter(parts, slug="second")
    ask(parts, ADDRESS, slug="second", languages=["en"])  # by whoever knows the address
    press(client, read(client.get(link)), to=f"{link}/subscribe")
    _, second = subscriptions(parts)
    assert second.state is SubscriptionState.ACTIVE
    assert chosen(parts, 1)[1] == ["fr", "ar"], "as the page said"


def test_a_newsletter_in_none_of_the_readers_languages_comes_in_its_first(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    make_newsletter(parts, slug="second", languages=("en",))
    assert "anglais" in read(client.get(link)).one("main").text
    press(client, read(client.get(link)), to=f"{link}/subscribe")
    assert chosen(parts, 1)[1] == ["en"]


def test_who_reads_the_light_version_gets_it_of_a_further_newsletter(
    client: FlaskClient, parts: Parts, link: str
) -> None:
    save(client, link, form="light")
    make_newsletter(parts, slug="second")
    page = read(press(client, read(client.get(link)), to=f"{link}/subscribe"))
    assert page.fields()["form.second"] == ["light"]


def test_nothing_is_added_for_somebody_who_left_or_is_closed(client: FlaskClient, parts: Parts, link: str) -> None:
    make_newsletter(parts, slug="second")
    tap = {"newsletter": "second"}
    for name in ("none", "", "second\0", "x" * 5000):
        assert client.post(f"{link}/subscribe", data={"newsletter": name}).status_code == 404
    assert client.post(f"{link}/subscribe").status_code == 404
    with parts.database.work() as work:
        key = address_hash(parts.address_key, read_address(ADDRESS).key)
        subscriber_actions.suppress(work, address_hash=key, reason=SuppressionReason.COMPLAINT)
    assert len(read(client.get(link)).all("form")) == 1
    assert client.post(f"{link}/subscribe", data=tap).status_code == 409
    leave = next(each for each in read(client.get(link)).links if each.startswith("/u/"))
    press(client, read(client.get(leave)))
    assert client.post(f"{link}/subscribe", data=tap).status_code == 409
    assert len(subscriptions(parts)) == 1


@pytest.mark.parametrize("action", ["", "/subscribe", "/resume", "/address"])
def test_every_button_of_the_page_needs_a_link_of_this_hour(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str, action: str
) -> None:
    before = everything(parts)
    clock.advance(timedelta(hours=1, seconds=1))
    given = {"newsletter": "hebdo", "address": "new@example.org"}
    answer = client.post(f"{link}{action}", data=given)
    assert answer.status_code == 410
    assert [each for each in read(answer).links if each.startswith("/p/")]
    other = path(parts.links.preferences(999_999, at=clock.now()))
    assert client.post(f"{other}{action}", data=given).status_code == 404
    assert everything(parts) == before


@pytest.mark.parametrize(("code", "direction"), [("ar", "rtl"), ("en", "ltr")])
def test_the_page_speaks_the_readers_language_throughout(
    client: FlaskClient, parts: Parts, clock: SetClock, code: str, direction: str
) -> None:
    person = make_reader(parts, f"{code}@example.org", languages=[code])
    make_newsletter(parts, slug="second")
    link = path(parts.links.preferences(person.subscriber_id, at=clock.now()))
    saved = press(client, read(client.get(link)), {"pause.hebdo": "2026-12-07", "form.hebdo": "light"})
    for answer in (
        client.get(link),
        saved,
        press(client, read(saved), to=f"{link}/resume"),
        client.get(f"{link}/address"),
    ):
        page = read(answer)
        assert (page.language, page.one("html")["dir"]) == (code, direction)
    said = read(saved).one("main").text
    assert ("7 دجنبر 2026" if code == "ar" else "Monday 7 December 2026") in said
    assert "2026-12-07" not in said
