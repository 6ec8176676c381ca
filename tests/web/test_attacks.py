"""What somebody without the mailbox, or with a former one, tries: links of another moment, forms no page sends."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256

import pytest
from flask.testing import FlaskClient
from pages import everything, newest, path, subscriptions
from sqlalchemy import select, text, update

from factories import ask, html_of, make_newsletter, make_reader, parsed
from newsletter.base.addresses import address_hash, read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.schema import Table
from newsletter.deliveries.models import Delivery
from newsletter.mail.port import Message
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.models import Newsletter, Topic
from newsletter.operations.run_due import run_due
from newsletter.privacy.actions import erase
from newsletter.subscribers.actions import suppress
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscribers.queries import by_id
from newsletter.subscriptions.address_change import Standing, ask_new_address, confirm_new_address
from newsletter.subscriptions.models import Request, Subscription, SubscriptionState
from newsletter.subscriptions.proofs import Proofs
from newsletter.web.app import create_app

EVIL, VICTIM = "evil@example.org", "victim@example.com"


@pytest.fixture
def evil(client: FlaskClient, parts: Parts) -> Subscription:
    return make_reader(parts, EVIL)


def ask_to_move(parts: Parts, subscriber_id: int, to: str = VICTIM) -> str:
    """Ask for another address, and return the token that goes there by mail."""
    with parts.database.work() as work:
        person = by_id(work, subscriber_id)
        key = parts.address_key
        ask_new_address(work, person=person, address=read_address(to), address_key=key, spoken="fr")
    return parts.links.change_address_token(newest(parts, Request).id, at=parts.clock.now())


def move(parts: Parts, clock: SetClock, subscriber_id: int) -> None:
    """Let the victim be talked into taking somebody else's subscriptions."""
    token = ask_to_move(parts, subscriber_id)
    clock.advance(timedelta(seconds=1))
    with parts.database.work() as work:
        assert confirm_new_address(work, token=token, links=parts.links, text_shown="Yes.") is Standing.DONE


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_confirmation_in_a_former_mailbox_subscribes_nobody_at_the_new_address(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription, method: str
) -> None:
    make_newsletter(parts, slug="second")
    ask(parts, EVIL, slug="second")
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    move(parts, clock, evil.subscriber_id)
    answer = client.open(link, method=method)
    assert answer.status_code == 410
    assert "v…m@" not in answer.text  # nor does the former mailbox learn the new one
    assert subscriptions(parts)[-1].state is SubscriptionState.PENDING


@pytest.mark.parametrize("way", ["", "/data", "/export.json", "/erase", "/address"])
def test_a_preferences_link_from_before_a_change_of_address_opens_nothing(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription, way: str
) -> None:
    token = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    assert client.get(f"/preferences/{token}{way}").status_code == 200
    move(parts, clock, evil.subscriber_id)
    before = everything(parts)
    assert client.get(f"/preferences/{token}{way}").status_code == 410
    assert VICTIM not in client.get(f"/preferences/{token}{way}").text
    if way not in {"/data", "/export.json"}:
        sent = {"address": "third@example.org", "newsletter": "second"}
        assert client.post(f"/preferences/{token}{way}", data=sent).status_code == 410
    assert everything(parts) == before
    fresh = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    assert client.get(f"/preferences/{fresh}{way}").status_code == 200


def test_a_number_that_no_row_can_have_confirms_nothing_and_breaks_nothing(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    ask(parts, VICTIM)
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    for shown in ("9" * 5000, "-1", "٣", "1e3", ""):
        assert client.post(link, data={"shown": shown}).status_code == 410
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING]


def test_subscriptions_of_others_named_in_the_form_are_not_confirmed(
    client: FlaskClient, parts: Parts, clock: SetClock
) -> None:
    ask(parts, VICTIM)
    theirs = subscriptions(parts)[0].id
    ask(parts, EVIL)
    link = path(parts.links.confirm(newest(parts, Request).id, at=clock.now()))
    assert client.post(link, data={"shown": [str(theirs)]}).status_code == 410
    assert [each.state for each in subscriptions(parts)] == [SubscriptionState.PENDING] * 2


