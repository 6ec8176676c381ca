"""Who is erased is gone: no row names them, nothing leaves, no import and no restored backup brings them back."""

from __future__ import annotations

import stat
from datetime import timedelta

import pytest
from planning_parts import Ground, books_of, entry, lay, open_weekly, plan, publish
from privacy_parts import ADDRESS, NETWORK, consents_of, erase, person, rich_reader, rows_with, state
from sqlalchemy import select, update

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.base.errors import ConfigError
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import OPEN_STATES, Delivery
from newsletter.mail.port import Message
from newsletter.operations.run_due import run_due
from newsletter.privacy import actions
from newsletter.privacy.erasures import ErasureLog
from newsletter.privacy.removing import without_person
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Purpose, Subscriber, SuppressionReason, closes
from newsletter.subscriptions.address_change import ask_new_address, confirm_new_address
from newsletter.subscriptions.models import ConsentKind, Request, Subscription


@pytest.fixture
def ground(parts: Parts, clock: SetClock) -> Ground:
    return lay(parts, clock)


def mails(parts: Parts) -> list[Message]:
    return parts.backend.messages  # type: ignore[attr-defined, no-any-return]


def bring_back(parts: Parts, subscriber_id: int, address: str = ADDRESS) -> None:
    """Do what restoring a backup does: the person is there again."""
    with parts.database.work() as work:
        work.session.execute(
            update(Subscriber)
            .where(Subscriber.id == subscriber_id)
            .values(address=address, address_key=address, removed_at=None)
        )


def test_no_row_of_any_table_holds_the_address_or_the_network(parts: Parts) -> None:
    make_newsletter(parts)
    reader = rich_reader(parts)
    assert set(rows_with(parts, ADDRESS)) == {"subscriber", "request", "delivery", "consent"}
    assert erase(parts, reader.subscriber_id) is True
    assert rows_with(parts, ADDRESS, NETWORK, "198.51.100.7") == {}


def test_open_subscriptions_end_with_evidence_and_the_number_and_keyed_hash_stay(parts: Parts) -> None:
    make_newsletter(parts)
    make_newsletter(parts, slug="second")
    active = make_reader(parts, ADDRESS)
    ask(parts, ADDRESS, slug="second")
    before = person(parts, active.subscriber_id)
    assert before is not None
    erase(parts, active.subscriber_id)
    assert state(parts, active.id) == ("ended", "erasure")
    assert state(parts, active.id + 1) == ("ended", "erasure")
    assert [each.kind for each in consents_of(parts, active.id)] == [
        ConsentKind.REQUESTED,
        ConsentKind.CONFIRMED,
        ConsentKind.LEFT,
    ]
    after = person(parts, active.subscriber_id)
    assert after is not None
    assert (after.address_hash, after.removed_at) == (before.address_hash, parts.clock.now())


