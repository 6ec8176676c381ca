"""What a citizen meets when something behind the site fails: a kind page, nothing half-done, the mail comes later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from aiosmtpd.handlers import Message as Handler
from flask.testing import FlaskClient
from pages import everything, newest, path, press, read, subscriptions
from sqlalchemy import event, text

from factories import ask, make_newsletter, make_reader
from loopback import LoopbackController
from newsletter.base.clock import SetClock
from newsletter.base.errors import NewsletterError
from newsletter.bootstrap import Parts
from newsletter.db.database import Database
from newsletter.mail.registry import backend_from_url
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.privacy.actions import erase
from newsletter.privacy.erasures import ErasureLog
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import actions
from newsletter.subscriptions.models import Request, SubscriptionState
from newsletter.web.app import create_app
from smtp_faults import closed_port

ADDRESS = "salma@example.org"
PATIENCE = 0.5


@pytest.fixture
def hurried(parts: Parts, client: FlaskClient) -> Iterator[FlaskClient]:
    """A visitor of a site that soon gives up waiting for the database."""
    database = Database(parts.settings.database, clock=parts.clock, patience=PATIENCE)
    yield create_app(replace(parts, database=database)).test_client()
    database.close()


@contextmanager
def locked(parts: Parts) -> Iterator[None]:
    with parts.database.work() as work:
        if not parts.database.is_sqlite:
            work.session.execute(text("LOCK TABLE subscriber, subscription IN EXCLUSIVE MODE"))
        yield


def acting(parts: Parts) -> dict[str, str]:
    """Return a reader's links that have a button behind them."""
    ask(parts, "youssef@example.org")
    waiting = newest(parts, Request)
    reader = make_reader(parts, ADDRESS)
    links = parts.links
    return {
        "confirm": path(links.confirm(waiting.id, at=parts.clock.now())),
        "never": path(links.never(waiting.id)),
        "leave": path(links.unsubscribe(links.unsubscribe_token(reader.id, 0))),
        "preferences": path(links.preferences(reader.subscriber_id, at=parts.clock.now())),
    }


def test_while_the_database_is_locked_every_button_answers_kindly_and_nothing_is_half_done(
    parts: Parts, hurried: FlaskClient
) -> None:
    links = acting(parts)
    form = read(hurried.get("/ar/"))
    before = everything(parts)
    with locked(parts):
        answers = {name: hurried.post(link) for name, link in links.items() if name != "preferences"}
        answers["sign up"] = press(hurried, form, {"address": "new@example.org"})
    for name, answer in answers.items():
        assert answer.status_code == 503, name
        assert answer.headers["Retry-After"], name
        assert read(answer).one("h1").text, name
    assert read(answers["sign up"]).language == "ar"
    assert everything(parts) == before

    assert press(hurried, form, {"address": "new@example.org"}).status_code == 200
    assert hurried.post(links["leave"]).status_code == 200
    assert hurried.post(links["confirm"]).status_code == 200
    assert {each.state for each in subscriptions(parts)} == set(SubscriptionState)


def test_a_full_disk_is_told_kindly_and_what_was_there_stays(parts: Parts, client: FlaskClient) -> None:
    if not parts.database.is_sqlite:
        pytest.skip("a PostgreSQL cannot be told that its disk is full; for its kin see the locked database")
    form = read(client.get("/fr/"))
    before = everything(parts)
    parts.database.engine.dispose()

    def fill(connection: object, _entry: object) -> None:
        connection.execute("PRAGMA max_page_count=1").close()  # type: ignore[attr-defined]

    event.listen(parts.database.engine, "connect", fill)
    statuses = {press(client, form, {"address": f"reader{number}@example.org"}).status_code for number in range(80)}
    assert 503 in statuses
    assert statuses <= {200, 503}
    event.remove(parts.database.engine, "connect", fill)
    parts.database.engine.dispose()
    after = everything(parts)
    assert len(after["subscription"]) == len(after["request"]) == len(after["delivery"])
    assert before["newsletter"] == after["newsletter"]
    assert press(client, form, {"address": ADDRESS}).status_code == 200


def test_connections_that_the_database_closed_are_made_again_unnoticed(parts: Parts, client: FlaskClient) -> None:
    if parts.database.is_sqlite:
        pytest.skip("SQLite has no server that could end")
    form = read(client.get("/fr/"))
    other = Database(parts.settings.database, clock=parts.clock)
    with other.work() as work:
        mine = work.session.scalar(text("SELECT pg_backend_pid()"))
        ended = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> :mine"
        )
        assert work.session.execute(ended, {"mine": mine}).all()
    other.close()
    assert press(client, form, {"address": ADDRESS}).status_code == 200
    assert len(subscriptions(parts)) == 1


class _Kept(Handler):
    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[str] = []

    def handle_message(self, message: object) -> None:
        self.recipients.append(message["X-RcptTo"])  # type: ignore[index]


def test_the_confirmation_leaves_when_the_mail_server_is_back(
    parts: Parts, client: FlaskClient, clock: SetClock
) -> None:
    def through(port: int) -> Parts:
        backend = backend_from_url(f"smtp://127.0.0.1:{port}?connect=2", home=parts.settings.home)
        return replace(parts, backend=backend)

    form = read(client.get("/fr/"))
    clock.advance(timedelta(seconds=20))
    assert press(client, form, {"address": ADDRESS}).status_code == 200
    with closed_port() as port:
        assert send_due(through(port).postroom, lanes=TRANSACTIONAL).stopped
    assert press(client, form, {"address": "youssef@example.org"}).status_code == 200
    clock.advance(timedelta(minutes=10))
    kept = _Kept()
    controller = LoopbackController(kept, "127.0.0.1", 0)
    controller.start()
    try:
        assert send_due(through(controller.port).postroom, lanes=TRANSACTIONAL).accepted == 2
    finally:
        controller.stop()
    assert sorted(kept.recipients) == [ADDRESS, "youssef@example.org"]


@pytest.mark.parametrize("first", ["confirm", "erase"])
def test_whoever_confirms_while_being_erased_is_erased(parts: Parts, first: str) -> None:
    make_newsletter(parts)
    log = ErasureLog(parts.settings.home)
    for number in range(4):
        address = f"reader{number}@example.org"
        ask(parts, address)
        asked = newest(parts, Request, address)
        token = parts.links.confirm_token(asked.id, at=parts.clock.now())
        started = threading.Barrier(2)

        def confirm(token: str = token, started: threading.Barrier = started) -> None:
            started.wait()
            try:
                with parts.database.work() as work:
                    actions.confirm(work, token=token, links=parts.links, text_shown="Confirm.")
            except NewsletterError:  # kindly: nothing is left to confirm
                pass

        def forget(person_id: int = asked.subscriber_id, started: threading.Barrier = started) -> None:
            started.wait()
            with parts.database.work() as work:
                erase(work, person=work.session.get_one(Subscriber, person_id), log=log)

        both = [threading.Thread(target=confirm), threading.Thread(target=forget)]
        for each in both if first == "confirm" else reversed(both):
            each.start()
        for each in both:
            each.join()
    assert {each.state for each in subscriptions(parts)} == {SubscriptionState.ENDED}
    with parts.database.work() as work:
        assert not [person.address for person in work.session.query(Subscriber) if person.address]
