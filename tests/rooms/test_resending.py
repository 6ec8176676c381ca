"""Sending again what failed or is in doubt: each mail as itself, nobody twice unasked, and the counts stay true."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from ledger_parts import Channeled, rows
from planning_parts import A_WEEK, Ground, add_readers, books_of, entry, lay, open_weekly, publish
from sqlalchemy import update

from factories import parsed
from newsletter.base.clock import SetClock
from newsletter.base.errors import Conflict
from newsletter.bootstrap import Parts
from newsletter.deliveries import queries as ledger
from newsletter.deliveries import resending
from newsletter.deliveries.models import Delivery, DeliveryState, LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.deliveries.resending import Which
from newsletter.deliveries.sending import Sender, send_batch
from newsletter.issues import actions, planning, queries
from newsletter.issues.books import standing
from newsletter.issues.models import IssueState
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.subscriptions.models import Subscription, SubscriptionState

ACCEPTED = Verdict(0, Outcome.ACCEPTED, 250, "accepted", "Ok")
UNKNOWN = Verdict(0, Outcome.FAILED, 550, "mailbox_unknown", "5.1.1 no such user")
FULL = Verdict(0, Outcome.FAILED, 552, "mailbox_full", "5.2.2 full")
LOST = Verdict(0, Outcome.UNCERTAIN, None, "timeout_after_data", "no answer")


class Post:
    """Answers by reader and keeps every mail that was offered."""

    def __init__(self, answers: dict[int, Verdict] | None = None) -> None:
        self.answers = answers or {}
        self.offered: dict[str, list[str]] = {}

    def submit(self, messages: Sequence[Message]) -> Iterator[Verdict]:
        for message in messages:
            self.offered.setdefault(message.recipient, []).append(parsed(message.data)["Message-ID"])
            said = self.answers.get(int(message.recipient.removeprefix("many").split("@")[0]), ACCEPTED)
            yield Verdict(message.key, said.outcome, said.code, said.reason, said.text)


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    ground = lay(parts, clock)
    publish(ground, *map(entry, ("un", "deux", "trois", "quatre")))  # the last is new to all of add_readers
    add_readers(ground, 9)
    return ground


@pytest.fixture
def send(parts: Parts) -> Callable[..., Post]:
    """Send an issue to its end, those in `answers` answered so."""

    def send(issue_id: int, answers: dict[int, Verdict] | None = None, *, in_doubt: InDoubt = "hold") -> Post:
        post = Post(answers)
        lane = parts.lanes[LaneName.DIGEST]
        batch_id = batch_of(parts, issue_id)
        send_batch(parts.database, Channeled(post.submit), lane, batch_id, sender=Sender("one", in_doubt=in_doubt))
        with parts.database.work() as work:
            actions.finish(work, issue_id=issue_id)
        return post

    return send


def planned(ground: Ground) -> int:
    number = open_weekly(ground)
    planning.plan(ground.database, number)
    return number


def batch_of(parts: Parts | Ground, issue_id: int) -> int:
    with parts.database.reading() as work:
        return queries.issue(work, issue_id).batch_id


def state_of(ground: Ground, issue_id: int) -> IssueState:
    with ground.database.reading() as work:
        return queries.issue(work, issue_id).state


def resend(ground: Ground, issue_id: int, which: Which) -> list[int]:
    """Send again in works of their own until there are no more; returns how many each took."""
    with ground.database.reading() as work:
        foretold = resending.resendable(work, batch_id=queries.issue(work, issue_id).batch_id, which=which)
    counts = []
    while not counts or counts[-1]:
        with ground.database.work() as work:
            counts.append(actions.resend(work, issue=queries.issue(work, issue_id, lock=True), which=which))
    assert foretold == sum(counts), "what is told before is what is done"
    return counts


def require_true_counts(ground: Ground, issue_id: int) -> None:
    """Hold what senders counted to the rows, and the books to the audience."""
    assert books_of(ground, issue_id).balance
    with ground.database.reading() as work:
        issue = queries.issue(work, issue_id)
        found, counted = ledger.ledger(work, issue.batch_id), standing(work, issue)
        assert {state: counted.of(state) for state in DeliveryState} == {
            state: found.of(state) for state in DeliveryState
        }


def state_by_reader(ground: Ground, issue_id: int) -> list[str]:
    return [str(row.state) for row in rows(ground.database, batch_of(ground, issue_id))]


def test_who_misses_an_issue_gets_it_as_itself_unless_the_address_is_the_cause(
    ground: Ground, send: Callable[..., Post]
) -> None:
    number = planned(ground)
    first = send(number, {2: FULL, 5: FULL, 7: UNKNOWN})
    assert state_of(ground, number) is IssueState.FINISHED
    assert resend(ground, number, Which.MISSING) == [2, 0]
    require_true_counts(ground, number)
    assert state_of(ground, number) is IssueState.SENDING
    again = send(number)
    assert set(again.offered) == {"many2@example.org", "many5@example.org"}
    assert all(again.offered[reader] == first.offered[reader] for reader in again.offered), "the same Message-ID"
    require_true_counts(ground, number)
    assert state_of(ground, number) is IssueState.FINISHED
    found = books_of(ground, number)
    assert (found.accepted, found.failed, found.possible_copies) == (8, 1, 0)


def test_who_is_in_doubt_gets_it_again_under_the_same_message_id_and_it_is_counted(
    ground: Ground, send: Callable[..., Post]
) -> None:
    number = planned(ground)
    first = send(number, {3: LOST, 4: LOST, 6: FULL})
    assert books_of(ground, number).uncertain == 2
    assert resend(ground, number, Which.UNCERTAIN) == [2, 0]
    again = send(number, {4: LOST})
    assert set(again.offered) == {"many3@example.org", "many4@example.org"}
    assert all(again.offered[reader] == first.offered[reader] for reader in again.offered)
    require_true_counts(ground, number)
    found = books_of(ground, number)
    assert (found.accepted, found.failed, found.uncertain, found.possible_copies) == (7, 1, 1, 2)


def test_a_mail_in_doubt_that_is_refused_the_second_time_stays_in_doubt(
    ground: Ground, send: Callable[..., Post]
) -> None:
    number = planned(ground)
    send(number, {3: LOST})
    resend(ground, number, Which.UNCERTAIN)
    send(number, {3: FULL})
    assert books_of(ground, number).uncertain == 1, "the first copy may have arrived all the same"
    require_true_counts(ground, number)


def test_what_a_later_issue_brings_is_not_sent_again(ground: Ground, send: Callable[..., Post]) -> None:
    number = planned(ground)
    send(number, {2: FULL})
    publish(ground, entry("cinq"))
    later = planned(ground)
    assert resend(ground, number, Which.MISSING) == [0], "a mail of the later issue is open"
    send(later)
    assert resend(ground, number, Which.MISSING) == [0], "and brought what was missed"
    assert state_by_reader(ground, number)[1] == "failed"


def test_a_reader_in_doubt_with_an_open_mail_waits_until_that_one_is_over(
    ground: Ground, send: Callable[..., Post]
) -> None:
    number = planned(ground)
    send(number, {3: LOST})
    publish(ground, entry("cinq"))
    later = planned(ground)
    assert resend(ground, number, Which.UNCERTAIN) == [0]
    send(later)
    assert resend(ground, number, Which.UNCERTAIN) == [1, 0]
    assert set(send(number).offered) == {"many3@example.org"}


def test_what_the_later_issue_failed_to_bring_is_sent_again_with_the_later_one_only(
    ground: Ground, send: Callable[..., Post]
) -> None:
    number = planned(ground)
    send(number, {2: FULL})
    publish(ground, entry("cinq"))
    later = planned(ground)
    send(later, {2: FULL})
    assert resend(ground, number, Which.MISSING) == [0]
    assert resend(ground, later, Which.MISSING) == [1, 0]


def test_who_left_meanwhile_gets_nothing(ground: Ground, send: Callable[..., Post], clock: SetClock) -> None:
    number = planned(ground)
    send(number, {2: FULL, 3: LOST})
    with ground.database.work() as work:
        ended = {"state": SubscriptionState.ENDED, "ended_at": clock.now(), "end_reason": "unsubscribed"}
        work.session.execute(update(Subscription).values(ended))
    assert resend(ground, number, Which.MISSING) == [1, 0]
    assert resend(ground, number, Which.UNCERTAIN) == [1, 0]
    assert send(number).offered == {}
    found = books_of(ground, number)
    assert (found.skipped, found.uncertain, found.balance) == (1, 1, True)
    require_true_counts(ground, number)


def test_a_large_issue_is_taken_in_slices(
    ground: Ground, send: Callable[..., Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resending, "SLICE", 2)
    number = planned(ground)
    send(number, dict.fromkeys(range(1, 6), FULL))
    assert resend(ground, number, Which.MISSING) == [2, 2, 1, 0]
    require_true_counts(ground, number)


def test_a_paused_issue_stays_paused(ground: Ground, send: Callable[..., Post], clock: SetClock) -> None:
    number = planned(ground)
    with ground.database.work() as work:
        work.session.execute(update(Delivery).where(Delivery.id == 1).values(state="failed", reason="mailbox_full"))
        actions.pause(work, issue=queries.issue(work, number, lock=True))
        assert actions.resend(work, issue=queries.issue(work, number, lock=True), which=Which.MISSING) == 1
    assert state_of(ground, number) is IssueState.PAUSED
    assert send(number).offered == {}


def test_a_cancelled_issue_is_not_sent_again(ground: Ground, send: Callable[..., Post]) -> None:
    number = planned(ground)
    with ground.database.work() as work:
        work.session.execute(update(Delivery).where(Delivery.id == 1).values(state="failed", reason="mailbox_full"))
        actions.cancel(work, issue=queries.issue(work, number, lock=True), reason="staff")
    with pytest.raises(Conflict):
        resend(ground, number, Which.MISSING)
    assert "failed" in state_by_reader(ground, number)


def test_an_issue_that_is_being_planned_is_planned_to_its_end(ground: Ground) -> None:
    number = open_weekly(ground)
    with pytest.raises(Conflict), ground.database.work() as work:
        actions.resend(work, issue=queries.issue(work, number, lock=True), which=Which.MISSING)
    assert state_of(ground, number) is IssueState.PLANNING


def test_a_finished_issue_with_nothing_to_send_again_stays_finished(ground: Ground, send: Callable[..., Post]) -> None:
    number = planned(ground)
    send(number)
    ground.clock.advance(A_WEEK)
    assert resend(ground, number, Which.MISSING) == [0]
    assert state_of(ground, number) is IssueState.FINISHED
