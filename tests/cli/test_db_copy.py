"""`db copy`: a live SQLite installation moves to PostgreSQL, loses nothing, and mails nobody twice."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alembic.command
import psycopg
import pytest
from command_line import MONDAY, NEXT_MONDAY, Command
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from worker_parts import plan_issue, sql

from factories import ask, make_reader, parsed
from newsletter.bootstrap import Parts
from newsletter.db import migrations
from newsletter.db.database import Database
from newsletter.db.schema import Table
from newsletter.deliveries import steps
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import Delivery, DeliveryState, LaneName
from newsletter.deliveries.sending import LEASE, Sender, send_batch
from newsletter.mail.port import Outcome
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.operations import copying
from newsletter.operations.copying import copy_database
from newsletter.subscribers.models import Subscriber

READERS = 24
OUTCOMES = {0: Outcome.ACCEPTED, 1: Outcome.FAILED, 2: Outcome.DEFERRED, 3: Outcome.UNCERTAIN}
LATER = (datetime.fromisoformat(MONDAY) + timedelta(hours=1)).isoformat()


@pytest.fixture(autouse=True)
def _from_sqlite(database_kind: str) -> None:
    if database_kind != "sqlite":
        pytest.skip("begins with SQLite")


@pytest.fixture
def target(server: str) -> str:
    """An empty PostgreSQL database."""
    name = f"copy_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    authority, _, query = server.partition("://")[2].partition("?")
    return f"postgresql+psycopg://{authority.split('/')[0]}/{name}?{query}"


def on(command: Command, url: str) -> Command:
    return replace(command, environment=command.environment | {"NEWSLETTER_DATABASE_URL": url})


@pytest.fixture
def rich(ready: Command, feed: Callable[..., Path]) -> tuple[Command, Counter[str]]:
    """An issue in the middle of its sending, mails in every state; and who was mailed a digest so far."""
    plan_issue(ready, feed, READERS)
    with ready.parts(MONDAY) as parts:
        [batch_id] = sql(ready, "SELECT batch_id FROM issue")
        mailed = MemoryBackend(lambda address: OUTCOMES.get(int(address[6:].partition("@")[0]) % 6, Outcome.ACCEPTED))
        _send_some(parts, mailed, int(batch_id), most=READERS - 4)
        _die_with_the_rest(parts, int(batch_id))
        ask(parts, "waiting@example.org", languages=("ar", "fr"))
    over = min(datetime.now(UTC) - timedelta(hours=1), datetime.fromisoformat(MONDAY))  # by both clocks
    _set_leases(ready, over)
    return ready, Counter(message.recipient for message in mailed.messages)


def _send_some(parts: Parts, backend: MemoryBackend, batch_id: int, *, most: int) -> None:
    kept = parts.lanes[LaneName.DIGEST]
    with parts.database.work() as work:
        rows = work.session.scalars(select(Delivery).where(Delivery.batch_id == batch_id).order_by(Delivery.id)).all()
        for row in rows[most:]:
            row.state, row.next_attempt_at = DeliveryState.DEFERRED, work.now + timedelta(days=1)
    send_batch(parts.database, backend, kept, batch_id, sender=Sender("of old", in_doubt="hold"))
    with parts.database.work() as work:
        for row in work.session.scalars(select(Delivery).where(Delivery.id.in_([row.id for row in rows[most:]]))):
            row.state, row.next_attempt_at = DeliveryState.PENDING, None


def _die_with_the_rest(parts: Parts, batch_id: int) -> None:
    """Leave two rows with an intent and two without."""
    for intend in (True, False):
        with parts.database.work() as work:
            moves = Moves()
            held = steps.claim(
                work, batch_id=batch_id, owner=f"dead {intend}", lease=LEASE, most=2, after=0, without=(), moves=moves
            )
            if intend:
                steps.intend(work, held, owner=f"dead {intend}", margin=timedelta())
            moves.write(work, sender=f"dead {intend}")


def _set_leases(command: Command, moment: datetime) -> None:
    with command.parts_now() as parts, parts.database.work() as work:
        for row in work.session.scalars(select(Delivery).where(Delivery.state == DeliveryState.SENDING)):
            row.lease_until = moment


def test_a_rich_installation_moves_and_the_next_runs_give_everybody_everything_once(
    rich: tuple[Command, Counter[str]], target: str, feed: Callable[..., Path]
) -> None:
    old, mailed = rich
    states = Counter(sql(old, "SELECT state FROM delivery WHERE subscription_id > 0"))
    assert set(states) >= {"accepted", "failed", "deferred", "uncertain", "sending"}
    said = old("db", "copy", target).stdout
    assert "copied and compared" in said
    assert "delivery" in said
    new = on(old, target)
    new("doctor")

    new("run", "--due", "--at", LATER)
    digests = Counter(str(mail["To"]) for mail in map(parsed, new.mails()) if mail["List-Id"])
    [issue] = new.json("issues", "list")
    books = issue["books"]
    assert (books["balance"], books["audience"], books["open"]) == (True, READERS, 0), books
    deferred = {f"reader{number}@example.org" for number in range(READERS - 4) if number % 6 == 2}
    left = {f"reader{number}@example.org" for number in range(READERS - 4, READERS)}
    assert digests == dict.fromkeys(deferred | left, 1)
    assert not mailed.keys() & digests.keys(), "nobody twice, and those in doubt are kept for a person"
    assert books["possible_copies"] == 2, "the intents of the dead sender"

    feed("Un guichet unique", "Un nouveau portail", "Une troisième nouvelle")
    with new.parts(LATER) as parts:
        late = make_reader(parts, "late@example.org")
        assert late.id > READERS
    new("run", "--due", "--at", NEXT_MONDAY)
    weekly = Counter(str(mail["To"]) for mail in map(parsed, new.mails()) if mail["List-Id"]) - digests
    readers = {f"reader{number}@example.org" for number in range(READERS)}
    assert weekly == dict.fromkeys(readers | {"late@example.org"}, 1)


def test_every_value_of_every_table_survives(rich: tuple[Command, Counter[str]], target: str) -> None:
    old, _ = rich
    with old.parts_now() as parts:
        before = _everything(parts.database)
        new = Database(target, clock=parts.clock)
        copied = copy_database(parts.database, new, progress=lambda _: None)
        after = _everything(new)
        new.close()
    assert after == before
    assert {each.table: each.rows for each in copied} == {name: len(rows) for name, rows in before.items()}
    assert sum(each.rows for each in copied) > 5 * READERS


def _everything(database: Database) -> dict[str, list[str]]:
    with database.reading() as work:
        return {
            table.name: sorted(repr(tuple(row)) for row in work.session.execute(select(table)))
            for table in Table.metadata.sorted_tables
        }


def test_new_rows_are_numbered_after_the_copied_ones(rich: tuple[Command, Counter[str]], target: str) -> None:
    old, _ = rich
    highest = max(map(int, sql(old, "SELECT id FROM subscriber")))
    old("db", "copy", target)
    with on(old, target).parts_now() as parts:
        ask(parts, "somebody-else@example.org")
        with parts.database.reading() as work:
            assert work.session.scalars(select(Subscriber.id).order_by(Subscriber.id.desc())).first() == highest + 1


def test_the_old_database_takes_no_further_write_from_anybody(ready: Command, target: str) -> None:
    with ready.parts_now() as running:
        with running.database.reading() as work:
            work.session.scalar(select(Subscriber.id))
        ready("db", "copy", target)
        with pytest.raises(IntegrityError, match="moved to PostgreSQL"):
            ask(running, "too-late@example.org")
    for words in (("run", "--due"), ("worker",), ("db", "copy", target)):
        assert "NEWSLETTER_DATABASE_URL" in ready(*words, expect=78).stderr


def test_a_sign_up_during_the_copy_waits_and_is_refused_not_lost(ready: Command, target: str) -> None:
    begun, outcome = threading.Event(), []
    with ready.parts_now() as parts:
        new = Database(target, clock=parts.clock)

        def sign_up() -> None:
            begun.wait()
            try:
                ask(parts, "during@example.org")
            except IntegrityError as error:
                outcome.append(str(error.orig))

        citizen = threading.Thread(target=sign_up)
        citizen.start()
        copy_database(parts.database, new, progress=lambda _: begun.set())
        citizen.join()
        assert len(outcome) == 1
        assert "moved" in outcome[0]
        for database in (parts.database, new):
            with database.reading() as work:
                assert work.session.scalar(select(Subscriber.id)) is None
        new.close()


def test_a_sender_at_work_is_not_overtaken(rich: tuple[Command, Counter[str]], target: str) -> None:
    old, _ = rich
    _set_leases(old, datetime.now(UTC) + timedelta(hours=1))
    said = old("db", "copy", target, expect=65).stderr
    assert "2 senders are at work" in said
    assert "--wait" in said
    threading.Timer(1.5, _set_leases, (old, datetime.now(UTC))).start()
    assert "waiting for dead False, dead True" in old("db", "copy", target, "--wait").stderr


@pytest.mark.parametrize("holds", ["rows", "something else"])
def test_a_target_that_is_not_empty_is_left_alone(ready: Command, target: str, holds: str) -> None:
    new = on(ready, target)
    if holds == "rows":
        new("db", "upgrade")
        new("newsletters", "add", "autre", "--name", "Autre")
    else:
        plain = target.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("CREATE TABLE of_others (id int)")
    assert "a database of its own" in ready("db", "copy", target, expect=65).stderr
    ready("newsletters", "list")


def test_an_empty_target_with_an_older_migration_is_brought_up(ready: Command, target: str) -> None:
    engine = create_engine(target)
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
    engine.dispose()
    ready("db", "copy", target)
    on(ready, target)("newsletters", "list")


def test_a_target_of_a_newer_version_is_left_alone(ready: Command, target: str) -> None:
    on(ready, target)("db", "upgrade")
    sql(on(ready, target), "UPDATE alembic_version SET version_num = '9999'")
    assert "does not know" in ready("db", "copy", target, expect=78).stderr
    ready("newsletters", "list")


@pytest.mark.parametrize("url", ["sqlite:////tmp/other.db", "mysql://x/y", "nonsense"])
def test_only_postgresql_is_a_target(ready: Command, url: str) -> None:
    ready("db", "copy", url, expect=65)
    ready("newsletters", "list")


def test_a_target_that_does_not_answer_costs_nothing(ready: Command) -> None:
    ready("db", "copy", "postgresql+psycopg://127.0.0.1:9/nothing", expect=75)
    ready("newsletters", "list")


def test_what_postgresql_cannot_hold_is_named_and_nothing_is_copied(ready: Command, target: str) -> None:
    sql(ready, "UPDATE newsletter SET owner = 'a' || char(0) || 'b'")
    assert "the table newsletter" in ready("db", "copy", target, expect=78).stderr
    sql(ready, "UPDATE newsletter SET owner = 'owner@example.org'")
    ready("db", "copy", target)


def test_a_value_that_changes_on_the_way_is_noticed(
    rich: tuple[Command, Counter[str]], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = rich
    with psycopg.connect(_migrated(old, target), autocommit=True) as connection:
        connection.execute('ALTER TABLE subscriber ALTER COLUMN address TYPE varchar(254) COLLATE "C"')
        connection.execute(
            "CREATE FUNCTION worse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.address := upper(NEW.address); RETURN NEW; END $$"
        )
        connection.execute("CREATE TRIGGER worse BEFORE INSERT ON subscriber FOR EACH ROW EXECUTE FUNCTION worse()")
    monkeypatch.setattr(copying, "CHUNK", 3)
    assert "subscriber did not arrive as it is" in old("db", "copy", target, expect=78).stderr
    assert sql(on(old, target), "SELECT id FROM subscriber") == []
    old("newsletters", "list")


def _migrated(command: Command, target: str) -> str:
    on(command, target)("db", "upgrade")
    return target.replace("+psycopg", "")