def test_the_preferences_of_one_reader_change_nothing_of_anothers(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription
) -> None:
    make_newsletter(parts, slug="second")
    victim = make_reader(parts, VICTIM, slug="second")
    token = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    before = [(each.choice_id, each.frequency, each.state) for each in subscriptions(parts) if each.id == victim.id]
    fields = {"shown": "second", "topics.second": "regions", "language.second.1": "ar", "frequency.second": "daily"}
    client.post(f"/preferences/{token}", data=fields)
    client.post(f"/preferences/{token}", data={**fields, "id": victim.id, "subscriber": victim.subscriber_id})
    client.post(f"/preferences/{token}/resume", data={"newsletter": "second"})
    after = [(each.choice_id, each.frequency, each.state) for each in subscriptions(parts) if each.id == victim.id]
    assert after == before


def test_what_a_server_said_of_a_mail_that_somebody_else_asked_for_goes_with_the_address(
    parts: Parts, clock: SetClock, evil: Subscription
) -> None:
    ask_to_move(parts, evil.subscriber_id)
    asked = newest(parts, Request)
    with parts.database.work() as work:
        mailed = update(Delivery).where(Delivery.occasion == asked.id, Delivery.subscriber_id == evil.subscriber_id)
        work.session.execute(mailed.values(reply=f"250 <{VICTIM}> queued"))
    clock.advance(timedelta(days=1))
    victim = make_reader(parts, VICTIM)
    with parts.database.work() as work:
        assert erase(work, person=by_id(work, victim.subscriber_id), log=parts.erasures)
    with parts.database.reading() as work:
        for table in Table.metadata.sorted_tables:
            assert all(VICTIM not in repr(tuple(row)) for row in work.session.execute(select(table))), table.name


def test_who_is_erased_is_erased_from_the_file_of_the_database_too(
    client: FlaskClient, parts: Parts, evil: Subscription
) -> None:
    if not parts.database.is_sqlite:
        pytest.skip("PostgreSQL's vacuum does this")
    token = parts.links.preferences_token(evil.subscriber_id, at=parts.clock.now())
    assert client.post(f"/preferences/{token}/erase").status_code == 200
    with parts.database.reading() as work:
        assert work.session.scalar(text("PRAGMA secure_delete")) == 1
    parts.database.close()  # the last one to leave writes everything into the one file
    for file in parts.settings.home.rglob("*"):
        assert not file.is_file() or EVIL.encode() not in file.read_bytes(), file.name


def test_all_doors_together_mail_a_stranger_once_a_day_and_three_times_a_month(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription
) -> None:
    asked = {"address": VICTIM, "newsletters": ["hebdo"]}
    told = {"page_language": "fr", "consent_text": "I agree to receive the newsletter."}
    mailed = []
    for day in range(8):
        for attempt in range(3):
            place = {"REMOTE_ADDR": f"203.0.{day}.{attempt}"}
            own = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
            client.post("/fr/subscriptions", data=asked, environ_base=place)
            client.post("/fr/embed", data={**asked, "form": "embedded-1"}, environ_base=place)
            client.post("/api/v1/subscriptions", json={**asked, **told}, environ_base=place)
            client.post("/fr/preferences", data=asked, environ_base=place)
            client.post(f"/preferences/{own}/address", data=asked, environ_base=place)
            run_due(parts.postroom)
            clock.advance(timedelta(hours=8, seconds=1))
        mailed.append(sum(each.recipient == VICTIM for each in messages(parts)))
    assert mailed == [1, 2, 3, 3, 3, 3, 3, 3]


def messages(parts: Parts) -> list[Message]:
    assert isinstance(parts.backend, MemoryBackend)
    return parts.backend.messages


def test_no_header_of_a_request_gets_into_a_link(client: FlaskClient) -> None:
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example",
        "Origin": "https://evil.example",
        "Referer": "https://evil.example/",
    }
    for way in ("/", "/fr/", "/fr/embed", "/fr/preferences", "/api/v1/newsletters", "/api/v1/openapi.json", "/nowhere"):
        answer = client.get(way, headers=headers)
        assert "evil" not in answer.text
        assert all("evil" not in value for _, value in answer.headers)
    asked = {"address": EVIL.replace("evil", "v"), "newsletters": "hebdo"}
    answer = client.post("/fr/subscriptions", data=asked, headers=headers)
    assert answer.status_code == 200
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "spelling", ["Victim@Example.COM", " victim@example.com ", "victim@example\uff0ecom", "\uff56ictim@example.com"]
)
def test_two_spellings_of_a_mailbox_are_one_person(client: FlaskClient, parts: Parts, spelling: str) -> None:
    ask(parts, VICTIM)
    client.post("/fr/subscriptions", data={"address": spelling, "newsletters": "hebdo", "form": "embedded-1"})
    known = {each.subscriber_id for each in subscriptions(parts)}
    assert len(known) == (2 if spelling[0] == "\uff56" else 1), "a full-width letter names another mailbox"


