"""Nobody is subscribed by accident, nobody is mailed too often, nobody's wish is changed by somebody else."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.privacy.forgetting import forget
from newsletter.subscribers import queries as subscribers
from newsletter.subscriptions import actions, leaving, preferences, queries
from newsletter.subscriptions.models import BudgetEntry, EndReason, Request, Subscription, SubscriptionState

ADDRESS = "lectrice@example.com"


def mails(parts: Parts) -> int:
    """Send what is due, and count all mails that ever left."""
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    return len(parts.backend.messages)  # type: ignore[attr-defined]


def wishes(parts: Parts) -> list[Subscription]:
    with parts.database.reading() as work:
        person = subscribers.by_address(work, read_address(ADDRESS))
        assert person is not None
        return list(queries.of_subscriber(work, person.id))


def confirm(parts: Parts, *, shown: set[str] | None = None) -> None:
    with parts.database.work() as work:
        request = work.session.scalars(select(Request).order_by(Request.id)).first()
        assert request is not None
        token = parts.links.confirm_token(request.id, at=work.now)
        actions.confirm(work, token=token, links=parts.links, text_shown="Confirm.", shown=shown)


def test_an_address_is_mailed_one_unanswered_confirmation_a_day_and_three_a_month(
    parts: Parts, clock: SetClock
) -> None:
    make_newsletter(parts)
    sent = []
    for _ in range(30):
        ask(parts, ADDRESS)
        ask(parts, ADDRESS)
        sent.append(mails(parts))
        clock.advance(timedelta(hours=25))
    assert sent[:4] == [1, 2, 3, 3]
    assert sent[-1] <= 4


def test_answering_makes_room_for_another_confirmation(parts: Parts) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS)
    assert mails(parts) == 1
    confirm(parts)
    ask(parts, ADDRESS)
    assert mails(parts) == 2, "already subscribed, says the second one"


def test_a_second_request_that_mails_nothing_neither_changes_nor_prolongs_the_first(
    parts: Parts, clock: SetClock
) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS, languages=["fr"])
    for _ in range(7):
        clock.advance(timedelta(hours=23, minutes=30))
        with parts.database.work() as work:  # the budget is spent for the month
            for _ in range(3):
                work.session.add(
                    BudgetEntry(
                        address_hash=wishes(parts)[0].subscriber.address_hash, mailed_at=work.now, answered_at=None
                    )
                )
        ask(parts, ADDRESS, languages=["ar"])
    (wish,) = wishes(parts)
    assert wish.choice.language_codes == ["fr"]
    clock.advance(timedelta(hours=4))
    assert forget(parts.database)["unconfirmed"] == 1


def test_the_button_confirms_what_the_page_spoke_of_and_nothing_that_came_since(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    make_newsletter(parts, slug="mensuel")
    ask(parts, ADDRESS)
    clock.advance(timedelta(minutes=1))
    ask(parts, ADDRESS, slug="mensuel")  # by somebody else, perhaps: no mail spoke of it
    confirm(parts)
    assert [wish.state for wish in wishes(parts)] == [SubscriptionState.ACTIVE, SubscriptionState.PENDING]
    confirm(parts, shown={"hebdo", "mensuel"})  # ticked by the person
    assert [wish.state for wish in wishes(parts)] == [SubscriptionState.ACTIVE] * 2


def test_a_confirmation_that_was_answered_before_it_left_is_not_sent(parts: Parts) -> None:
    make_newsletter(parts)
    make_reader(parts, ADDRESS)
    assert mails(parts) == 0
    with parts.database.reading() as work:
        row = work.session.scalars(select(Delivery)).one()
        assert (row.state, row.reason) == (DeliveryState.SKIPPED, "answered")


def test_an_old_mail_cannot_make_us_write_to_somebody_who_left(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    before = mails(parts)
    manage = parts.links.manage_token(reader.id, 0)
    with parts.database.work() as work:
        token = parts.links.unsubscribe_token(reader.id, 0)
        leaving.leave(work, token=token, links=parts.links, reason=EndReason.ONE_CLICK)
    with parts.database.work() as work:
        preferences.ask_preferences(work, token=manage, links=parts.links)
    assert mails(parts) == before


def test_never_write_to_me_again_ends_everything_and_closes_the_address(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    ask(parts, ADDRESS)
    assert mails(parts) == 1
    with parts.database.work() as work:
        request = work.session.scalars(select(Request)).one()
        for _ in range(2):
            leaving.never_write_again(work, token=parts.links.never_token(request.id), links=parts.links)
    clock.advance(timedelta(days=60))
    ask(parts, ADDRESS)
    assert mails(parts) == 1
    assert wishes(parts)[0].state is SubscriptionState.ENDED
    with parts.database.reading() as work:
        assert work.session.scalar(select(func.count()).select_from(Request)) == 1
