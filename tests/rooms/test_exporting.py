"""Exporting subscribers: all that a subscription is; what is exported can be imported; any file is taken or told."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta

import pytest
from exchange_parts import JUNE, KNOWN, MAILCHIMP, bring, consents_of, leave, rows_of, take_out
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.errors import NewsletterError, NotFound
from newsletter.bootstrap import Parts
from newsletter.newsletters.queries import current_sequence, next_sequences
from newsletter.subscribers.models import Subscriber, Suppression
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.exporting import export_subscribers
from newsletter.subscriptions.exchange.formats import Format
from newsletter.subscriptions.models import (
    Consent,
    Subscription,
    SubscriptionState,
)


@pytest.fixture(autouse=True)
def _newsletter(parts: Parts) -> None:
    make_newsletter(parts)


def test_an_export_says_all_that_a_subscription_is(parts: Parts, clock: SetClock) -> None:
    reader = make_reader(parts, "salma@y.ma", languages=("ar", "fr"))
    with parts.database.work() as work:
        work.session.get_one(Subscription, reader.id).paused_until = clock.now() + timedelta(days=3)
    header, row = take_out(parts).splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells.pop("consent_text_hash") == consents_of(parts, reader)[-1].text_hash
    assert cells == {
        "address": "salma@y.ma",
        "newsletter": "hebdo",
        "state": "active",
        "languages": "ar fr",
        "topics": "services regions",
        "frequency": "weekly",
        "form": "digest",
        "created_at": "2026-11-16T09:00:00Z",
        "confirmed_at": "2026-11-16T09:00:00Z",
        "ended_at": "",
        "end_reason": "",
        "paused_until": "2026-11-19T09:00:00Z",
        "consent_language": "ar",
        "consent_form_version": "confirm-1",
        "consent_at": "2026-11-16T09:00:00Z",
    }


def test_an_export_can_be_of_one_newsletter_or_state(parts: Parts) -> None:
    make_newsletter(parts, slug="autre")
    make_reader(parts, "a@y.ma")
    leave(parts, make_reader(parts, "b@y.ma"))
    make_reader(parts, "c@y.ma", slug="autre")
    assert [line[0] for line in take_out(parts).splitlines()[1:]] == ["a", "b", "c"]
    assert [line[0] for line in take_out(parts, newsletter="hebdo").splitlines()[1:]] == ["a", "b"]
    assert [line[0] for line in take_out(parts, state=SubscriptionState.ENDED).splitlines()[1:]] == ["b"]
    with pytest.raises(NotFound):
        take_out(parts, newsletter="no-such")


def test_a_removed_address_is_not_exported(parts: Parts) -> None:
    leave(parts, make_reader(parts, "salma@y.ma"))
    with parts.database.work() as work:
        person = work.session.scalars(select(Subscriber)).one()
        person.address = person.address_key = None
    assert len(take_out(parts).splitlines()) == 1


LOCAL = st.text(st.sampled_from("=+-'ab1_"), min_size=1, max_size=6).map(lambda text: f"{text}z")
WHEN = st.datetimes(datetime(2000, 1, 1), datetime(2026, 11, 1)).map(lambda moment: f"{moment.isoformat()}Z")  # noqa: DTZ001 (strategies take naive ones)
ROW = st.builds(
    lambda local, state, when, languages, topics, often, form, end: ",".join(
        (
            f"{local}@y.ma",
            state,
            languages,
            topics,
            often,
            form,
            when[0],
            when[1] if state != "pending" else "",
            when[2] if state == "ended" else "",
            end if state == "ended" else "",
        )
    ),
    LOCAL,
    st.sampled_from(["active", "pending", "ended"]),
    st.lists(WHEN, min_size=3, max_size=3).map(sorted),
    st.sampled_from(["fr", "ar fr", "fr ar en"]),
    st.sampled_from(["services", "services regions"]),
    st.sampled_from(["weekly", "daily"]),
    st.sampled_from(["digest", "light"]),
    st.sampled_from(["page", "one_click", "expired"]),
)


@given(st.lists(ROW, max_size=12))
@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_export_imported_elsewhere_is_the_same_export(parts: Parts, rows: list[str]) -> None:
    _forget_all(parts)
    header = "address,state,languages,topics,frequency,form,created_at,confirmed_at,ended_at,end_reason"
    found = bring(parts, "\n".join([header, *rows]), terms=Terms())
    assert not found.refused
    first = take_out(parts)
    assert first.count("\n") == 1 + found.taken["active"] + found.taken["pending"] + found.taken["ended"]
    _forget_all(parts)
    moved = bring(parts, first, terms=Terms())
    assert (moved.format, moved.refused, moved.left_alone) == (Format.OURS, {}, {})
    assert take_out(parts) == first


def _forget_all(parts: Parts) -> None:
    with parts.database.work() as work:
        for table in (Consent, Subscription, Subscriber, Suppression):
            work.session.query(table).delete()


@given(st.binary(max_size=400), st.sampled_from([b"", b"email\n", MAILCHIMP.encode(), b"email,state,confirmed_at\n"]))
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_imported_or_told(parts: Parts, data: bytes, header: bytes) -> None:
    try:
        found = bring(parts, header + data, terms=KNOWN)
    except NewsletterError:  # said in one sentence; anything else would be a traceback
        return
    assert found.taken.total() + found.left_alone.total() + found.refused.total() == found.rows


def peak(parts: Parts, rows: int) -> tuple[int, int]:
    """The memory that an import and an export of so many rows take at most."""
    text = "email,confirmed_at\n" + "".join(f"r{number}x{rows}@y.ma,{JUNE}\n" for number in range(rows))
    data = text.encode()
    tracemalloc.start()
    bring(parts, data)
    imported = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    kept = tracemalloc.get_traced_memory()[0]
    with open("/dev/null", "w", newline="") as out:  # noqa: PTH123 (a file that keeps nothing)
        export_subscribers(parts.database, to=out)
    exported = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return imported, exported - kept


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(parts: Parts) -> None:
    peak(parts, 1000)  # what is loaded once
    small_in, small_out = peak(parts, 3000)
    large_in, large_out = peak(parts, 30_000)
    assert large_in < 1.5 * small_in
    assert large_out < 1.5 * small_out


def test_the_watermark_is_that_of_the_moment(parts: Parts) -> None:
    with parts.database.work() as work:
        next_sequences(work, 3)
        assert current_sequence(work) == 3
    bring(parts, "a@y.ma\n", terms=KNOWN)
    with parts.database.work() as work:
        next_sequences(work, 2)
    bring(parts, "b@y.ma\n", terms=KNOWN)
    assert [rows_of(parts, address)[0].watermark for address in ("a@y.ma", "b@y.ma")] == [3, 5]
