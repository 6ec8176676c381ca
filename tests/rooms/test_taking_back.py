"""Somebody leaves and takes it back: nothing is repeated, nothing is lost, wherever a mail is at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from ledger_parts import Channeled, verdict
from planning_parts import A_WEEK, Ground, entry, lay, open_weekly, publish
from sqlalchemy import func, select, update
from test_planning_at_once import held_up

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.errors import Conflict, ExpiredToken, InvalidToken
from newsletter.bootstrap import Parts
from newsletter.db.database import Work
from newsletter.deliveries import steps
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.lanes import Settled
from newsletter.deliveries.models import GIVEN_STATES, OPEN_STATES, Delivery, DeliveryState, LaneName
from newsletter.deliveries.policy import Step
from newsletter.deliveries.sending import LEASE, Sender, send_batch
from newsletter.deliveries.steps import Result
from newsletter.issues import planning, queries
from newsletter.issues.books import books
from newsletter.issues.models import EditionArticle
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.newsletters.models import Frequency
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import leaving
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.models import ConsentKind, EndReason, Subscription, SubscriptionState
from newsletter.subscriptions.preferences import change

ADDRESS = "one@example.org"
A_MOMENT = timedelta(minutes=29)


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


@pytest.fixture
def reader(ground: Ground, parts: Parts) -> Subscription:
    return make_reader(parts, ADDRESS)


def leave(parts: Parts, reader: Subscription, *, everything: bool = False) -> None:
    token = parts.links.unsubscribe_token(reader.id, 0)
    with parts.database.work() as work:
        if everything:
            leaving.leave_all(work, token=token, links=parts.links, text_shown="Leave all.")
        else:
            leaving.leave(work, token=token, links=parts.links, reason=EndReason.ONE_CLICK)


def undo(parts: Parts, reader: Subscription) -> Subscription:
    with parts.database.work() as work:
        return undo_in(work, parts, reader)


def undo_in(work: Work, parts: Parts, reader: Subscription) -> Subscription:
    ended = work.session.get_one(Subscription, reader.id)
    token = parts.links.undo_token(reader.id, at=ended.ended_at or work.now)
    return leaving.undo(work, token=token, links=parts.links, text_shown="Take it up again.")


def leave_and_undo(parts: Parts, reader: Subscription) -> Subscription:
    leave(parts, reader)
    return undo(parts, reader)


def send(
    parts: Parts, ground: Ground, issue_id: int, answer: Callable[[Message], Outcome] | None = None, *, window: int = 1
) -> None:
    """Send an issue to its end; `answer` is called for each mail while it is on its way."""

    def submit(messages: Sequence[Message]) -> Iterator[Verdict]:
        for message in messages:
            yield verdict(message, Outcome.ACCEPTED if answer is None else answer(message))

    with parts.database.reading() as work:
        batch_id = queries.issue(work, issue_id).batch_id
    lane = parts.lanes[LaneName.DIGEST]
    send_batch(parts.database, Channeled(submit), lane, batch_id, sender=Sender("one", window=window, in_doubt="hold"))


def issue_of_week(parts: Parts, ground: Ground, answer: Callable[[Message], Outcome] | None = None) -> int:
    issue_id = open_weekly(ground)
    planning.plan(ground.database, issue_id)
    send(parts, ground, issue_id, answer)
    with parts.database.reading() as work:
        assert books(work, queries.issue(work, issue_id)).balance
    return issue_id


def given(parts: Parts, person: Subscription) -> list[int]:
    """Return the articles that a person was given, in all mails together."""
    with parts.database.reading() as work:
        return sorted(
            work.session.scalars(
                select(EditionArticle.article_id)
                .join(Delivery, Delivery.content_id == EditionArticle.edition_id)
                .where(Delivery.subscriber_id == person.subscriber_id, Delivery.state.in_(GIVEN_STATES))
            )
        )


def of_person(parts: Parts, reader: Subscription) -> Sequence[Subscription]:
    with parts.database.reading() as work:
        return subscription_queries.of_subscriber(work, reader.subscriber_id)


def test_what_goes_on_is_what_ended(parts: Parts, ground: Ground, reader: Subscription) -> None:
    with parts.database.work() as work:
        row = work.session.get_one(Subscription, reader.id)
        change(work, subscription=row, topics=["services"], languages=["ar", "fr"], frequency=Frequency.DAILY)
        row.paused_until, row.catches_up, row.watermark = work.now + A_WEEK, False, 41
    leave(parts, reader)
    ground.clock.advance(A_MOMENT)
    taken = undo(parts, reader)
    ended, again = of_person(parts, reader)
    assert (taken.id, again.state, again.continues_id) == (again.id, SubscriptionState.ACTIVE, ended.id)
    assert (ended.state, ended.end_reason) == (SubscriptionState.ENDED, EndReason.ONE_CLICK)
    for name in ("newsletter_id", "frequency", "choice_id", "changed", "catches_up", "paused_until", "watermark"):
        assert getattr(again, name) == getattr(ended, name), name
    assert (again.frequency, again.watermark, again.changed) == (Frequency.DAILY, 41, True)
    with parts.database.reading() as work:
        (evidence,) = subscription_queries.consents(work, again.id)
    assert (evidence.kind, evidence.form_version) == (ConsentKind.UNDONE, leaving.UNDO_FORM)
    assert evidence.text_hash is not None


def test_taking_back_twice_is_taking_back_once(parts: Parts, ground: Ground, reader: Subscription) -> None:
    leave(parts, reader)
    assert undo(parts, reader).id == undo(parts, reader).id
    ground.clock.advance(timedelta(hours=2))
    assert undo(parts, reader).state is SubscriptionState.ACTIVE  # too old for anything but telling what is
    assert len(of_person(parts, reader)) == 2


def test_two_presses_at_once_make_one_subscription(parts: Parts, ground: Ground, reader: Subscription) -> None:
    leave(parts, reader)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: undo(parts, reader).id, range(4)))
    assert len(set(taken)) == 1
    assert len(of_person(parts, reader)) == 2


def test_an_old_link_leads_out_of_what_goes_on(parts: Parts, ground: Ground, reader: Subscription) -> None:
    for _ in range(3):
        leave_and_undo(parts, reader)
        reader = of_person(parts, reader)[-1]
    first = of_person(parts, reader)[0]
    leave(parts, first)
    assert [each.state for each in of_person(parts, reader)] == [SubscriptionState.ENDED] * 4
    leave(parts, first)
    assert len(of_person(parts, reader)) == 4


def test_a_link_of_what_nobody_took_back_leaves_a_newer_subscription_alone(
    parts: Parts, ground: Ground, reader: Subscription
) -> None:
    leave(parts, reader)
    ground.clock.advance(timedelta(days=2))
    newer = make_reader(parts, ADDRESS)
    leave(parts, reader)
    assert of_person(parts, newer)[-1].state is SubscriptionState.ACTIVE


def test_a_newer_subscription_stays_as_it_is(parts: Parts, ground: Ground, reader: Subscription) -> None:
    leave(parts, reader)
    ground.clock.advance(timedelta(minutes=1))
    with parts.database.work() as work:
        choice = work.session.get_one(Subscription, reader.id).choice_id
        newer = Subscription(
            subscriber_id=reader.subscriber_id,
            newsletter_id=reader.newsletter_id,
            state=SubscriptionState.PENDING,
            frequency=Frequency.DAILY,
            choice_id=choice,
            created_at=work.now,
        )
        work.session.add(newer)
    assert undo(parts, reader).id == newer.id
    assert of_person(parts, reader)[-1].state is SubscriptionState.PENDING


def test_it_is_too_late_after_half_an_hour(parts: Parts, ground: Ground, reader: Subscription) -> None:
    leave(parts, reader)
    ground.clock.advance(timedelta(minutes=30, seconds=1))
    with pytest.raises(ExpiredToken):
        undo(parts, reader)
    assert len(of_person(parts, reader)) == 1


@pytest.mark.parametrize(
    "reason", [SuppressionReason.NEVER, SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT]
)
def test_a_closed_address_takes_nothing_back(
    parts: Parts, ground: Ground, reader: Subscription, reason: SuppressionReason
) -> None:
    leave(parts, reader)
    with parts.database.work() as work:
        person = work.session.get_one(Subscriber, reader.subscriber_id)
        subscriber_actions.suppress(work, address_hash=person.address_hash, reason=reason)
    with pytest.raises(Conflict):
        undo(parts, reader)


def test_an_erased_address_takes_nothing_back(parts: Parts, ground: Ground, reader: Subscription) -> None:
    leave(parts, reader)
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    with pytest.raises(Conflict):
        undo(parts, reader)
    token = parts.links.undo_token(999_999, at=ground.clock.now())
    with parts.database.work() as work, pytest.raises(InvalidToken):
        leaving.undo(work, token=token, links=parts.links, text_shown="")


@pytest.mark.parametrize("reason", sorted(set(EndReason) - set(leaving.OF_THEIR_OWN)))
def test_an_end_that_others_made_is_not_taken_back(
    parts: Parts, ground: Ground, reader: Subscription, reason: EndReason
) -> None:
    with parts.database.work() as work:
        leaving.end(work, work.session.get_one(Subscription, reader.id), reason=reason)
    with pytest.raises(Conflict):
        undo(parts, reader)


def test_leaving_everything_ends_what_is_pending_too_and_comes_back_together(
    parts: Parts, ground: Ground, reader: Subscription
) -> None:
    for slug in ("second", "third", "fourth"):
        make_newsletter(parts, slug=slug)
    second = make_reader(parts, ADDRESS, slug="second")
    before = make_reader(parts, ADDRESS, slug="third")
    other = make_reader(parts, "other@example.org")
    leave(parts, before)
    ground.clock.advance(timedelta(days=2))
    ask(parts, ADDRESS, slug="fourth")
    leave(parts, reader, everything=True)
    assert {each.state for each in of_person(parts, reader)} == {SubscriptionState.ENDED}
    assert of_person(parts, other)[0].state is SubscriptionState.ACTIVE
    undo(parts, reader)
    undo(parts, reader)
    active = [each for each in of_person(parts, reader) if each.state is SubscriptionState.ACTIVE]
    assert sorted(each.continues_id or 0 for each in active) == sorted([reader.id, second.id])
    assert len(of_person(parts, reader)) == 6


def test_two_that_were_left_one_by_one_come_back_one_by_one(parts: Parts, ground: Ground, reader: Subscription) -> None:
    make_newsletter(parts, slug="second")
    second = make_reader(parts, ADDRESS, slug="second")
    leave(parts, reader)
    leave(parts, second)
    undo(parts, reader)
    assert [each.continues_id for each in of_person(parts, reader)] == [None, None, reader.id]


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNCERTAIN, Outcome.DEFERRED, Outcome.FAILED])
def test_a_mail_on_its_way_counts_for_what_goes_on(
    parts: Parts, ground: Ground, reader: Subscription, outcome: Outcome
) -> None:
    (first,) = publish(ground, entry("first"))
    tries: list[Outcome] = []

    def answer(_: Message) -> Outcome:
        if not tries:
            leave_and_undo(parts, reader)
        tries.append(outcome if not tries else Outcome.ACCEPTED)
        return tries[-1]

    issue_id = issue_of_week(parts, ground, answer)
    if outcome is Outcome.DEFERRED:
        ground.clock.advance(timedelta(hours=2))
        send(parts, ground, issue_id, answer)
    (second,) = publish(ground, entry("second"))
    issue_of_week(parts, ground)
    assert given(parts, reader) == [first, second]
    with parts.database.reading() as work:
        issues = select(Delivery.subscription_id).where(Delivery.subscription_id.is_not(None))
        (continued,) = set(work.session.scalars(issues))
    assert continued == of_person(parts, reader)[-1].id


def test_a_mail_that_waits_in_a_senders_hand_is_told_by_the_next(
    parts: Parts, ground: Ground, reader: Subscription
) -> None:
    ahead = Subscription(id=reader.id, subscriber_id=reader.subscriber_id)
    behind = make_reader(parts, "two@example.org")
    (first,) = publish(ground, entry("first"))

    def answer(_: Message) -> Outcome:
        if len(of_person(parts, behind)) == 1:
            leave_and_undo(parts, behind)  # its row is claimed, and has no intent
        return Outcome.ACCEPTED

    issue_of_week(parts, ground, answer)
    (second,) = publish(ground, entry("second"))
    issue_of_week(parts, ground)
    assert given(parts, ahead) == given(parts, behind) == [first, second]


def test_what_was_given_stays_known_to_who_changed_topics(parts: Parts, ground: Ground, reader: Subscription) -> None:
    """Readers who changed are planned by what their deliveries hold, not by the watermark alone."""
    (first,) = publish(ground, entry("first"))
    issue_of_week(parts, ground)
    with parts.database.work() as work:
        row = work.session.get_one(Subscription, reader.id)
        row.changed, row.watermark = True, 0
    leave_and_undo(parts, reader)
    (second,) = publish(ground, entry("second"))
    issue_of_week(parts, ground)
    assert given(parts, reader) == [first, second]


def test_no_subscription_ever_has_two_open_mails(parts: Parts, ground: Ground, reader: Subscription) -> None:
    publish(ground, entry("first"))
    issue_of_week(parts, ground, lambda _: Outcome.DEFERRED)
    leave_and_undo(parts, reader)
    publish(ground, entry("second"))
    planning.plan(ground.database, open_weekly(ground))
    with parts.database.reading() as work:
        rows = work.session.execute(
            select(Delivery.subscription_id, func.count())
            .where(Delivery.state.in_(OPEN_STATES), Delivery.subscription_id.is_not(None))
            .group_by(Delivery.subscription_id)
        ).all()
    assert [count for _, count in rows] == [1]


@pytest.mark.parametrize("first_is", ["the result", "the undo"])
def test_a_result_and_an_undo_at_once(parts: Parts, ground: Ground, reader: Subscription, first_is: str) -> None:
    """Whoever comes second waits for the row, and sees what the first made of it."""
    publish(ground, entry("first"))
    issue_id = open_weekly(ground)
    planning.plan(ground.database, issue_id)
    with parts.database.work() as work:
        issue = queries.issue(work, issue_id)
        batch_id, cut = issue.batch_id, issue.cut
        held = steps.claim(
            work, batch_id=batch_id, owner="one", lease=LEASE, most=9, after=0, without=(), moves=Moves()
        )
        steps.intend(work, held, owner="one", margin=timedelta())
    leave(parts, reader)

    def settle(work: Work) -> None:
        results = [Result(each, Step(DeliveryState.ACCEPTED)) for each in held]
        assert steps.settle(work, results, owner="one", moves=Moves())
        parts.lanes[LaneName.DIGEST].settled(work, [Settled(each.row, DeliveryState.ACCEPTED) for each in held])

    def settle_beside() -> None:
        with parts.database.work() as work:
            settle(work)

    if first_is == "the result":
        held_up(ground, lambda: undo(parts, reader), settle)
    else:
        held_up(ground, settle_beside, lambda work: undo_in(work, parts, reader))
    assert of_person(parts, reader)[-1].watermark == cut
