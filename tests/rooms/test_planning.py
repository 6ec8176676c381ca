"""Planning: everybody who has something new gets it, whatever happens between two slices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from planning_parts import (
    Ground,
    add_readers,
    books_of,
    contents,
    entry,
    lay,
    open_weekly,
    plan,
    plan_one,
    publish,
    reinstate,
    set_rows,
    withdraw,
)
from sqlalchemy import event

from factories import make_reader
from newsletter.articles import actions as article_actions
from newsletter.articles import queries as article_queries
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import DeliveryState, LaneName
from newsletter.issues import actions, planning, queries
from newsletter.issues.models import IssueState
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import topics as topics_of
from newsletter.operations.sending import Postroom, send_due
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions.models import Subscription
from newsletter.subscriptions.preferences import change


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


def test_one_version_of_each_piece_in_the_language_a_reader_prefers(ground: Ground, parts: Parts) -> None:
    french = make_reader(parts, "fr@example.org", languages=["fr", "ar"])
    arabic = make_reader(parts, "ar@example.org", languages=["ar", "fr"])
    one, two, three = publish(
        ground, entry("un"), entry("wahid", language="ar", translates="un"), entry("thani", language="ar")
    )
    found = plan(ground, open_weekly(ground))
    assert {reader: set(articles) for reader, articles in found.items()} == {
        french.id: {one, three},
        arabic.id: {two, three},
    }


def test_readers_who_got_nothing_are_in_the_books(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "ar@example.org", languages=["ar"])
    closed = make_reader(parts, "closed@example.org")
    make_reader(parts, "fr@example.org")
    publish(ground, entry("un"))
    with ground.database.work() as work:
        person = work.session.get_one(Subscriber, closed.subscriber_id)
        subscriber_actions.suppress(work, address_hash=person.address_hash, reason=SuppressionReason.HARD_BOUNCE)
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    found = books_of(ground, issue_id)
    assert (found.audience, found.open, found.skipped) == (3, 1, 2)
    assert found.reasons == {"skipped": {"suppressed": 1, "nothing new": 1}}
    assert found.balance


def test_an_issue_with_nothing_for_anyone_is_empty(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "ar@example.org", languages=["ar"])
    publish(ground, entry("un"))
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    with ground.database.reading() as work:
        assert queries.issue(work, issue_id).state is IssueState.EMPTY


def test_a_plan_that_dies_in_the_middle_of_a_slice_goes_on_where_it_was(ground: Ground) -> None:
    add_readers(ground, 10)
    publish(ground, *(entry(f"piece {number}") for number in range(6)))
    issue_id = open_weekly(ground)
    seen = 0

    def die(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal seen
        seen += "INSERT INTO delivery" in statement
        if seen == 4:  # each slice inserts the skipped rows, and then the others
            raise RuntimeError("the power fails")

    event.listen(ground.database.engine, "before_cursor_execute", die)
    with pytest.raises(RuntimeError):
        planning.plan(ground.database, issue_id, size=4)
    event.remove(ground.database.engine, "before_cursor_execute", die)
    assert len(contents(ground, issue_id)) == 4, "the first slice stands, the second left nothing"
    assert books_of(ground, issue_id).balance
    planning.plan(ground.database, issue_id, size=4)
    found = books_of(ground, issue_id)
    assert (found.audience, found.open) == (10, 10)


def test_a_plan_may_be_made_twice(ground: Ground) -> None:
    add_readers(ground, 5)
    publish(ground, entry("un"), entry("deux"), entry("trois"), entry("quatre"))
    issue_id = open_weekly(ground)
    first = plan(ground, issue_id)
    assert plan(ground, issue_id) == first
    assert len(first) == 5


def test_a_piece_withdrawn_between_two_slices_leaves_its_translation_to_later_readers(
    ground: Ground, parts: Parts
) -> None:
    early = make_reader(parts, "early@example.org", languages=["fr", "ar"])
    late = make_reader(parts, "late@example.org", languages=["fr", "ar"])
    one, translation, other = publish(
        ground, entry("un"), entry("wahid", language="ar", translates="un"), entry("deux")
    )
    issue_id = open_weekly(ground)
    plan_one(ground, issue_id)
    assert contents(ground, issue_id) == {early.id: [other, one]}
    withdraw(ground, one)
    found = plan(ground, issue_id)
    assert found[early.id] == [other]
    assert set(found[late.id]) == {other, translation}


def test_a_piece_reinstated_between_two_slices_is_in_the_mails_of_later_readers(ground: Ground, parts: Parts) -> None:
    early, late = make_reader(parts, "early@example.org"), make_reader(parts, "late@example.org")
    one, other = publish(ground, entry("un"), entry("deux"))
    withdraw(ground, one)
    issue_id = open_weekly(ground)
    plan_one(ground, issue_id)
    reinstate(ground, one)
    assert plan(ground, issue_id) == {early.id: [other], late.id: [other, one]}


def test_a_deferred_mail_fails_when_the_next_slot_comes_and_its_articles_are_in_the_next_mail(
    ground: Ground, parts: Parts
) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    first = open_weekly(ground)
    plan(ground, first)
    set_rows(ground, state=DeliveryState.DEFERRED, next_attempt_at=ground.clock.now() + timedelta(days=9))
    (two,) = publish(ground, entry("deux"))
    assert plan(ground, open_weekly(ground)) == {reader.id: [two, one]}
    assert books_of(ground, first).reasons == {"failed": {"slot passed": 1}}


def test_a_deferred_mail_that_may_have_left_is_uncertain_when_the_next_slot_comes(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    publish(ground, entry("un"))
    first = open_weekly(ground)
    plan(ground, first)
    later = ground.clock.now() + timedelta(days=9)
    set_rows(ground, state=DeliveryState.DEFERRED, next_attempt_at=later, doubts=1)
    (two,) = publish(ground, entry("deux"))
    assert plan(ground, open_weekly(ground)) == {reader.id: [two]}
    assert books_of(ground, first).uncertain == 1


@pytest.mark.parametrize(("doubts", "given"), [(0, False), (1, True)])
def test_cancelling_gives_back_what_certainly_did_not_leave(
    ground: Ground, parts: Parts, doubts: int, *, given: bool
) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    first = open_weekly(ground)
    plan(ground, first)
    set_rows(ground, doubts=doubts)
    with ground.database.work() as work:
        actions.cancel(work, issue=queries.issue(work, first, lock=True), reason="changed our mind")
    assert books_of(ground, first).reasons == {"uncertain" if given else "cancelled": {"changed our mind": 1}}
    (two,) = publish(ground, entry("deux"))
    assert plan(ground, open_weekly(ground)) == {reader.id: [two] if given else [two, one]}


def test_a_topic_given_up_and_taken_again_brings_nothing_a_second_time(ground: Ground, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    (one,) = publish(ground, entry("un"))
    plan(ground, open_weekly(ground))
    postroom = Postroom(ground.database, MemoryBackend(), parts.lanes, window=8, in_doubt="resend")
    send_due(postroom, lanes=[LaneName.DIGEST])
    for topics in (["regions"], ["regions", "services"]):
        with ground.database.work() as work:
            changed = work.session.get_one(Subscription, reader.id)
            change(work, subscription=changed, topics=topics, languages=["fr"], frequency=Frequency.WEEKLY)
    with ground.database.work() as work:
        regions = next(topic.id for topic in topics_of(work).values() if topic.slug == "regions")
        article_actions.add_topics(work, article=article_queries.article(work, one), topic_ids=[regions])
    assert plan(ground, open_weekly(ground)) == {}
