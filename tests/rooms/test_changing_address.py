"""A new address: proved from its own mailbox, told to the old one; nobody loses or gets what is another's."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep

import pytest
from sqlalchemy import select

from factories import ask, html_of, make_newsletter, make_reader, parsed, text_of
from newsletter.base.addresses import address_hash, read_address
from newsletter.base.clock import SetClock
from newsletter.base.errors import ExpiredToken, InvalidInput
from newsletter.bootstrap import Parts
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers import queries as subscribers
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import leaving, queries
from newsletter.subscriptions.address_change import Standing, ask_new_address, confirm_new_address
from newsletter.subscriptions.models import ConsentKind, EndReason, Request, Subscription, SubscriptionState

OLD, NEW, OTHER = "salma.bennani@gmail.com", "salma@menara.ma", "salma@example.org"


@pytest.fixture
def reader(parts: Parts) -> Subscription:
    make_newsletter(parts)
    return make_reader(parts, OLD, languages=["fr", "ar"])


def mails(parts: Parts) -> list[tuple[str, str]]:
    """Send what is due, and return recipient and text of every mail since the last time."""
    sent = parts.backend.messages  # type: ignore[attr-defined]
    before = len(sent)
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    return [(each.recipient, text_of(parsed(each.data))) for each in sent[before:]]


def person_of(parts: Parts, address: str) -> Subscriber | None:
    with parts.database.reading() as work:
        return subscribers.by_address(work, read_address(address))


def ask_for(parts: Parts, address: str, *, at: str = OLD) -> None:
    with parts.database.work() as work:
        person = subscribers.by_address(work, read_address(at))
        assert person is not None
        ask_new_address(work, person=person, address=read_address(address), address_key=parts.address_key, spoken="fr")


def link_in(text: str) -> str:
    (found,) = re.findall(r"/address/([a-z2-7]+)", text)
    return str(found)


def move(parts: Parts, address: str = NEW, *, at: str = OLD) -> str:
    """Ask for a new address and return the token that came by mail."""
    ask_for(parts, address, at=at)
    return next(link_in(text) for to, text in mails(parts) if to == address)


def confirm(parts: Parts, token: str) -> Standing:
    with parts.database.work() as work:
        return confirm_new_address(work, token=token, links=parts.links, text_shown="Receive it here")


def wishes(parts: Parts, subscriber_id: int) -> list[Subscription]:
    with parts.database.reading() as work:
        return list(queries.of_subscriber(work, subscriber_id))


def suppress(parts: Parts, address: str, reason: SuppressionReason) -> None:
    with parts.database.work() as work:
        key = address_hash(parts.address_key, read_address(address).key)
        subscriber_actions.suppress(work, address_hash=key, reason=reason)


def test_a_person_moves_and_keeps_number_subscriptions_watermarks_and_choices(
    parts: Parts, reader: Subscription
) -> None:
    token = move(parts)
    (before,) = wishes(parts, reader.subscriber_id)
    assert confirm(parts, token) is Standing.DONE
    person = person_of(parts, NEW)
    assert person is not None
    assert (person.id, person.address, person.family) == (reader.subscriber_id, NEW, "menara")
    assert person.address_hash == address_hash(parts.address_key, read_address(NEW).key)
    (after,) = wishes(parts, person.id)
    for name in ("id", "state", "watermark", "choice_id", "frequency", "activated_at"):
        assert getattr(after, name) == getattr(before, name)
    with parts.database.reading() as work:
        last = queries.consents(work, after.id)[-1]
    assert (last.kind, last.form_version) == (ConsentKind.ADDRESS_CHANGED, "address-1")
    assert last.text_hash is not None


def test_the_old_address_is_told_and_where_to_object(parts: Parts, reader: Subscription) -> None:
    confirm(parts, move(parts))
    ((to, text),) = mails(parts)
    assert to == OLD
    assert "s…a@menara.ma" in text
    assert NEW not in text
    assert reader.newsletter.owner in text
    assert not re.search(r"/(u|p|preferences|address|confirm)/", text), "nothing opens the reader's page from there"
    assert mails(parts) == []


def test_the_mail_to_the_new_address_masks_who_asked(parts: Parts, reader: Subscription) -> None:
    ask_for(parts, NEW)
    ((to, text),) = mails(parts)
    assert to == NEW
    assert "s…i@gmail.com" in text
    html = html_of(parsed(parts.backend.messages[-1].data))  # type: ignore[attr-defined]
    assert OLD not in text + html
    assert "/never/" in text


def test_the_link_is_safe_to_repeat_and_dies_after_a_day(parts: Parts, reader: Subscription, clock: SetClock) -> None:
    token = move(parts)
    assert [confirm(parts, token) for _ in range(3)] == [Standing.DONE] * 3
    assert [to for to, _ in mails(parts)] == [OLD], "told once"
    clock.advance(timedelta(days=3))
    assert confirm(parts, token) is Standing.DONE
    late = move(parts, OTHER, at=NEW)
    clock.advance(timedelta(days=1, seconds=1))
    with pytest.raises(ExpiredToken):
        confirm(parts, late)
    assert person_of(parts, OTHER) is None


def test_a_newer_request_takes_the_place_of_an_older_one(parts: Parts, reader: Subscription) -> None:
    first, second = move(parts), move(parts, OTHER)
    assert confirm(parts, first) is Standing.SUPERSEDED
    assert confirm(parts, second) is Standing.DONE
    assert confirm(parts, first) is Standing.SUPERSEDED
    assert person_of(parts, NEW) is None


def test_asking_once_more_for_the_same_address_leaves_the_first_link_good(parts: Parts, reader: Subscription) -> None:
    token = move(parts)
    ask_for(parts, NEW)
    assert mails(parts) == [], "one unanswered mail a day"
    assert confirm(parts, token) is Standing.DONE


def test_three_requests_a_day_are_mailed(parts: Parts, reader: Subscription, clock: SetClock) -> None:
    for number in range(6):
        ask_for(parts, f"salma{number}@example.org")
    assert [to for to, _ in mails(parts)] == [f"salma{number}@example.org" for number in range(3)]
    clock.advance(timedelta(days=1, seconds=1))
    ask_for(parts, NEW)
    assert [to for to, _ in mails(parts)] == [NEW]


def test_the_own_address_is_refused(parts: Parts, reader: Subscription) -> None:
    with pytest.raises(InvalidInput, match="already"):
        ask_for(parts, OLD.upper())


def test_the_budget_of_the_new_address_is_that_of_its_confirmations(parts: Parts, reader: Subscription) -> None:
    ask(parts, NEW)
    assert len(mails(parts)) == 1
    ask_for(parts, NEW)
    assert mails(parts) == []
    ask_for(parts, OTHER)
    assert len(mails(parts)) == 1
    ask(parts, OTHER)
    assert mails(parts) == [], "nor does a sign-up mail an address that was asked to confirm"


@pytest.mark.parametrize("reason", [each for each in SuppressionReason if each is not SuppressionReason.ERASURE])
def test_a_closed_address_gets_no_mail_and_takes_nobody(
    parts: Parts, reader: Subscription, reason: SuppressionReason
) -> None:
    token = move(parts)
    suppress(parts, NEW, reason)
    assert confirm(parts, token) is Standing.CLOSED
    suppress(parts, OTHER, reason)
    ask_for(parts, OTHER)
    assert mails(parts) == []
    assert person_of(parts, OLD) is not None


def test_never_again_closes_the_new_address_and_leaves_who_asked_alone(parts: Parts, reader: Subscription) -> None:
    ask_for(parts, NEW)
    ((_, text),) = mails(parts)
    (never,) = re.findall(r"/never/([a-z2-7]+)", text)
    with parts.database.work() as work:
        leaving.never_write_again(work, token=never, links=parts.links)
    assert confirm(parts, link_in(text)) is Standing.CLOSED
    (wish,) = wishes(parts, reader.subscriber_id)
    assert wish.state is SubscriptionState.ACTIVE
    ask(parts, NEW)
    assert mails(parts) == []


def test_never_again_out_of_an_old_mail_closes_the_address_that_it_came_to(parts: Parts, reader: Subscription) -> None:
    with parts.database.reading() as work:
        first = work.session.scalars(select(Request).order_by(Request.id)).first()
        assert first is not None
    confirm(parts, move(parts))
    with parts.database.work() as work:
        leaving.never_write_again(work, token=parts.links.never_token(first.id), links=parts.links)
    (wish,) = wishes(parts, reader.subscriber_id)
    assert wish.state is SubscriptionState.ACTIVE
    with parts.database.reading() as work:
        old = address_hash(parts.address_key, read_address(OLD).key)
        assert subscribers.suppressions_of(work, old) == [SuppressionReason.NEVER]


def test_a_suppression_of_the_old_address_does_not_follow(parts: Parts, reader: Subscription) -> None:
    token = move(parts)
    suppress(parts, OLD, SuppressionReason.HARD_BOUNCE)
    assert confirm(parts, token) is Standing.DONE
    person = person_of(parts, NEW)
    assert person is not None
    with parts.database.reading() as work:
        assert subscribers.suppressions_of(work, person.address_hash) == []


def test_the_old_address_signs_up_anew_as_another_person(parts: Parts, reader: Subscription) -> None:
    confirm(parts, move(parts))
    again = make_reader(parts, OLD)
    assert again.subscriber_id != reader.subscriber_id
    (kept,) = wishes(parts, reader.subscriber_id)
    assert kept.state is SubscriptionState.ACTIVE
    assert len(wishes(parts, again.subscriber_id)) == 1


def test_an_address_with_subscriptions_of_its_own_is_told_so_and_nothing_is_merged(
    parts: Parts, reader: Subscription
) -> None:
    other = make_reader(parts, NEW)
    mails(parts)
    ask_for(parts, NEW)
    ((to, text),) = mails(parts)
    assert to == NEW
    assert "/address/" not in text
    (token,) = re.findall(r"/preferences/([a-z2-7]+)", text)
    with parts.database.reading() as work:
        assert parts.links.read_preferences(token, now=work.now) == other.subscriber_id
    assert [each.state for each in wishes(parts, other.subscriber_id)] == [SubscriptionState.ACTIVE]


def test_an_address_that_got_its_own_subscription_meanwhile_is_left_alone(
    parts: Parts, reader: Subscription, clock: SetClock
) -> None:
    token = move(parts)
    clock.advance(timedelta(hours=2))
    other = make_own(parts, NEW)
    assert confirm(parts, token) is Standing.IN_USE
    old, new = person_of(parts, OLD), person_of(parts, NEW)
    assert old is not None
    assert new is not None
    assert (old.id, new.id) == (reader.subscriber_id, other)


def make_own(parts: Parts, address: str) -> int:
    """Make this address somebody's with an active subscription, whatever its budget says."""
    with parts.database.work() as work:
        person = subscriber_actions.know(work, address=read_address(address), address_key=parts.address_key)
        mine = work.session.scalars(select(Subscription)).first()
        assert mine is not None
        work.session.add(
            Subscription(
                subscriber_id=person.id,
                newsletter_id=mine.newsletter_id,
                state=SubscriptionState.ACTIVE,
                choice_id=mine.choice_id,
                frequency=mine.frequency,
                watermark=0,
                created_at=work.now,
            )
        )
        return person.id


