"""Imports beside imports and beside people: nobody is in twice, and nobody waits for a whole file."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import address_hash, read_address
from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions.exchange import importing, taking
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.importing import Source, Summary, import_subscribers
from newsletter.subscriptions.models import Consent, ConsentKind, Subscription

ADDRESSES = [f"r{number}@y.ma" for number in range(300)]


def bring(parts: Parts, addresses: list[str], *, progress: Callable[[Summary], None] = lambda _: None) -> Summary:
    data = "\n".join(["email,confirmed_at", *(f"{each},2024-06-01 10:00" for each in addresses)]).encode()
    return import_subscribers(
        parts.database,
        source=Source(io.BufferedReader(io.BytesIO(data)), "readers.csv"),  # type: ignore[arg-type]
        newsletter="hebdo",
        terms=Terms(languages=["fr"]),
        address_key=parts.address_key,
        dry_run=False,
        tell=lambda _: None,
        progress=progress,
    )


@pytest.fixture(autouse=True)
def _small_slices(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    make_newsletter(parts)
    monkeypatch.setattr(importing, "SLICE", 20)


def test_two_imports_and_people_who_sign_up_at_once_make_each_reader_once(parts: Parts) -> None:
    found: list[Summary] = []
    failed: list[BaseException] = []

    def run(step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 (a thread's own would be lost)
            failed.append(error)

    def sign_up() -> None:
        for address in ADDRESSES[::15]:
            ask(parts, address)

    threads = [
        threading.Thread(target=run, args=(lambda: found.append(bring(parts, ADDRESSES)),)),
        threading.Thread(target=run, args=(lambda: found.append(bring(parts, ADDRESSES[::-1])),)),
        threading.Thread(target=run, args=(sign_up,)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    with parts.database.reading() as work:
        persons = Counter(work.session.scalars(select(Subscription.subscriber_id)))
        imported = work.session.scalars(select(func.count()).where(Consent.kind == ConsentKind.IMPORTED)).one()
        known = work.session.scalars(select(func.count()).select_from(Subscriber)).one()
    assert known == len(ADDRESSES)
    assert set(persons.values()) == {1}
    assert len(persons) == len(ADDRESSES)
    assert sum(each.taken.total() for each in found) == imported


def test_people_sign_up_between_two_slices(parts: Parts) -> None:
    came: list[int] = []

    def someone_comes(summary: Summary) -> None:
        came.append(make_reader(parts, f"person{summary.rows}@y.ma").id)

    assert bring(parts, ADDRESSES[:60], progress=someone_comes).taken == {"active": 60}
    assert len(came) == 3


def test_an_address_that_is_closed_while_it_is_imported_stays_out(
    parts: Parts, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database_kind == "sqlite":
        pytest.skip("nobody else writes during a work")
    lock = taking._lock

    def close_first(*given: object) -> dict[str, int]:
        with parts.database.work() as work:
            hashed = address_hash(parts.address_key, read_address(ADDRESSES[0]).key)
            subscriber_actions.suppress(work, address_hash=hashed, reason=SuppressionReason.ERASURE)
        return lock(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(taking, "_lock", close_first)
    with pytest.raises(Unavailable, match="run the same command again"):
        bring(parts, ADDRESSES[:10])
    monkeypatch.setattr(taking, "_lock", lock)
    found = bring(parts, ADDRESSES[:10])
    assert (found.taken, found.left_alone) == ({"active": 9}, {"the address is closed: erasure": 1})
    with parts.database.reading() as work:
        assert work.session.scalars(select(func.count()).select_from(Subscriber)).one() == 9
