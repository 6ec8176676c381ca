"""A pause: nothing comes while it lasts, and afterwards all of it or none of it, whenever cron looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from planning_parts import Ground, books_of, entry, lay, open_now, plan, publish, reinstate, withdraw
from sqlalchemy import update

from factories import make_reader
from newsletter.articles.models import Availability
from newsletter.base.clock import SetClock
from newsletter.base.errors import Conflict, InvalidInput
from newsletter.bootstrap import Parts
from newsletter.issues.pauses import end_pauses
from newsletter.newsletters.models import Frequency
from newsletter.operations.forecast import forecast
from newsletter.subscriptions import leaving, preferences, queries
from newsletter.subscriptions.evidence import Shown
from newsletter.subscriptions.models import ConsentKind, EndReason, Form, Subscription

DAY = timedelta(days=1)


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


@pytest.fixture
def reader(parts: Parts, ground: Ground) -> Subscription:
    return make_reader(parts, "lectrice@example.org", languages=["fr", "ar"])


def pause(ground: Ground, reader: Subscription, *, days: float, catches_up: bool, shown: Shown | None = None) -> None:
    with ground.database.work() as work:
        now = work.session.get_one(Subscription, reader.id)
        until = work.now + timedelta(days=days)
        preferences.pause(work, subscription=now, until=until, catches_up=catches_up, shown=shown)


def resume(ground: Ground, reader: Subscription) -> None:
    with ground.database.work() as work:
        preferences.resume(work, subscription=work.session.get_one(Subscription, reader.id))


def choose(ground: Ground, reader: Subscription, *, topics: list[str], form: Form | None = None) -> None:
    with ground.database.work() as work:
        preferences.change(
            work,
            subscription=work.session.get_one(Subscription, reader.id),
            topics=topics,
            languages=["fr", "ar"],
            frequency=Frequency.WEEKLY,
            form=form,
        )


def next_monday(ground: Ground) -> int:
    """Open the issue of the next Monday at eight, an hour after it."""
    now = ground.clock.now()
    monday = now.replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    ground.clock.move_to(monday + timedelta(days=7))
    number = open_now(ground)
    assert number is not None
    return number


def consents_of(ground: Ground, reader: Subscription) -> list[tuple[ConsentKind, str | None]]:
    with ground.database.reading() as work:
        return [(each.kind, each.form_version) for each in queries.consents(work, reader.id)]


def test_who_catches_up_gets_all_that_came_in_the_pause(ground: Ground, reader: Subscription) -> None:
    (one,) = publish(ground, entry("avant"))
    pause(ground, reader, days=8, catches_up=True)
    (two,) = publish(ground, entry("pendant"))
    assert plan(ground, next_monday(ground)) == {}
    assert plan(ground, next_monday(ground)) == {reader.id: [two, one]}


def test_who_starts_afresh_gets_only_what_came_afterwards(ground: Ground, reader: Subscription) -> None:
    publish(ground, entry("avant"))
    pause(ground, reader, days=8, catches_up=False)
    publish(ground, entry("pendant"))
    assert plan(ground, next_monday(ground)) == {}
    ground.clock.advance(2 * DAY)
    (two,) = publish(ground, entry("après"))
    assert plan(ground, next_monday(ground)) == {reader.id: [two]}


def test_a_run_that_comes_weeks_too_late_counts_to_the_same_moment(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=2, catches_up=False)
    ground.clock.advance(2 * DAY)
    publish(ground, entry("at the last moment"))
    ground.clock.advance(timedelta(microseconds=1))
    (two,) = publish(ground, entry("just after"))
    ground.clock.advance(30 * DAY)
    (three,) = publish(ground, entry("later"))
    assert plan(ground, next_monday(ground)) == {reader.id: [three, two]}


def test_a_pause_ends_once_and_for_all(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=1, catches_up=False)
    ground.clock.advance(2 * DAY)
    for ended in (1, 0):
        with ground.database.work() as work:
            assert end_pauses(work) == ended
    (one,) = publish(ground, entry("après"))
    with ground.database.work() as work:
        assert end_pauses(work) == 0
        now = work.session.get_one(Subscription, reader.id)
        assert (now.paused_until, now.catches_up) == (None, True)
    assert plan(ground, next_monday(ground)) == {reader.id: [one]}


def test_two_who_end_the_same_pauses_at_once_end_each_of_them_once(ground: Ground, parts: Parts) -> None:
    readers = [make_reader(parts, f"reader{number}@example.org") for number in range(12)]
    for reader in readers:
        pause(ground, reader, days=1, catches_up=False)
    publish(ground, entry("pendant"))
    ground.clock.advance(2 * DAY)
    with ThreadPoolExecutor(2) as pool:
        ended = [each.result() for each in [pool.submit(ground.database.in_snapshot, end_pauses) for _ in range(2)]]
    assert sorted(ended) == [0, 12]
    with ground.database.reading() as work:
        assert {work.session.get_one(Subscription, reader.id).watermark for reader in readers} == {1}


def test_what_overlapping_works_numbered_against_their_moments_is_not_lost(
    ground: Ground, reader: Subscription
) -> None:
    pause(ground, reader, days=1, catches_up=False)
    ground.clock.advance(2 * DAY)
    one, two = publish(ground, entry("after"), entry("began before, ended after"))
    with ground.database.work() as work:
        moved = update(Availability).where(Availability.article_id == two)
        work.session.execute(moved.values(created_at=work.now - 1.5 * DAY))
    assert plan(ground, next_monday(ground)) == {reader.id: [two, one]}


def test_a_topic_added_in_a_pause_counts_from_its_end(ground: Ground, reader: Subscription) -> None:
    choose(ground, reader, topics=["regions"])
    pause(ground, reader, days=8, catches_up=False)
    publish(ground, entry("before the topic"))
    choose(ground, reader, topics=["regions", "services"])
    publish(ground, entry("in the pause"))
    assert plan(ground, next_monday(ground)) == {}
    ground.clock.advance(2 * DAY)
    (two,) = publish(ground, entry("après"))
    assert plan(ground, next_monday(ground)) == {reader.id: [two]}


def test_what_is_carried_after_a_pause_is_owed_and_what_is_carried_in_it_is_not(
    ground: Ground, reader: Subscription
) -> None:
    pause(ground, reader, days=8, catches_up=False)
    passed, owed = publish(ground, entry("un"), entry("deux"))
    for article in (passed, owed):
        withdraw(ground, article)
    reinstate(ground, passed)
    assert plan(ground, next_monday(ground)) == {}
    ground.clock.advance(2 * DAY)
    reinstate(ground, owed)
    assert plan(ground, next_monday(ground)) == {reader.id: [owed]}


def test_a_translation_that_follows_a_pause_brings_nothing_twice(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=1, catches_up=False)
    publish(ground, entry("un"))
    ground.clock.advance(2 * DAY)
    publish(ground, entry("wahid", language="ar", translates="un"))
    assert plan(ground, next_monday(ground)) == {}


def test_who_comes_back_early_starts_at_that_moment(ground: Ground, parts: Parts, reader: Subscription) -> None:
    other = make_reader(parts, "autre@example.org")
    pause(ground, reader, days=30, catches_up=False)
    pause(ground, other, days=30, catches_up=True)
    (one,) = publish(ground, entry("pendant"))
    for each in (reader, other, reader):
        resume(ground, each)
    (two,) = publish(ground, entry("après"))
    assert plan(ground, next_monday(ground)) == {reader.id: [two], other.id: [two, one]}
    assert len(consents_of(ground, reader)) == 4, "requested, confirmed, paused, back"


def test_a_pause_that_is_over_is_not_ended_by_hand(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=1, catches_up=False)
    ground.clock.advance(2 * DAY)
    (one,) = publish(ground, entry("after its end"))
    resume(ground, reader)
    assert plan(ground, next_monday(ground)) == {reader.id: [one]}


def test_a_pause_may_follow_another_before_cron_has_looked(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=1, catches_up=False)
    publish(ground, entry("in the first"))
    ground.clock.advance(2 * DAY)
    (two,) = publish(ground, entry("between"))
    with pytest.raises(Conflict):
        pause(ground, reader, days=1, catches_up=True)
    with ground.database.work() as work:
        end_pauses(work)
    pause(ground, reader, days=1, catches_up=True)
    (three,) = publish(ground, entry("in the second"))
    assert plan(ground, next_monday(ground)) == {reader.id: [three, two]}


def test_a_second_pause_that_starts_afresh_lets_the_first_one_pass_too(ground: Ground, reader: Subscription) -> None:
    pause(ground, reader, days=1, catches_up=False)
    publish(ground, entry("in the first"))
    ground.clock.advance(2 * DAY)
    pause(ground, reader, days=1, catches_up=False)
    publish(ground, entry("in the second"))
    ground.clock.advance(2 * DAY)
    (three,) = publish(ground, entry("après"))
    assert plan(ground, next_monday(ground)) == {reader.id: [three]}


def test_a_mail_that_was_planned_before_the_pause_still_counts(ground: Ground, reader: Subscription) -> None:
    publish(ground, entry("un"))
    plan(ground, next_monday(ground))
    pause(ground, reader, days=1, catches_up=True)
    with ground.database.work() as work:
        from_row = work.session.get_one(Subscription, reader.id)
        assert from_row.watermark == 0
    assert books_of(ground, 1).open == 1


def test_a_reader_whose_pause_ends_while_an_issue_is_planned_is_planned_as_of_its_end(
    ground: Ground, reader: Subscription
) -> None:
    pause(ground, reader, days=7.5, catches_up=False)
    publish(ground, entry("pendant"))
    issue_id = next_monday(ground)  # its planner dies, and the pause ends before the next one comes
    ground.clock.advance(DAY)
    assert plan(ground, issue_id) == {}
    assert books_of(ground, issue_id).audience == 1
    (two,) = publish(ground, entry("après"))
    assert plan(ground, next_monday(ground)) == {reader.id: [two]}


@pytest.mark.parametrize("days", [0, -1, 366.01])
def test_a_pause_ends_on_a_day_to_come_and_lasts_a_year_at_most(
    ground: Ground, reader: Subscription, days: float
) -> None:
    with pytest.raises(InvalidInput) as refused:
        pause(ground, reader, days=days, catches_up=True)
    assert refused.value.code in {"pause_not_ahead", "pause_too_long"}
    assert len(consents_of(ground, reader)) == 2


def test_what_is_chosen_is_evidence_once_with_what_the_page_showed(ground: Ground, reader: Subscription) -> None:
    with ground.database.work() as work:
        until = work.now + 9 * DAY
        for _ in range(2):
            now = work.session.get_one(Subscription, reader.id)
            preferences.pause(work, subscription=now, until=until, catches_up=True, shown=Shown("Pause", "choose-1"))
    choose(ground, reader, topics=["services", "regions"])
    choose(ground, reader, topics=["regions", "services"], form=Form.LIGHT)
    choose(ground, reader, topics=["regions", "services"])
    assert consents_of(ground, reader)[2:] == [(ConsentKind.CHANGED, "choose-1"), (ConsentKind.CHANGED, None)]
    with ground.database.reading() as work:
        now = work.session.get_one(Subscription, reader.id)
        assert now.choice.form is Form.LIGHT
        assert not now.changed


def test_who_has_left_chooses_nothing_any_more(ground: Ground, parts: Parts, reader: Subscription) -> None:
    with ground.database.work() as work:
        token = parts.links.unsubscribe_token(reader.id, 0)
        leaving.leave(work, token=token, links=parts.links, reason=EndReason.PAGE)
    with pytest.raises(Conflict):
        pause(ground, reader, days=1, catches_up=True)
    with pytest.raises(Conflict):
        choose(ground, reader, topics=["regions"])
    with pytest.raises(Conflict):
        resume(ground, reader)


def test_a_forecast_counts_paused_readers_as_the_run_will(ground: Ground, parts: Parts, reader: Subscription) -> None:
    paused = make_reader(parts, "longue@example.org")
    back = make_reader(parts, "revenue@example.org")
    pause(ground, paused, days=30, catches_up=True)
    pause(ground, back, days=1, catches_up=False)
    publish(ground, entry("un"))
    ground.clock.advance(5 * DAY)

    def counted() -> tuple[int, dict[str, int]]:
        weekly = next(each for each in forecast(ground.database) if each.frequency is Frequency.WEEKLY)
        french = next(each for each in weekly.languages if each.language == "fr")
        return french.would_get, french.passed_over

    assert counted() == (1, {"nothing new": 1})
    with ground.database.reading() as work:
        assert work.session.get_one(Subscription, back.id).paused_until is not None, "a forecast keeps nothing"
    assert plan(ground, next_monday(ground)).keys() == {reader.id}
