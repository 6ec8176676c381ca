"""Who wrote a file, and what its rows say: listmonk, Mailchimp, ourselves, or a plain list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.exchange.cells import guard, moment_cell, read_moment, unguard
from newsletter.subscriptions.exchange.formats import OURS, Format, Said, Unreadable, recognise
from newsletter.subscriptions.models import SubscriptionState

LISTMONK = "uuid,email,name,attributes,status,created_at,updated_at"
_BEFORE = (
    "Email Address,First Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,GMTOFF,DSTOFF,TIMEZONE,CC,"
    "REGION"
)
SUBSCRIBED = f"{_BEFORE},LAST_CHANGED,LEID,EUID,NOTES,TAGS"
UNSUBSCRIBED = (
    f"{_BEFORE},UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER,LEID,EUID,NOTES,TAGS"
)
CLEANED = f"{_BEFORE},CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID,LEID,EUID,NOTES,TAGS"
JUNE = datetime(2024, 6, 1, 10, 0, tzinfo=UTC)


def said(header: str, file_name: str = "file.csv", **cells: str) -> Said:
    """What a row says whose other cells are empty."""
    columns = header.split(",")
    how, is_header = recognise(columns, named=None, file_name=file_name)
    assert is_header
    assert not set(cells) - set(columns)
    return how.said([cells.get(name, "") for name in columns])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (",".join(OURS), Format.OURS),
        (LISTMONK, Format.LISTMONK),
        (SUBSCRIBED, Format.MAILCHIMP),
        (UNSUBSCRIBED, Format.MAILCHIMP),
        (CLEANED, Format.MAILCHIMP),
        ("email", Format.PLAIN),
        ("Nom,Adresse e-mail", Format.PLAIN),
        ("E-mail;", Format.PLAIN),
        ("البريد الإلكتروني", Format.PLAIN),
    ],
)
def test_a_header_says_who_wrote_the_file(header: str, expected: Format) -> None:
    how, is_header = recognise(header.replace(";", ",").split(","), named=None, file_name="")
    assert (how.format, is_header) == (expected, True)


def test_a_list_may_have_no_header() -> None:
    how, is_header = recognise(["x@y.ma", "whatever"], named=None, file_name="")
    assert (how.format, is_header) == (Format.PLAIN, False)
    assert how.said(["x@y.ma", "whatever"]) == Said("x@y.ma")


def test_names_and_all_else_of_a_person_are_left_out() -> None:
    how, _ = recognise(["uuid", "email", "name", "attributes", "status"], named=None, file_name="")
    assert how.left_out == ["uuid", "name", "attributes"]


@pytest.mark.parametrize("header", ["name,phone", "status"])
def test_a_file_without_addresses_is_refused_or_a_list_of_bad_ones(header: str) -> None:
    columns = header.split(",")
    if len(columns) > 1:
        with pytest.raises(InvalidInput, match="no column holds addresses"):
            recognise(columns, named=None, file_name="")
    else:
        assert recognise(columns, named=None, file_name="")[1] is False


def test_a_column_that_may_say_who_left_is_never_passed_over() -> None:
    with pytest.raises(InvalidInput, match="status"):
        recognise(["email", "status"], named=None, file_name="")
    assert recognise(["email", "status"], named=Format.PLAIN, file_name="")[0].format is Format.PLAIN


def test_a_format_that_is_named_must_fit() -> None:
    for named in (Format.OURS, Format.MAILCHIMP, Format.LISTMONK):
        with pytest.raises(InvalidInput, match="has a column"):
            recognise(["email", "name"], named=named, file_name="")


def test_listmonk_says_who_is_enabled_and_who_is_blocklisted() -> None:
    moments = {"created_at": "2024-06-01 10:00:00.123456 +0000 UTC", "updated_at": "2024-06-01 12:00:00 +0200 CEST"}
    enabled = said(LISTMONK, email="x@y.ma", status="enabled", **moments)
    assert (enabled.state, enabled.created_at) == (None, JUNE.replace(microsecond=123456))
    blocked = said(LISTMONK, email="x@y.ma", status="blocklisted", **moments)
    assert (blocked.closes, blocked.ended_at) == (SuppressionReason.STAFF, JUNE)
    assert said(LISTMONK, email="x@y.ma", status="disabled").not_for_us


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("confirmed", SubscriptionState.ACTIVE),
        ("unconfirmed", SubscriptionState.PENDING),
        ("unsubscribed", SubscriptionState.ENDED),
    ],
)
def test_listmonk_may_say_the_state_of_the_subscription(status: str, state: SubscriptionState) -> None:
    row = said(f"{LISTMONK},subscription_status", email="x@y.ma", status="enabled", subscription_status=status)
    assert row.state is state


def test_mailchimp_says_when_somebody_confirmed() -> None:
    row = said(
        SUBSCRIBED,
        **{"Email Address": "x@y.ma", "OPTIN_TIME": "2024-06-01 09:59:00", "CONFIRM_TIME": "2024-06-01 10:00:00"},
    )
    assert (row.state, row.confirmed_at, row.created_at) == (None, JUNE, JUNE.replace(hour=9, minute=59))


def test_mailchimp_says_who_left_and_whom_mail_does_not_reach() -> None:
    left = said(UNSUBSCRIBED, **{"Email Address": "x@y.ma", "UNSUB_TIME": "2024-06-01 10:00:00"})
    assert (left.state, left.ended_at) == (SubscriptionState.ENDED, JUNE)
    cleaned = said(CLEANED, **{"Email Address": "x@y.ma", "CLEAN_TIME": "2024-06-01 10:00:00"})
    assert (cleaned.closes, cleaned.ended_at) == (SuppressionReason.HARD_BOUNCE, JUNE)


@pytest.mark.parametrize(
    ("name", "field"),
    [("unsubscribed_email_audience_export_1.csv", "state"), ("cleaned_email_audience_export_1.csv", "closes")],
)
def test_the_name_of_mailchimps_file_says_it_too(name: str, field: str) -> None:
    assert getattr(said(SUBSCRIBED, name, **{"Email Address": "x@y.ma"}), field)
    assert said(SUBSCRIBED, "nonsubscribed_email_audience_export_1.csv", **{"Email Address": "x@y.ma"}).not_for_us


@pytest.mark.parametrize("cells", [["x@y.ma"], ["x@y.ma", "active", "extra"]])
def test_a_row_with_too_few_or_too_many_columns_is_told(cells: list[str]) -> None:
    how, _ = recognise(["email", "state"], named=None, file_name="")
    with pytest.raises(Unreadable, match=r"columns? where the header has 2"):
        how.said(cells)
    assert how.said(["x@y.ma", "active", "", " "]).state is SubscriptionState.ACTIVE


@given(st.text())
def test_a_guard_is_taken_off_exactly_once(cell: str) -> None:
    assert unguard(guard(cell)) == cell
    assert not guard(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("cell", ["=1+1", "+x@y.ma", "-2", "@sum", "\tx", "\rx", "'=x"])
def test_a_formula_is_guarded(cell: str) -> None:
    assert guard(cell) == f"'{cell}"


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1990 <= moment.year < 2200))
def test_a_moment_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert read_moment(moment_cell(moment)) == moment


@given(st.one_of(st.text(), st.from_regex(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?( [+-]\d{4})?)?")))
def test_what_is_no_moment_is_told(text: str) -> None:
    try:
        moment = read_moment(text)
    except ValueError:
        return
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize("text", ["01/06/2024", "2024-13-01", "2024-06-31", "1985-01-01", "soon", "2024-06-01 25:00"])
def test_moments_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_moment(text)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8), st.lists(st.text(max_size=12), max_size=9))
def test_any_header_and_row_are_read_or_told(header: list[str], row: list[str]) -> None:
    try:
        how, _ = recognise(["email", *header], named=None, file_name="")
        how.said(row)
    except (InvalidInput, Unreadable):
        return
