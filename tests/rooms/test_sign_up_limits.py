"""What an hour takes: limits by network, domain and in all, and what becomes of confirmations."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.base.errors import TooMany
from newsletter.bootstrap import Parts, build
from newsletter.operations.doctor import Weight, examine
from newsletter.subscriptions import limits, proofs
from newsletter.subscriptions.limits import Attempt, Confirmations, Limits
from newsletter.subscriptions.models import Scope, SignUpCount, SpentProof
from newsletter.subscriptions.proofs import Proof

MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)
SET = Limits(per_network=3, per_domain=5, in_all=8, key=b"only for tests")
HERE, THERE = "196.12.34.0/24", "2001:4860:1::/48"


def sign_up(parts: Parts, attempt: Attempt, *, limits_set: Limits = SET) -> timedelta | None:
    """Weigh a sign-up and count it, as the door does."""
    with parts.database.work() as work:
        wait = limits.weigh(work, attempt, limits=limits_set)
        limits.count(work, attempt, limits=limits_set)
    return wait


def attempt(network: str | None = HERE, domain: str = "example.org", **more: Any) -> Attempt:
    return Attempt(network, domain, **more)


def test_within_the_limits_mails_leave_at_once_and_beyond_they_wait(parts: Parts) -> None:
    waits = [sign_up(parts, attempt()) for _ in range(6)]
    assert waits[:3] == [None] * 3
    for wait in waits[3:]:
        assert wait is not None
        assert timedelta(minutes=10) <= wait <= timedelta(minutes=20)


def test_each_limit_is_counted_apart(parts: Parts) -> None:
    assert [sign_up(parts, attempt(None, "a.org")) is None for _ in range(6)] == [True] * 5 + [False]
    assert sign_up(parts, attempt(THERE, "b.org")) is None, "another network and another domain"
    assert sign_up(parts, attempt(THERE, "c.org")) is None
    assert sign_up(parts, attempt(None, "d.org")) is not None, "the ninth in all"


def test_only_a_networks_own_limit_refuses(parts: Parts) -> None:
    for number in range(12):
        sign_up(parts, attempt(domain=f"{number}.org"))
    with pytest.raises(TooMany):
        sign_up(parts, attempt())
    with pytest.raises(TooMany):
        sign_up(parts, attempt(is_proven=True))
    for _ in range(200):
        assert sign_up(parts, attempt(None)) is not None
    assert sign_up(parts, attempt(THERE)) is not None


def test_a_refused_sign_up_is_not_counted_so_that_an_hour_later_it_is_taken(parts: Parts, clock: SetClock) -> None:
    for number in range(40):
        try:
            sign_up(parts, attempt(domain=f"{number}.org"))
        except TooMany:
            clock.advance(timedelta(minutes=1))
    clock.move_to(MONDAY + timedelta(hours=2))
    assert sign_up(parts, attempt(domain="x.org")) is None


def test_a_proof_of_work_lets_the_mail_leave_at_once(parts: Parts) -> None:
    for _ in range(8):
        sign_up(parts, attempt(None))
    assert sign_up(parts, attempt(None)) is not None
    assert sign_up(parts, attempt(None, is_proven=True)) is None


def test_a_suspect_sign_up_waits_even_when_nobody_else_is_there(parts: Parts) -> None:
    assert sign_up(parts, attempt(weight=3, is_suspect=True)) is not None
    assert sign_up(parts, attempt(THERE, weight=3, is_suspect=True, is_proven=True)) is None


def test_the_weight_of_a_sign_up_counts(parts: Parts) -> None:
    assert sign_up(parts, attempt(weight=2)) is None
    assert sign_up(parts, attempt(weight=2)) is not None


def test_around_the_full_hour_nobody_gets_twice_the_limit(parts: Parts, clock: SetClock) -> None:
    clock.move_to(MONDAY + timedelta(minutes=59))
    for _ in range(3):
        assert sign_up(parts, attempt()) is None
    clock.advance(timedelta(minutes=2))
    assert sign_up(parts, attempt()) is not None
    clock.advance(timedelta(minutes=58))
    assert sign_up(parts, attempt()) is None, "an hour later there is room"


def test_limits_survive_a_restart_and_hold_no_network_and_no_domain(
    parts: Parts, settings: Settings, clock: SetClock
) -> None:
    for _ in range(3):
        sign_up(parts, attempt())
    parts.database.close()
    again = build(settings, clock=clock)
    assert sign_up(again, attempt()) is not None
    with again.database.reading() as work:
        rows = work.session.scalars(select(SignUpCount)).all()
        assert {row.scope: row.count for row in rows} == {Scope.NETWORK: 4, Scope.DOMAIN: 4, Scope.ALL: 4}
        assert all(len(row.key) == 64 for row in rows if row.scope is not Scope.ALL)
        assert len({row.key for row in rows}) == 3, "the scope is part of what is hashed"
    again.database.close()


def test_a_name_counts_apart_as_network_and_as_domain(parts: Parts) -> None:
    sign_up(parts, attempt("same", "same"))
    with parts.database.reading() as work:
        assert len({row.key for row in work.session.scalars(select(SignUpCount))}) == 3


def test_sign_ups_at_once_are_all_counted(parts: Parts) -> None:
    threads = [
        threading.Thread(
            target=sign_up, args=[parts, attempt(network)], kwargs={"limits_set": Limits(99, 99, 99, b"k")}
        )
        for network in (HERE, THERE, None, HERE, THERE, None, HERE, HERE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with parts.database.reading() as work:
        rows = work.session.scalars(select(SignUpCount)).all()
    assert sorted(row.count for row in rows) == [2, 4, 8, 8]


def test_mailed_and_given_confirmations_are_counted_once(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    for number in range(5):
        ask(parts, f"reader{number}@example.org")
        ask(parts, f"reader{number}@example.org")  # mails nothing more
    for number in range(3):
        make_reader(parts, f"other{number}@example.org")
    ask(parts, "other0@example.org")  # already subscribed: there is nothing to confirm
    with parts.database.reading() as work:
        assert limits.confirmations(work) == Confirmations(0, 3), "within the hour nobody has to have answered"
    clock.advance(timedelta(hours=2))
    with parts.database.reading() as work:
        assert limits.confirmations(work) == Confirmations(8, 3)
    clock.advance(timedelta(hours=24))
    with parts.database.reading() as work:
        assert limits.confirmations(work) == Confirmations(0, 0)


def mail_and_confirm(parts: Parts, mailed: int, given: int) -> None:
    with parts.database.work() as work:
        for _ in range(mailed):
            limits.count_mailed(work)
        for _ in range(given):
            limits.count_confirmed(work)


@pytest.mark.parametrize(
    ("mailed", "given", "doubtful"), [(199, 0, False), (200, 39, True), (200, 40, False), (1000, 199, True)]
)
def test_where_hardly_anybody_confirms_every_mail_waits_or_is_proven(
    parts: Parts, clock: SetClock, mailed: int, given: int, doubtful: bool
) -> None:
    mail_and_confirm(parts, mailed, given)
    assert sign_up(parts, attempt(None)) is None, "they may still be answered"
    clock.advance(timedelta(hours=3))
    assert (sign_up(parts, attempt(None)) is not None) == doubtful
    assert sign_up(parts, attempt(None, is_proven=True)) is None
    with parts.database.reading() as work:
        assert limits.needs_proof(work, attempt(None), limits=SET) == doubtful
    clock.advance(timedelta(hours=24))
    assert sign_up(parts, attempt(None)) is None, "a day later it is over"


def test_what_decides_is_never_whether_an_address_is_known(parts: Parts) -> None:
    """The weighing is not even told the address."""
    assert set(Attempt.__dataclass_fields__) == {"network", "domain", "weight", "is_suspect", "is_proven"}


def test_a_proof_serves_once(parts: Parts, clock: SetClock) -> None:
    proof = Proof("a" * 64, clock.now() + timedelta(minutes=10))
    spent = []
    for _ in range(2):
        with parts.database.work() as work:
            spent.append(proofs.spend(work, proof))
    assert spent == [True, False]


def test_a_proof_serves_one_of_two_at_once(parts: Parts, clock: SetClock) -> None:
    proof, spent = Proof("a" * 64, clock.now() + timedelta(minutes=10)), []

    def spend() -> None:
        with parts.database.work() as work:
            spent.append(proofs.spend(work, proof))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(spent) == [False, False, False, True]


def test_what_failed_gives_the_proof_back(parts: Parts, clock: SetClock) -> None:
    proof = Proof("a" * 64, clock.now() + timedelta(minutes=10))

    def fail() -> None:
        with parts.database.work() as work:
            proofs.spend(work, proof)
            raise TooMany("no")

    with pytest.raises(TooMany):
        fail()
    with parts.database.work() as work:
        assert proofs.spend(work, proof)


def test_old_proofs_are_cleared_by_whoever_comes_later(parts: Parts, clock: SetClock) -> None:
    def spend(name: str) -> None:
        with parts.database.work() as work:
            proofs.spend(work, Proof(name, clock.now() + timedelta(minutes=10)))

    for number in range(120):
        spend(f"old{number}")
    clock.advance(timedelta(minutes=11))
    kept = []
    for number in range(4):
        spend(f"new{number}")
        with parts.database.reading() as work:
            kept.append(len(work.session.scalars(select(SpentProof)).all()))
    assert kept == [71, 22, 3, 4], "some at a time, so that nobody waits for all of them"


def test_the_doctor_tells_of_confirmations_that_nobody_gives(parts: Parts, clock: SetClock) -> None:
    def told() -> tuple[Weight, str]:
        findings = list(examine(parts.settings, parts.database, parts.backend))
        (found,) = [finding for finding in findings if finding.subject == "sign-ups"]
        return found.weight, found.text

    mail_and_confirm(parts, 300, 12)
    assert told()[0] is Weight.FINE
    clock.advance(timedelta(hours=3))
    weight, text = told()
    assert weight is Weight.NOTE
    assert "of 300 confirmations mailed in a day, 12 were given" in text
