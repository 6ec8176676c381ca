"""Importing subscribers: what is taken, what is left alone, what is refused; and twice is once."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from exchange_parts import FRENCH, JUNE, KNOWN, MAILCHIMP, bring, close, consents_of, counts, leave, rows_of, take_out
from sqlalchemy import select

from factories import make_newsletter, make_reader
from newsletter.base.addresses import address_hash
from newsletter.base.clock import SetClock
from newsletter.base.errors import InvalidInput
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import next_sequences
from newsletter.subscribers.models import Subscriber, Suppression, SuppressionReason
from newsletter.subscriptions.exchange import importing
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.formats import Format
from newsletter.subscriptions.exchange.importing import Source, Summary, Told, import_subscribers
from newsletter.subscriptions.models import (
    ConsentKind,
    SubscriptionState,
)


@pytest.fixture(autouse=True)
def _newsletter(parts: Parts) -> None:
    make_newsletter(parts)


def test_a_confirmed_row_is_active_from_its_confirmation_with_its_evidence(parts: Parts) -> None:
    with parts.database.work() as work:
        next_sequences(work, 7)
    found = bring(parts, f"{MAILCHIMP}salma@y.ma,2,2024-06-01 09:00:00,{JUNE},1,a\n", name="subscribed_1.csv")
    assert (found.format, found.taken) == (Format.MAILCHIMP, {"active": 1})
    [subscription] = rows_of(parts, "salma@y.ma")
    assert subscription.state is SubscriptionState.ACTIVE
    assert subscription.watermark == 7  # nothing old is sent
    assert subscription.activated_at == datetime(2024, 6, 1, 10, 0, tzinfo=UTC)
    assert subscription.frequency is Frequency.WEEKLY
    [consent] = consents_of(parts, subscription)
    assert (consent.kind, consent.language) == (ConsentKind.IMPORTED, "fr")
    assert consent.evidence == {
        "system": "Mailchimp",
        "file": "subscribed_1.csv",
        "line": 2,
        "kind": "confirmed",
        "at": "2024-06-01T10:00:00Z",
        "statement": None,
    }


def test_without_evidence_nobody_becomes_active(parts: Parts) -> None:
    told: list[Told] = []
    found = bring(parts, "salma@y.ma\namine@y.ma\n", told=told)
    assert (found.taken, found.refused.total()) == ({}, 2)
    assert "no evidence of consent" in told[0].reason
    assert counts(parts) == [0, 0, 0, 0, 0]


def test_what_the_operator_says_is_evidence_and_kept(parts: Parts) -> None:
    assert bring(parts, "salma@y.ma\n", terms=KNOWN).taken == {"active": 1}
    [subscription] = rows_of(parts, "salma@y.ma")
    [consent] = consents_of(parts, subscription)
    assert consent.evidence is not None
    assert consent.evidence["statement"] == KNOWN.evidence
    assert consent.evidence["at"] is None


def test_an_import_sends_nothing(parts: Parts) -> None:
    pending = Terms(languages=["fr"], state=SubscriptionState.PENDING)
    bring(parts, "salma@y.ma\n", terms=KNOWN)
    bring(parts, "amine@y.ma\n", terms=pending)
    assert counts(parts) == [2, 2, 2, 0, 0]


def test_the_same_import_twice_is_once(parts: Parts) -> None:
    text = (
        "address,state,confirmed_at,ended_at\n"
        f"a@y.ma,active,{JUNE},\nb@y.ma,pending,,\nc@y.ma,ended,,{JUNE}\nd@y.ma,ended,,\nA@Y.ma,active,{JUNE},\n"
    )
    first = bring(parts, text)
    before = counts(parts)
    again = bring(parts, text)
    assert first.taken == {"active": 1, "pending": 1, "ended": 2}
    assert (again.taken, again.left_alone.total(), again.refused) == ({}, 5, {})
    assert counts(parts) == before


@pytest.mark.parametrize("slice_of", [1, 2, 1000])
def test_a_dry_run_counts_the_same_and_changes_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, slice_of: int
) -> None:
    monkeypatch.setattr(importing, "SLICE", slice_of)
    make_reader(parts, "here@y.ma")
    close(parts, "closed@y.ma", SuppressionReason.ERASURE)
    text = (
        "address,state,confirmed_at,ended_at\n"
        f"a@y.ma,active,{JUNE},\na@y.ma,active,{JUNE},\nbad,active,{JUNE},\nhere@y.ma,active,{JUNE},\n"
        f"closed@y.ma,active,{JUNE},\na@y.ma,ended,,2025-01-01\na@y.ma,active,{JUNE},\na@y.ma,active,2025-02-01,\n"
    )
    before, dry_told, told = counts(parts), list[Told](), list[Told]()
    dry = bring(parts, text, dry_run=True, told=dry_told)
    assert counts(parts) == before
    real = bring(parts, text, told=told)
    assert (dry.taken, dry.left_alone, dry.refused) == (real.taken, real.left_alone, real.refused)
    assert dry_told == told
    assert real.taken == {"active": 2, "ended here": 1}
    assert [each.state for each in rows_of(parts, "a@y.ma")] == [SubscriptionState.ENDED, SubscriptionState.ACTIVE]


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_a_closed_address_is_left_alone_and_not_kept_anew(parts: Parts, reason: SuppressionReason) -> None:
    close(parts, "salma@y.ma", reason)
    found = bring(parts, f"address,state,confirmed_at,ended_at\nsalma@y.ma,active,{JUNE},\nsalma@y.ma,ended,,{JUNE}\n")
    assert found.left_alone == {f"the address is closed: {reason.replace('_', ' ')}": 2}
    assert counts(parts)[:2] == [0, 0]


def test_who_is_subscribed_already_is_left_alone(parts: Parts) -> None:
    reader = make_reader(parts, "salma@y.ma", languages=("ar",))
    assert bring(parts, f"email,confirmed_at\nSalma@Y.ma,{JUNE}\n").left_alone == {"has a subscription already": 1}
    [subscription] = rows_of(parts, "salma@y.ma")
    assert (subscription.id, subscription.choice_id) == (reader.id, reader.choice_id)


def test_who_left_after_the_consent_is_left_alone_even_when_the_address_is_gone(parts: Parts, clock: SetClock) -> None:
    leave(parts, make_reader(parts, "salma@y.ma"))
    left_at = clock.now()
    with parts.database.work() as work:
        person = work.session.scalars(select(Subscriber)).one()
        person.address = person.address_key = None
    clock.advance(timedelta(days=2))
    assert bring(parts, f"email,confirmed_at\nsalma@y.ma,{JUNE}\n").left_alone == {"left after this consent": 1}
    assert bring(parts, "salma@y.ma\n", terms=KNOWN).left_alone == {"left after this consent": 1}
    since = left_at + timedelta(days=1)
    assert bring(parts, f"email,confirmed_at\nsalma@y.ma,{since.isoformat()}\n").taken == {"active": 1}


def test_who_left_elsewhere_is_kept_as_ended_and_not_brought_back(parts: Parts) -> None:
    header = "Email Address,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,UNSUB_TIME,LEID,EUID\n"
    left = bring(parts, f"{header}salma@y.ma,2,,{JUNE},2024-07-01 10:00:00,1,a\n")
    assert left.taken == {"ended": 1}
    [subscription] = rows_of(parts, "salma@y.ma")
    assert subscription.state is SubscriptionState.ENDED
    assert subscription.ended_at == datetime(2024, 7, 1, 10, 0, tzinfo=UTC)
    assert bring(parts, f"{MAILCHIMP}salma@y.ma,2,,{JUNE},1,a\n").left_alone == {"left after this consent": 1}


@pytest.mark.parametrize(
    ("confirmed_at", "state"),
    [("2024-06-01 09:59:59", "ended"), (JUNE, "ended"), ("2024-06-01 10:00:01", "active")],
)
def test_only_a_consent_later_than_leaving_brings_somebody_back(parts: Parts, confirmed_at: str, state: str) -> None:
    bring(parts, f"email,state,ended_at\nsalma@y.ma,ended,{JUNE}\n")
    bring(parts, f"email,confirmed_at\nsalma@y.ma,{confirmed_at}\n")
    assert rows_of(parts, "salma@y.ma")[-1].state == state


@pytest.mark.parametrize("terms", [FRENCH, KNOWN])
def test_who_left_elsewhere_after_an_import_is_ended_here(parts: Parts, terms: Terms) -> None:
    bring(parts, f"email,confirmed_at\nsalma@y.ma,{JUNE if terms is FRENCH else ''}\n", terms=terms)
    text = "email,state,ended_at\nsalma@y.ma,ended,2025-01-01\n"
    assert bring(parts, text).taken == {"ended here": 1}
    [subscription] = rows_of(parts, "salma@y.ma")
    assert subscription.state is SubscriptionState.ENDED
    assert [each.kind for each in consents_of(parts, subscription)] == [ConsentKind.IMPORTED, ConsentKind.LEFT]
    assert bring(parts, text).left_alone == {"ended already": 1}


def test_who_left_elsewhere_and_then_subscribed_here_stays(parts: Parts) -> None:
    make_reader(parts, "salma@y.ma")
    found = bring(parts, f"email,state,ended_at\nsalma@y.ma,ended,{JUNE}\n")
    assert found.left_alone == {"subscribed since then": 1}


def test_who_left_elsewhere_is_ended_whatever_the_row_wished(parts: Parts) -> None:
    found = bring(parts, f"email,state,ended_at,languages,topics\nsalma@y.ma,ended,{JUNE},de,no-such\n", terms=Terms())
    assert found.taken == {"ended": 1}


def test_blocklisted_and_cleaned_addresses_are_closed(parts: Parts) -> None:
    listmonk = "uuid,email,name,attributes,status,created_at,updated_at\n"
    bring(parts, f'{listmonk}u,a@y.ma,A,"{{}}",blocklisted,{JUNE},{JUNE}\n')
    cleaned = "Email Address,MEMBER_RATING,CONFIRM_TIME,CLEAN_TIME,LEID,EUID\n"
    assert bring(parts, f"{cleaned}b@y.ma,2,{JUNE},{JUNE},1,a\n").taken == {"address closed": 1}
    with parts.database.reading() as work:
        found = {each.address_hash: each.reason for each in work.session.scalars(select(Suppression))}
    assert [found[address_hash(parts.address_key, each)] for each in ("a@y.ma", "b@y.ma")] == [
        SuppressionReason.STAFF,
        SuppressionReason.HARD_BOUNCE,
    ]
    assert counts(parts)[0] == 0  # a closed address is kept as a hash alone


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nobody,active,2024-01-01,fr,,", "not a mail address"),
        (",active,2024-01-01,fr,,", "no address"),
        ("x@y.ma,active,2024-01-01,fr,sport,", "unknown topic “sport”"),
        ("x@y.ma,active,2024-01-01,fr,me@else.ma,", "unknown topic"),
        ("x@y.ma,active,2024-01-01,de,,", "unknown language “de”"),
        ("x@y.ma,active,2024-01-01,fr,,hourly", "unknown frequency “hourly”"),
        ("x@y.ma,active,2024-01-01,fr,,monthly", "the newsletter does not come monthly"),
        ("x@y.ma,revived,2024-01-01,fr,,", "unknown state"),
        ("x@y.ma,active,2036-01-01,fr,,", "confirmed_at lies in the future"),
        ("x@y.ma,active,01/06/2024,fr,,", "confirmed_at is no moment such as 2026-11-30 08:00:00"),
        ("x@y.ma,active,2024-01-01,fr", "4 columns where the header has 6"),
        ("x@y.ma,active,2024-01-01,,,", "no language; see --language"),
    ],
)
def test_a_bad_row_is_told_by_its_number_and_the_good_ones_are_taken(parts: Parts, row: str, reason: str) -> None:
    told: list[Told] = []
    text = (
        f"address,state,confirmed_at,languages,topics,frequency\na@y.ma,active,{JUNE},fr,,\n{row}\n"
        f"b@y.ma,active,{JUNE},ar fr,regions,daily\n"
    )
    found = bring(parts, text, terms=Terms(), told=told)
    assert told == [Told(3, reason, is_refused=True)]
    assert found.taken == {"active": 2}
    assert "@" not in told[0].reason


def test_a_row_of_another_newsletter_is_left_alone(parts: Parts) -> None:
    make_newsletter(parts, slug="autre")
    make_reader(parts, "salma@y.ma", slug="autre")
    assert bring(parts, take_out(parts)).left_alone == {"of another newsletter": 1}


def test_a_file_that_is_no_list_is_refused_whole(parts: Parts) -> None:
    for text in ("", "\n\n", "name,phone\nx,1\n", b"PK\x03\x04"):
        with pytest.raises(InvalidInput):
            bring(parts, text)
    with pytest.raises(InvalidInput, match="does not speak"):
        bring(parts, "x@y.ma\n", terms=Terms(languages=["de"]))


def test_an_import_that_was_broken_off_is_mended_by_running_it_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "SLICE", 3)
    text = "email,confirmed_at\n" + "".join(f"r{number}@y.ma,{JUNE}\n" for number in range(10))

    def pull_the_plug(summary: Summary) -> None:
        if summary.rows == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_subscribers(
            parts.database,
            source=Source(io.BufferedReader(io.BytesIO(text.encode())), "r.csv"),  # type: ignore[arg-type]
            newsletter="hebdo",
            terms=FRENCH,
            address_key=parts.address_key,
            dry_run=False,
            tell=lambda _: None,
            progress=pull_the_plug,
        )
    assert counts(parts)[:3] == [6, 6, 6]
    again = bring(parts, text)
    assert (again.taken, again.left_alone) == ({"active": 4}, {"has a subscription already": 6})
    assert counts(parts)[:3] == [10, 10, 10]