@pytest.mark.parametrize("splice", range(1, 5))
def test_a_proof_of_work_cannot_be_made_to_last_by_moving_its_digits(clock: SetClock, splice: int) -> None:
    proofs = Proofs(["k" * 40])
    made = proofs.challenge(now=clock.now())
    salt = str(made["salt"])
    numbers = (str(number) for number in range(20_001))
    found = next(each for each in numbers if sha256((salt + each).encode()).hexdigest() == made["challenge"])
    moved = {**made, "salt": salt + found[:splice], "number": int(found[splice:] or "0")}
    sent = b64encode(json.dumps(moved).encode()).decode()
    assert proofs.read(sent, now=clock.now() + timedelta(hours=1)) is None
    assert proofs.read(sent, now=clock.now()) is None


@pytest.mark.parametrize("is_closed", [False, True])
def test_ones_own_data_do_not_tell_what_became_of_a_mail_to_somebody_elses_address(
    client: FlaskClient, parts: Parts, clock: SetClock, evil: Subscription, *, is_closed: bool
) -> None:
    if is_closed:
        with parts.database.work() as work:
            closed = address_hash(parts.address_key, VICTIM)
            suppress(work, address_hash=closed, reason=SuppressionReason.NEVER)
    own = parts.links.preferences_token(evil.subscriber_id, at=clock.now())
    before = client.get(f"/preferences/{own}/export.json").json
    assert client.post(f"/preferences/{own}/address", data={"address": VICTIM}).status_code == 200
    run_due(parts.postroom)
    assert (not is_closed) == (VICTIM in {each.recipient for each in messages(parts)})
    after = client.get(f"/preferences/{own}/export.json").json
    assert before is not None
    assert after is not None
    for told in ("requests", "mails"):
        assert [each["what" if told == "requests" else "kind"] for each in after[told]] == [
            each["what" if told == "requests" else "kind"] for each in before[told]
        ]
    assert VICTIM not in json.dumps(after)


def test_no_name_and_no_field_becomes_markup(parts: Parts, clock: SetClock) -> None:
    evil = "<script>alert(1)</script>\"'{{7*7}}%(x)s"
    make_newsletter(parts)
    with parts.database.work() as work:
        named = dict.fromkeys(("fr", "ar", "en"), evil)
        work.session.execute(update(Newsletter).values(names=named, institution=named, postal_address=named))
        work.session.execute(update(Topic).values(names=named))
    client, links = create_app(parts).test_client(), parts.links
    reader = make_reader(parts, EVIL)
    ask(parts, VICTIM)
    asked, now = newest(parts, Request).id, clock.now()
    own = f"/preferences/{links.preferences_token(reader.subscriber_id, at=now)}"
    ways = ["/fr/", "/fr/embed", "/fr/preferences", "/archive/hebdo/fr/", own, f"{own}/data", f"{own}/erase"]
    ways += [
        f"{own}/address",
        f"/u/{links.unsubscribe_token(reader.id, 0)}",
        f"/confirm/{links.confirm_token(asked, at=now)}",
    ]
    ways += [f"/never/{links.never_token(asked)}", f"/topic/{links.topic_token(reader.id, reader.choice.topic_ids[0])}"]
    fields = (
        "address",
        "newsletters",
        "language",
        "also",
        "frequency",
        "remarks",
        "newsletter",
        "shown",
        "pause.hebdo",
    )
    for way in ways:
        answers = [
            client.get(way),
            client.get(way, query_string={"newsletters": evil}),
            client.post(way, data=dict.fromkeys(fields, evil)),
        ]
        for answer in answers:
            assert answer.status_code < 500
            assert "<script>alert" not in answer.text
    run_due(parts.postroom)
    assert messages(parts) == []  # "never", above
    ask(parts, "third@example.org")
    run_due(parts.postroom)
    (mail,) = messages(parts)
    assert "<script>" not in html_of(parsed(mail.data))