def test_what_waits_for_confirmation_at_the_new_address_ends_and_its_row_lets_go_of_it(
    parts: Parts, reader: Subscription, clock: SetClock
) -> None:
    ask(parts, NEW)
    mails(parts)
    waiting = person_of(parts, NEW)
    assert waiting is not None
    clock.advance(timedelta(days=2))
    assert confirm(parts, move(parts)) is Standing.DONE
    person = person_of(parts, NEW)
    assert person is not None
    assert person.id == reader.subscriber_id
    with parts.database.reading() as work:
        gone = subscribers.by_id(work, waiting.id)
        assert (gone.address, gone.address_key, gone.removed_at) == (None, None, clock.now())
        assert gone.address_hash == person.address_hash
    (ended,) = wishes(parts, waiting.id)
    assert (ended.state, ended.end_reason) == (SubscriptionState.ENDED, EndReason.MOVED)


def test_somebody_who_left_meanwhile_is_not_moved(parts: Parts, reader: Subscription) -> None:
    token = move(parts)
    with parts.database.work() as work:
        unsubscribe = parts.links.unsubscribe_token(reader.id, 0)
        leaving.leave(work, token=unsubscribe, links=parts.links, reason=EndReason.PAGE)
    assert confirm(parts, token) is Standing.ENDED
    assert person_of(parts, NEW) is None


