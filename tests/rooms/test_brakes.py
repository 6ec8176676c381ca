"""Brakes: an issue that goes wrong pauses itself, once; a few refusals say nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

import pytest
from ledger_parts import Channeled, states
from planning_parts import Ground, add_readers, books_of, entry, lay, open_weekly, publish
from sqlalchemy import update

from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries import queries as ledger
from newsletter.deliveries.models import BatchState, LaneName
from newsletter.deliveries.sending import Sender, send_batch
from newsletter.issues import actions, planning, queries
from newsletter.issues.brakes import FEWEST, FIRST
from newsletter.issues.models import Issue, IssueState
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.subscriptions.models import Subscription

WINDOW = 4
MOST_BEHIND = 2 * WINDOW  # mails that may still leave when an issue pauses itself


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    ground = lay(parts, clock)
    publish(ground, *map(entry, ("un", "deux", "trois", "quatre")))  # the last is new to all of add_readers
    return ground


@pytest.fixture
def send(parts: Parts) -> Callable[..., int]:
    """Send an issue, where the place in the order is in `refused` in vain. Returns how many mails were offered."""

    def send(number: int, refused: Collection[int] = (), reason: str = "policy") -> int:
        asked: Counter[str] = Counter()

        def submit(messages: Sequence[Message]) -> Iterator[Verdict]:
            for message in messages:
                asked["mails"] += 1
                if asked["mails"] in refused:
                    yield Verdict(message.key, Outcome.FAILED, 550, reason, "no")
                else:
                    yield Verdict(message.key, Outcome.ACCEPTED, 250, "accepted", "")

        with parts.database.reading() as work:
            batch_id = queries.issue(work, number).batch_id
        lane = parts.lanes[LaneName.DIGEST]
        send_batch(parts.database, Channeled(submit), lane, batch_id, sender=Sender("one", window=WINDOW))
        return asked.total()

    return send


def planned(ground: Ground, readers: int) -> int:
    add_readers(ground, readers)
    number = open_weekly(ground)
    planning.plan(ground.database, number)
    return number


def issue(ground: Ground, number: int) -> Issue:
    with ground.database.reading() as work:
        return queries.issue(work, number)


def test_an_issue_whose_mail_is_refused_for_what_it_is_pauses_itself(ground: Ground, send: Callable[..., int]) -> None:
    number = planned(ground, 200)
    asked = send(number, range(1, 201))
    assert 5 <= asked <= 5 + MOST_BEHIND, "more than 2 % of 200 mails"
    paused = issue(ground, number)
    assert paused.state is IssueState.PAUSED
    assert re.fullmatch(r"\d+ mails were refused by policy", paused.reason or "")
    assert paused.braked_at is not None
    assert states(ground.database, paused.batch_id).count("pending") == 200 - asked
    assert books_of(ground, number).balance


def test_an_issue_brakes_once_and_goes_on_when_a_person_says_so(ground: Ground, send: Callable[..., int]) -> None:
    number = planned(ground, 100)
    send(number, range(1, 101))
    with ground.database.work() as work:
        actions.resume(work, issue=queries.issue(work, number, lock=True))
    send(number, range(1, 101))
    with ground.database.work() as work:
        assert actions.finish(work, issue_id=number)
    assert issue(ground, number).state is IssueState.FINISHED
    found = books_of(ground, number)
    assert (found.failed, found.open, found.balance) == (100, 0, True)


@pytest.mark.parametrize(("readers", "refused"), [(200, 4), (10, FEWEST - 1)])
def test_a_few_refusals_by_policy_do_not_stop_an_issue(
    ground: Ground, send: Callable[..., int], readers: int, refused: int
) -> None:
    number = planned(ground, readers)
    assert send(number, range(1, refused + 1)) == readers
    assert issue(ground, number).state is IssueState.SENDING


def test_an_issue_whose_first_addresses_do_not_exist_pauses_itself(ground: Ground, send: Callable[..., int]) -> None:
    number = planned(ground, 300)
    asked = send(number, range(1, 301, 2), "mailbox_unknown")
    assert asked < 2 * 16 + MOST_BEHIND, "more than 5 % of 300"
    paused = issue(ground, number)
    assert paused.state is IssueState.PAUSED
    assert re.fullmatch(r"\d+ of the first addresses do not exist", paused.reason or "")
    with ground.database.reading() as work:
        assert ledger.batch(work, paused.batch_id).state is BatchState.PAUSED


def test_addresses_that_do_not_exist_behind_the_first_five_hundred_do_not_stop_an_issue(
    ground: Ground, send: Callable[..., int]
) -> None:
    number = planned(ground, FIRST + 100)
    assert send(number, range(FIRST + 20, FIRST + 100), "mailbox_unknown") == FIRST + 100
    assert issue(ground, number).state is IssueState.SENDING


@pytest.mark.parametrize("reason", ["policy", "mailbox_unknown"])
def test_readers_with_nothing_new_do_not_hide_that_an_issue_goes_wrong(
    ground: Ground, send: Callable[..., int], reason: str
) -> None:
    add_readers(ground, 2 * FIRST)
    with ground.database.work() as work:
        work.session.execute(update(Subscription).where(Subscription.id > 100).values(watermark=1_000_000))
    number = open_weekly(ground)
    planning.plan(ground.database, number)
    assert issue(ground, number).audience == 2 * FIRST
    assert send(number, range(1, 101), reason) < 30
    assert issue(ground, number).state is IssueState.PAUSED


def test_full_mailboxes_and_other_passing_troubles_brake_nothing(ground: Ground, send: Callable[..., int]) -> None:
    number = planned(ground, 50)
    assert send(number, range(1, 51), "mailbox_full") == 50
    assert issue(ground, number).state is IssueState.SENDING