def test_erasing_twice_is_harmless(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    assert erase(parts, reader.subscriber_id) is True
    assert erase(parts, reader.subscriber_id) is False
    assert len(parts.erasures.path.read_text().splitlines()) == 1


def test_nothing_leaves_that_was_waiting(parts: Parts, ground: Ground, clock: SetClock) -> None:
    reader = rich_reader(parts)  # a confirmation and a mail to the new address wait
    publish(ground, entry("one"))
    number = open_weekly(ground)
    assert list(plan(ground, number)) == [reader.id]
    erase(parts, reader.subscriber_id)
    run_due(parts.postroom)
    assert mails(parts) == []
    with parts.database.reading() as work:
        assert not work.session.scalars(select(Delivery).where(Delivery.state.in_(OPEN_STATES))).all()
    books = books_of(ground, number)
    assert books.balance
    assert (books.audience, books.skipped) == (1, 1)


def test_books_of_what_was_sent_are_as_before(parts: Parts, ground: Ground) -> None:
    reader = rich_reader(parts)
    make_reader(parts, "somebody@example.org")
    publish(ground, entry("one"))
    number = open_weekly(ground)
    plan(ground, number)
    run_due(parts.postroom)
    before = books_of(ground, number)
    assert before.accepted == 2
    erase(parts, reader.subscriber_id)
    assert books_of(ground, number) == before


def test_who_asked_to_move_to_an_erased_address_is_not_mailed_there(parts: Parts) -> None:
    make_newsletter(parts)
    other = make_reader(parts, "other@example.org")
    erased = make_reader(parts, ADDRESS)
    with parts.database.work() as work:
        asking = subscriber_queries.by_id(work, other.subscriber_id)
        new = read_address(ADDRESS)
        ask_new_address(work, person=asking, address=new, address_key=parts.address_key, spoken="fr")
    assert set(rows_with(parts, ADDRESS)) == {"subscriber", "request"}
    erase(parts, erased.subscriber_id)
    assert rows_with(parts, ADDRESS) == {}
    run_due(parts.postroom)
    assert ADDRESS not in {mail.recipient for mail in mails(parts)}


def test_no_import_revives_an_address_but_the_persons_own_sign_up_does(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    erased = person(parts, reader.subscriber_id)
    assert erased is not None
    erase(parts, reader.subscriber_id)
    with parts.database.reading() as work:
        reasons = subscriber_queries.suppressions_of(work, erased.address_hash)
    assert reasons == [SuppressionReason.ERASURE]
    assert closes(reasons[0], Purpose.IMPORT)
    assert not closes(reasons[0], Purpose.NEWS)
    clock.advance(timedelta(days=1, minutes=1))
    again = make_reader(parts, ADDRESS)
    assert again.subscriber_id != reader.subscriber_id
    assert actions.erase_anew(parts.database, parts.erasures) == 0
    assert state(parts, again.id) == ("active", None)


def test_the_erasure_is_on_the_disk_readable_by_its_owner_alone(parts: Parts) -> None:
    make_newsletter(parts)
    first, second = make_reader(parts, ADDRESS), make_reader(parts, "second@example.org")
    erase(parts, first.subscriber_id)
    erase(parts, second.subscriber_id)
    path = parts.erasures.path
    assert path == parts.settings.home / "erasures.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    moments = [line.split()[0] for line in path.read_text().splitlines()]
    assert moments == [parts.clock.now().isoformat()] * 2
    assert "@" not in path.read_text()


def test_a_restored_backup_erases_anew_whom_it_brought_back(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    clock.advance(timedelta(hours=1))
    erase(parts, reader.subscriber_id)
    bring_back(parts, reader.subscriber_id)
    with parts.database.work() as work:
        work.session.execute(update(Subscription).values(state="active", ended_at=None, end_reason=None))
        work.session.execute(subscriber_queries.Suppression.__table__.delete())  # type: ignore[attr-defined]
    assert actions.erase_anew(parts.database, parts.erasures) == 1
    assert rows_with(parts, ADDRESS) == {}
    assert state(parts, reader.id) == ("ended", "erasure")
    assert rows_with(parts, "erasure")["suppression"] == 1  # and no import brings them back
    assert actions.erase_anew(parts.database, parts.erasures) == 0


def test_a_backup_of_before_the_address_changed_brings_nobody_back(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    old = person(parts, reader.subscriber_id)
    assert old is not None
    clock.advance(timedelta(hours=1))
    _move(parts, reader.subscriber_id, "new@example.org")
    clock.advance(timedelta(hours=1))
    erase(parts, reader.subscriber_id)
    bring_back(parts, reader.subscriber_id)
    with parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address_hash=old.address_hash))
    assert actions.erase_anew(parts.database, parts.erasures) == 1


def test_who_moves_to_an_address_that_was_erased_once_stays(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    mover, erased = make_reader(parts, "mover@example.org"), make_reader(parts, ADDRESS)
    clock.advance(timedelta(hours=1))
    erase(parts, erased.subscriber_id)
    clock.advance(timedelta(days=2))
    _move(parts, mover.subscriber_id, ADDRESS)
    assert actions.erase_anew(parts.database, parts.erasures) == 0
    assert state(parts, mover.id) == ("active", None)
    clock.advance(timedelta(days=2))
    erase(parts, mover.subscriber_id)
    bring_back(parts, mover.subscriber_id)
    assert actions.erase_anew(parts.database, parts.erasures) == 1


def _move(parts: Parts, subscriber_id: int, address: str) -> None:
    """Change a person's address, from the request to its confirmation."""
    with parts.database.work() as work:
        asking, new = subscriber_queries.by_id(work, subscriber_id), read_address(address)
        ask_new_address(work, person=asking, address=new, address_key=parts.address_key, spoken="fr")
    with parts.database.work() as work:
        number = work.session.scalars(select(Request.id).order_by(Request.id.desc())).first()
        assert number is not None
        token = parts.links.change_address_token(number, at=work.now)
        confirm_new_address(work, token=token, links=parts.links, text_shown="Yes.")


def test_without_a_home_that_can_be_written_nothing_is_erased(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    before = rows_with(parts, ADDRESS)
    nowhere = ErasureLog(parts.settings.home / "nowhere")
    with parts.database.work() as work, pytest.raises(ConfigError, match=r"erasures\.log.*cannot be written"):
        actions.erase(
            work,
            person=subscriber_queries.by_id(work, reader.subscriber_id),
            log=nowhere,
        )
    assert rows_with(parts, ADDRESS) == before
    assert state(parts, reader.id) == ("active", None)


def test_an_erasure_that_was_written_down_and_not_committed_is_carried_out_at_the_next_start(
    parts: Parts, clock: SetClock
) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, ADDRESS)
    clock.advance(timedelta(hours=1))
    with parts.database.work() as work:
        actions.erase(work, person=subscriber_queries.by_id(work, reader.subscriber_id), log=parts.erasures)
        work.session.rollback()
    assert rows_with(parts, ADDRESS)
    assert actions.erase_anew(parts.database, parts.erasures) == 1
    assert rows_with(parts, ADDRESS) == {}


def test_half_a_line_of_a_crash_spoils_neither_what_was_there_nor_what_comes(parts: Parts) -> None:
    log, now = parts.erasures, parts.clock.now()
    log.append(now, ["a" * 64])
    with log.path.open("a") as file:
        file.write(f"{now.isoformat()} {'b' * 20}")
    log.append(now, ["c" * 64])
    assert log.read() == {"a" * 64: now, "c" * 64: now}
    assert log.damaged_lines() == [2]


def test_an_address_erased_twice_counts_from_the_last_time(parts: Parts) -> None:
    log, now = parts.erasures, parts.clock.now()
    log.append(now, ["a" * 64])
    log.append(now + timedelta(days=1), ["a" * 64])
    log.append(now, ["b" * 64])
    assert log.read() == {"a" * 64: now + timedelta(days=1), "b" * 64: now}


def test_evidence_loses_addresses_and_networks_and_nothing_else() -> None:
    evidence = {
        "source": "listmonk",
        "rows": [{"email": "a@example.org", "optin_ip": "2001:db8::7", "at": "2024-01-05T10:00:00Z"}, "b@example.org"],
        "confirmed": True,
        "form": "hebdo, 3.5",
        "network": "198.51.100.0/24",
    }
    assert without_person(evidence) == {
        "source": "listmonk",
        "rows": [{"at": "2024-01-05T10:00:00Z"}],
        "confirmed": True,
        "form": "hebdo, 3.5",
    }