def test_two_persons_cannot_have_one_address(parts: Parts, reader: Subscription, clock: SetClock) -> None:
    second = make_reader(parts, "youssef@example.org")
    mine = move(parts)
    clock.advance(timedelta(hours=23, minutes=59))
    with parts.database.work() as work:  # the budget of the address would hold the second mail back for a day
        queries.answer_budget(work, address_hash=address_hash(parts.address_key, read_address(NEW).key))
    theirs = move(parts, at="youssef@example.org")
    assert confirm(parts, theirs) is Standing.DONE
    assert confirm(parts, mine) is Standing.IN_USE
    person = person_of(parts, NEW)
    assert person is not None
    assert person.id == second.subscriber_id


def test_what_is_no_longer_kept_of_a_request_sends_nothing(parts: Parts, reader: Subscription) -> None:
    ask_for(parts, NEW)
    with parts.database.work() as work:
        for request in work.session.scalars(select(Request)):
            request.address = None
    assert mails(parts) == []


def two_links_to_one_address(parts: Parts) -> list[str]:
    """Return the links of two persons to the same new address, as if both mails had come."""
    make_reader(parts, "youssef@example.org")
    tokens = [move(parts)]
    with parts.database.work() as work:
        queries.answer_budget(work, address_hash=address_hash(parts.address_key, read_address(NEW).key))
    return [*tokens, move(parts, at="youssef@example.org")]


