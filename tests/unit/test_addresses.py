"""Addresses: what is mailed is what was typed, and two mailboxes are never one person."""

from __future__ import annotations

import email.policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.addresses import masked, read_address
from newsletter.base.errors import InvalidInput
from newsletter.mail.headers import encode_mailbox


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "salma",
        "salma@",
        "@example.org",
        "a b@example.org",
        "a@example",
        '"quoted"@example.org',
        "=?utf-8?q?a=0ABcc=3A?=@example.org",
        "a\r\nBcc: b@example.org",
        "\ufffd@example.org",
        "＠@example.org",
        "é" * 40 + "@example.org",
        "a" * 65 + "@example.org",
        "\u0390" * 100 + "@example.org",
        "a@" + "b." * 130 + "org",
    ],
)
def test_what_nobody_can_be_reached_at_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput):
        read_address(typed)


def test_a_domain_is_kept_as_a_labels_and_compared_without_its_case() -> None:
    address = read_address("  Salma@ÉCOLE.ma ")
    assert (address.mailed, address.key) == ("Salma@xn--cole-9oa.ma", "salma@xn--cole-9oa.ma")


def test_two_mailboxes_are_never_one_person() -> None:
    assert read_address("ß@example.org").key != read_address("ss@example.org").key


def test_a_masked_address_is_known_by_its_owner_and_told_to_nobody_else() -> None:
    assert masked("salma.bennani@example.org") == "s…i@example.org"
    assert masked("al@example.org") == "a…@example.org"


@given(st.text(max_size=80) | st.emails())
def test_whatever_is_typed_is_refused_or_stands_alone_in_a_header(typed: str) -> None:
    try:
        address = read_address(typed)
    except InvalidInput:
        return
    assert len(address.key) <= 254
    if not address.needs_smtputf8:
        read = BytesParser(policy=email.policy.default).parsebytes(encode_mailbox("To", "", address.mailed) + b"\r\n")
        assert [str(each) for each in read["To"].addresses] == [address.mailed]
