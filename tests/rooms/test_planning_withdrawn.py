"""A withdrawn article is in no mail that leaves from then on, wherever that mail was at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from ledger_parts import Channeled, Killed, verdict
from planning_parts import (
    Ground,
    books_of,
    contents,
    entry,
    lay,
    open_weekly,
    plan,
    publish,
    reinstate,
    set_rows,
    withdraw,
)

from factories import make_reader, parsed, text_of
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import LaneName
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.operations.sending import Postroom, send_due


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


def send(ground: Ground, parts: Parts, backend: MailBackend) -> None:
    send_due(Postroom(ground.database, backend, parts.lanes, window=8, in_doubt="resend"), lanes=[LaneName.DIGEST])


def withdrawn_on_the_way(ground: Ground, articles: Sequence[int], outcome: Outcome | None) -> Channeled:
    """Return a backend during whose work these articles are withdrawn; without an outcome the sender dies."""

    def submit(messages: Sequence[Message]) -> Iterator[Verdict]:
        for article in articles:
            withdraw(ground, article)
        if outcome is None:
            raise Killed
        return (verdict(message, outcome) for message in messages)

    return Channeled(submit)


def test_an_article_withdrawn_before_it_left_is_in_no_mail(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "one@example.org")
    one, other = publish(ground, entry("un"), entry("deux"))
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    withdraw(ground, one)
    assert list(contents(ground, issue_id).values()) == [[other]]
    withdraw(ground, other)
    found = books_of(ground, issue_id)
    assert found.reasons == {"skipped": {"withdrawn": 1}}
    assert found.balance


def test_withdrawing_never_changes_a_mail_that_may_have_left(ground: Ground, parts: Parts) -> None:
    """Sent again with less in it, it would not be the same mail; reinstated, the article would come a second time."""
    reader = make_reader(parts, "one@example.org")
    one, other = publish(ground, entry("un"), entry("deux"))
    first = open_weekly(ground)
    plan(ground, first)
    set_rows(ground, doubts=1)
    withdraw(ground, one)
    assert contents(ground, first) == {reader.id: [other, one]}
    assert books_of(ground, first).uncertain == 1
    reinstate(ground, one)
    assert plan(ground, open_weekly(ground)) == {}


@pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.STOP])
def test_an_article_withdrawn_on_the_way_is_not_in_the_mail_that_goes_again(
    ground: Ground, parts: Parts, outcome: Outcome
) -> None:
    reader = make_reader(parts, "one@example.org")
    one, other = publish(ground, entry("un"), entry("deux"))
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    send(ground, parts, withdrawn_on_the_way(ground, [one], outcome))
    assert contents(ground, issue_id) == {reader.id: [other]}
    ground.clock.advance(timedelta(minutes=10))
    backend = MemoryBackend()
    send(ground, parts, backend)
    (mail,) = backend.messages
    text = text_of(parsed(mail.data))
    assert "https://news.test/deux" in text
    assert "https://news.test/un" not in text


def test_a_mail_is_skipped_when_all_of_it_was_withdrawn_on_the_way(ground: Ground, parts: Parts) -> None:
    make_reader(parts, "one@example.org")
    articles = publish(ground, entry("un"), entry("deux"))
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    send(ground, parts, withdrawn_on_the_way(ground, articles, Outcome.DEFERRED))
    assert books_of(ground, issue_id).reasons == {"skipped": {"withdrawn": 1}}


def test_a_mail_with_an_article_withdrawn_on_the_way_is_not_sent_again_after_its_sender_died(
    ground: Ground, parts: Parts
) -> None:
    make_reader(parts, "one@example.org")
    one, _ = publish(ground, entry("un"), entry("deux"))
    issue_id = open_weekly(ground)
    plan(ground, issue_id)
    with pytest.raises(Killed):
        send(ground, parts, withdrawn_on_the_way(ground, [one], None))
    ground.clock.advance(timedelta(seconds=61))
    backend = MemoryBackend()
    send(ground, parts, backend)
    assert backend.messages == []
    assert books_of(ground, issue_id).uncertain == 1