def test_two_confirmations_at_once_give_the_address_to_one(parts: Parts, reader: Subscription) -> None:
    first, second = two_links_to_one_address(parts)
    with ThreadPoolExecutor(1) as other:
        with parts.database.work() as work:
            mine = confirm_new_address(work, token=first, links=parts.links, text_shown="Receive it here")
            late = other.submit(confirm, parts, second)
            sleep(0.5)  # the other one has come to where it waits
        assert (mine, late.result(timeout=30)) == (Standing.DONE, Standing.IN_USE)
    person = person_of(parts, NEW)
    assert person is not None
    assert person.id == reader.subscriber_id


def test_a_sign_up_at_once_finds_the_person_who_moved(parts: Parts, reader: Subscription) -> None:
    token = move(parts)
    with ThreadPoolExecutor(1) as other:
        with parts.database.work() as work:
            confirm_new_address(work, token=token, links=parts.links, text_shown="Receive it here")
            late = other.submit(ask, parts, NEW)
            sleep(0.5)
        late.result(timeout=30)
    with parts.database.reading() as work:
        assert len(work.session.scalars(select(Subscriber).where(Subscriber.address == NEW)).all()) == 1


def test_the_same_link_pressed_twice_at_once_moves_and_tells_once(parts: Parts, reader: Subscription) -> None:
    token = move(parts)
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda _: confirm(parts, token), range(2)))
    assert found == [Standing.DONE, Standing.DONE]
    assert [to for to, _ in mails(parts)] == [OLD]


def test_requests_of_several_persons_at_once_mail_the_new_address_once(parts: Parts, reader: Subscription) -> None:
    others = [f"reader{number}@example.org" for number in range(4)]
    for address in others:
        make_reader(parts, address)
    mails(parts)
    with ThreadPoolExecutor(6) as all_of_them:
        asked = [all_of_them.submit(ask_for, parts, NEW, at=address) for address in (OLD, *others)]
        asked.append(all_of_them.submit(ask, parts, NEW))
        for each in asked:
            each.result(timeout=30)
    assert len([to for to, _ in mails(parts) if to == NEW]) == 1
