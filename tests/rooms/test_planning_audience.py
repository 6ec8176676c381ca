"""Who an issue is for, and which of the slots that were missed it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from planning_parts import Ground, books_of, entry, lay, open_now, open_weekly, plan, plan_one, publish, set_rows

from factories import make_reader
from newsletter.articles import actions as article_actions
from newsletter.articles import queries as article_queries
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import DeliveryState
from newsletter.issues import actions, queries
from newsletter.issues.models import IssueState
from newsletter.mail.port import Outcome
from newsletter.operations.run_due import run_due
from newsletter.subscriptions.models import Subscription
from newsletter.subscriptions.preferences import pause


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


def state_of(ground: Ground, issue_id: int) -> tuple[IssueState, str | None]:
    with ground.database.reading() as work:
        issue = queries.issue(work, issue_id)
        return issue.state, issue.reason


def test_who_joins_while_an_issue_is_planned_is_not_in_its_audience(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "one@example.org")
    publish(ground, entry("un"))
    issue_id = open_weekly(ground)
    plan_one(ground, issue_id)
    make_reader(parts, "late@example.org")
    plan(ground, issue_id)
    assert books_of(ground, issue_id).audience == 1


def test_a_reader_who_pauses_is_in_no_audience_and_gets_it_all_afterwards(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    with ground.database.work() as work:
        reader_now = work.session.get_one(Subscription, reader.id)
        pause(work, subscription=reader_now, until=work.now + timedelta(days=8), catches_up=True)
    paused = open_weekly(ground)
    plan(ground, paused)
    assert books_of(ground, paused).audience == 0
    assert state_of(ground, paused) == (IssueState.EMPTY, None)
    assert plan(ground, open_weekly(ground)) == {reader.id: [one]}


def test_a_reader_with_an_open_mail_is_passed_over_and_loses_nothing(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    first = open_weekly(ground)
    plan(ground, first)
    (two,) = publish(ground, entry("deux"))
    second = open_weekly(ground)
    assert plan(ground, second) == {}
    assert books_of(ground, second).reasons == {"skipped": {"earlier_issue_open": 1}}
    set_rows(ground, state=DeliveryState.FAILED)
    assert plan(ground, open_weekly(ground)) == {reader.id: [two, one]}


def test_only_the_latest_missed_slot_opens(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "one@example.org")
    publish(ground, entry("un"))
    ground.clock.advance(timedelta(days=20))
    assert open_now(ground) is not None
    assert open_now(ground) is None
    with ground.database.reading() as work:
        (issue,) = queries.issues(work)
        assert issue.slot == "2026-11-30T08:00Z"


def test_a_slot_that_is_too_late_waits_for_a_person(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "one@example.org")
    publish(ground, entry("un"))
    ground.clock.advance(timedelta(days=7, hours=5))  # Monday, 14:00: six hours after the slot
    in_time = open_now(ground)
    assert in_time is not None
    assert state_of(ground, in_time)[0] is IssueState.PLANNING
    ground.clock.advance(timedelta(days=7, seconds=1))
    late = open_now(ground)
    assert late is not None
    assert state_of(ground, late) == (IssueState.HELD, "late")
    with ground.database.work() as work:
        actions.release(work, issue=queries.issue(work, late, lock=True))
    assert state_of(ground, late)[0] is IssueState.PLANNING


def test_a_later_slot_takes_the_place_of_one_that_waits(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    ground.clock.advance(timedelta(days=8))
    late = open_now(ground)
    assert late is not None
    ground.clock.advance(timedelta(days=-1))
    assert plan(ground, open_weekly(ground)) == {reader.id: [one]}
    assert state_of(ground, late) == (IssueState.CANCELLED, "superseded")


def test_who_lacks_one_of_two_unpaired_pieces_gets_it(ground: Ground, parts: Parts) -> None:
    both = make_reader(parts, "both@example.org", languages=["fr", "ar"])
    one, other = publish(ground, entry("un"), entry("wahid", language="ar", translates="un"))
    run_at(ground, parts)
    with ground.database.work() as work:
        article_actions.unpair(work, article=article_queries.article(work, other))
    assert plan(ground, open_weekly(ground)) == {both.id: [other]}
    assert one != other


def test_a_failed_mail_moves_no_watermark(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    parts.backend.decide = lambda _: Outcome.FAILED  # type: ignore[attr-defined]
    run_at(ground, parts)
    (two,) = publish(ground, entry("deux"))
    assert plan(ground, open_weekly(ground)) == {reader.id: [two, one]}


def run_at(ground: Ground, parts: Parts) -> None:
    """Let cron run at the next slot."""
    ground.clock.advance(timedelta(days=7))
    run_due(parts.postroom)
