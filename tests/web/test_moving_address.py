"""Another address, as pages: asked for, confirmed from the new mailbox, refused kindly."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pages import Page, everything, newest, press, read
from sqlalchemy import update

from factories import ask, make_reader, parsed, text_of
from newsletter.base.addresses import address_hash, read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers import queries as subscribers
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions.models import Request, RequestKind, Subscription

OLD, NEW = "salma.bennani@gmail.com", "salma.new@menara.ma"


@pytest.fixture
def reader(client: FlaskClient, parts: Parts) -> Subscription:
    return make_reader(parts, OLD, languages=["ar", "fr"])


def mails(parts: Parts) -> dict[str, str]:
    """Send what is due, and return the last text of each recipient."""
    send_due(parts.postroom, lanes=TRANSACTIONAL)
    return {each.recipient: text_of(parsed(each.data)) for each in parts.backend.messages}  # type: ignore[attr-defined]


def came(parts: Parts, address: str = NEW) -> str:
    """Return the path of the link that came by mail."""
    (found,) = re.findall(r"/address/[a-z2-7]+", mails(parts)[address])
    return str(found)


def asked(client: FlaskClient, link: str, address: str = NEW) -> Page:
    return read(press(client, read(client.get(f"{link}/address")), {"address": address}))


def address_of(parts: Parts, reader: Subscription) -> str | None:
    with parts.database.reading() as work:
        return subscribers.by_id(work, reader.subscriber_id).address


def test_from_the_preferences_to_the_new_mailbox_and_its_button(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    assert f"{link}/address" in read(client.get(link)).links
    page = asked(client, link)
    assert "s…w@menara.ma" in page.one("main").text
    assert address_of(parts, reader) == OLD
    confirm = came(parts)
    before = everything(parts)
    page = read(client.get(confirm))
    assert everything(parts) == before
    assert page.language == "ar"
    assert {"s…w@menara.ma", "s…i@gmail.com"} <= set(re.findall(r"\S…\S@[a-z.]+[a-z]", page.one("main").text))
    done = press(client, page)
    assert done.status_code == 200
    assert address_of(parts, reader) == NEW
    assert OLD in mails(parts)
    assert press(client, page).data == client.get(confirm).data == done.data
    assert client.get(link).status_code == 410, "from here on the new mailbox opens the preferences, and no other"


def test_no_page_shows_a_whole_address(client: FlaskClient, parts: Parts, link: str) -> None:
    pages = [client.get(f"{link}/address").text, asked(client, link).one("main").text]
    confirm = came(parts)
    pages += [client.get(confirm).text, client.post(confirm).text]
    for page in pages:
        assert OLD not in page
        assert NEW not in page


@pytest.mark.parametrize("typed", ["", "   ", "salma@", "a b@x.org", "x" * 300 + "@example.org", OLD, OLD.upper()])
def test_an_address_that_cannot_be_is_said_beside_its_field(
    client: FlaskClient, parts: Parts, link: str, typed: str
) -> None:
    before = everything(parts)
    answer = press(client, read(client.get(f"{link}/address")), {"address": typed})
    assert answer.status_code == 400
    page = read(answer)
    assert page.by_id("address")["value"] == typed
    assert page.by_id("address")["aria-describedby"] == "address-problem"
    assert everything(parts) == before


def test_the_answer_is_the_same_for_every_address(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str
) -> None:
    make_reader(parts, "sa1@example.org")
    ask(parts, "sa2@example.org")
    with parts.database.work() as work:
        for address, reason in (("sa3", SuppressionReason.NEVER), ("sa4", SuppressionReason.HARD_BOUNCE)):
            key = address_hash(parts.address_key, f"{address}@example.org")
            subscriber_actions.suppress(work, address_hash=key, reason=reason)
    answers = []
    for number in range(1, 9):  # from the fourth on the day's three are spent, too
        answer = client.post(f"{link}/address", data={"address": f"sa{number}@example.org"})
        answers.append((answer.status_code, answer.text.replace(f"s…{number}@", "s…@"), len(answer.data)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200


def test_a_newer_request_makes_the_older_link_say_so(client: FlaskClient, parts: Parts, link: str) -> None:
    asked(client, link)
    first = came(parts)
    asked(client, link, "other@example.org")
    before = everything(parts)
    for answer in (client.get(first), client.post(first)):
        assert answer.status_code == 410
        assert not read(answer).all("form")
    assert everything(parts) == before
    assert client.post(came(parts, "other@example.org")).status_code == 200


def test_an_address_that_is_another_readers_by_now_is_left_alone(
    client: FlaskClient, parts: Parts, clock: SetClock, link: str
) -> None:
    asked(client, link)
    confirm = came(parts)
    clock.advance(timedelta(hours=23, minutes=59))
    with parts.database.work() as work:
        person = subscriber_actions.know(work, address=read_address(NEW), address_key=parts.address_key)
        mine = work.session.query(Subscription).first()
        assert mine is not None
        fields = ("newsletter_id", "state", "choice_id", "frequency", "watermark", "created_at")
        kept = {name: getattr(mine, name) for name in fields}
        work.session.add(Subscription(subscriber_id=person.id, **kept))
    before = everything(parts)
    for answer in (client.get(confirm), client.post(confirm)):
        assert answer.status_code == 409
        assert "gmail.com" not in answer.text, "whose wish it was is nobody's business here"
    assert everything(parts) == before


def test_never_again_in_that_mail_is_about_the_new_address(
    client: FlaskClient, parts: Parts, reader: Subscription, link: str
) -> None:
    asked(client, link)
    (never,) = re.findall(r"/never/[a-z2-7]+", mails(parts)[NEW])
    page = read(client.get(never))
    assert "s…w@menara.ma" in page.one("main").text
    assert "gmail.com" not in page.one("main").text
    assert "s…w@menara.ma" in read(press(client, page)).one("main").text
    for answer in (client.get(came(parts)), client.post(came(parts))):
        assert answer.status_code == 409
    assert address_of(parts, reader) == OLD


def test_after_a_day_the_link_says_how_to_go_on(client: FlaskClient, parts: Parts, clock: SetClock, link: str) -> None:
    asked(client, link)
    confirm = came(parts)
    clock.advance(timedelta(days=1, seconds=1))
    before = everything(parts)
    for answer in (client.get(confirm), client.post(confirm)):
        assert answer.status_code == 410
        page = read(answer)
        assert page.language == "ar"
        assert "/ar/preferences" in page.links
    assert everything(parts) == before


def test_somebody_erased_meanwhile_is_not_moved(client: FlaskClient, parts: Parts, link: str) -> None:
    asked(client, link)
    confirm = came(parts)
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    for answer in (client.get(confirm), client.post(confirm)):
        assert answer.status_code == 410
    assert client.get(link).status_code == client.get(f"{link}/address").status_code == 404


def test_somebody_who_receives_nothing_is_led_back(client: FlaskClient, parts: Parts, link: str) -> None:
    leave = next(each for each in read(client.get(link)).links if each.startswith("/u/"))
    press(client, read(client.get(leave)))
    for answer in (client.get(f"{link}/address"), client.post(f"{link}/address", data={"address": NEW})):
        assert answer.status_code == 302
        assert answer.headers["Location"] == link


def test_pages_of_a_token_are_kept_by_nobody(client: FlaskClient, parts: Parts, link: str) -> None:
    asked(client, link)
    for address in (f"{link}/address", came(parts)):
        answer = client.get(address)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_a_request_of_another_kind_confirms_no_address(client: FlaskClient, parts: Parts, clock: SetClock) -> None:
    make_reader(parts, OLD)
    request = newest(parts, Request)
    assert request.kind is RequestKind.CONFIRMATION
    before = everything(parts)
    token = parts.links.change_address_token(request.id, at=clock.now())  # nobody but we could make it
    for method in ("get", "post"):
        assert client.open(f"/address/{token}", method=method).status_code in {404, 410}
    assert everything(parts) == before
