"""A reader's mail, spliced, is octet for octet what the slow and obvious way builds."""

from __future__ import annotations

import base64
import email.policy
import hmac
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from newsletter.base.errors import InvalidInput
from newsletter.base.links import Links
from newsletter.base.tokens import Tokens, base32
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.letters import (
    Letter,
    Letterhead,
    digest_letter,
    message_to,
    request_letter,
    transactional_headers,
)
from newsletter.mail.envelope import address_problem, data_problem
from newsletter.mail.headers import date_header, encode_date, encode_mailbox, encode_structured
from newsletter.mail.port import Message
from newsletter.mail.template import compile_message, marker

LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
SENDERS = ("lettre@example.ma", "bonjour@example.ma", "aide@example.ma")
HEAD = Letterhead("hebdo", "L’hebdo", "Ministère", "fr", *SENDERS, "lettre.example.ma", "hebdo.list-id.example.ma")
BLANKS = {"unsubscribe": LINKS.unsubscribe_width, "manage": LINKS.manage_width}
BODY = f"{LINKS.unsubscribe(marker('unsubscribe', 45))}\n.\n{LINKS.manage(marker('manage', 45))}\n"
MESSAGE = compile_message([("Subject", "À la une")], BODY, f"<p>{BODY}</p>", BLANKS)
DIGEST = digest_letter(HEAD, LINKS, MESSAGE)
REQUEST = request_letter(HEAD, LINKS, compile_message(transactional_headers(HEAD, subject="x", kind="y"), "", "", {}))

numbers = st.integers(0, 2**48 - 1)
moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(max_size=30)
local_parts = st.text(st.sampled_from("abzABZ059.!#$%&'*+-/=?^_`{|}~é"), min_size=1, max_size=70)
domains = st.lists(st.text(st.sampled_from("abz059-A"), min_size=1, max_size=70), min_size=1, max_size=5).map(".".join)
addresses = st.one_of(
    st.emails(), st.builds("{}@{}".format, local_parts, domains), st.builds("{}@{}".format, texts, texts), texts
)


def token_slowly(keys: list[str], purpose: str, payload: bytes) -> str:
    def key(salt: str) -> bytes:
        return Signer(list(reversed(keys)), salt=salt, digest_method=sha256).derive_key(keys[0])

    mac = hmac.new(key(f"newsletter.{purpose}"), payload, sha256).digest()[:16]
    veil = hmac.new(key(f"newsletter.{purpose}.veil"), mac, sha256).digest()
    veiled = bytes(each ^ other for each, other in zip(payload, veil, strict=False))
    return base64.b32encode(veiled + mac).decode().rstrip("=").lower()


def spliced(
    letter: Letter, address: str, key: int = 12, moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)
) -> Message:
    unsubscribe, manage, bounce = LINKS.digest_tokens(key, 9, 7)
    return message_to(
        Claimed(key, 7, 8, 9, 10, 0, "other"),
        letter=letter,
        address=address,
        needs_smtputf8=not address.isascii(),
        bounce=bounce,
        blanks={"unsubscribe": unsubscribe, "manage": manage} if letter is DIGEST else {},
        date=encode_date(moment),
    )


def parsed(message: Message) -> EmailMessage:
    return BytesParser(policy=email.policy.default).parsebytes(message.data)


@given(st.binary(max_size=60).map(lambda octets: octets[: len(octets) // 5 * 5]))
def test_letters_are_those_of_base32(octets: bytes) -> None:
    assert base32(octets) == base64.b32encode(octets).lower()


@given(
    st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=3), st.text(max_size=10), numbers, numbers, moments
)
def test_a_token_is_what_hmac_and_base32_of_the_standard_library_make(
    keys: list[str], purpose: str, one: int, other: int, moment: datetime
) -> None:
    payload = one.to_bytes(6) + other.to_bytes(6)
    plain = Tokens(keys, purpose=purpose, numbers=2)
    assert plain.make(one, other) == token_slowly(keys, purpose, payload)
    timed = Tokens(keys, purpose=purpose, numbers=1, timed=True)
    made = timed.make(one, at=moment)
    assert made == token_slowly(keys, purpose, one.to_bytes(6) + int(moment.timestamp()).to_bytes(5))
    assert (len(made), len(plain.make(one, other))) == (timed.width, plain.width)
    assert timed.read(made.upper()).numbers == (one,)
    assert plain.read(token_slowly(keys[-1:], purpose, payload)).numbers == (one, other)


@given(numbers, numbers, numbers)
def test_the_tokens_made_together_are_those_made_one_by_one(delivery: int, subscription: int, batch: int) -> None:
    assert [token.decode() for token in LINKS.digest_tokens(delivery, subscription, batch)] == [
        LINKS.unsubscribe_token(subscription, batch),
        LINKS.manage_token(subscription, batch),
        LINKS.bounce_token(delivery),
    ]


@pytest.mark.parametrize("number", [-1, 2**48])
def test_a_number_that_a_token_cannot_hold_is_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        LINKS.unsubscribe_token(number, 1)


@given(st.emails(), numbers, moments)
def test_a_readers_own_headers_are_what_the_encoders_write_one_by_one(address: str, key: int, moment: datetime) -> None:
    token, bounce = LINKS.unsubscribe_token(9, 7), LINKS.bounce_token(key)
    ways_out = f"<https://lettre.example.ma/u/{token}>, <mailto:unsub+{token}@lettre.example.ma>"
    common = [
        encode_mailbox("To", "", address),
        encode_structured("Message-ID", f"<{bounce}@lettre.example.ma>"),
        date_header(moment),
    ]
    digest, request = spliced(DIGEST, address, key, moment), spliced(REQUEST, address, key, moment)
    assert digest.parts[0] == b"".join([*common, encode_structured("List-Unsubscribe", ways_out)])
    assert request.parts[0] == b"".join(common)
    assert digest.sender == request.sender == f"b+{bounce}@lettre.example.ma"
    assert (digest.key, digest.recipient) == (key, address)


@given(st.emails(), numbers, moments)
def test_the_parser_reads_back_what_was_meant(address: str, key: int, moment: datetime) -> None:
    mail = parsed(spliced(DIGEST, address, key, moment))
    assert not mail.defects
    assert mail["To"].addresses[0].addr_spec == address
    assert mail["Date"].datetime == moment.replace(microsecond=0)
    assert LINKS.read_bounce(mail["Message-ID"].strip("<>").partition("@")[0]) == key
    https, mailto = (way.strip("<>") for way in mail["List-Unsubscribe"].split(", "))
    for token in (https.rpartition("/")[2], mailto.partition("+")[2].partition("@")[0].upper()):
        assert LINKS.read_unsubscribe(token).subscription_id == 9
    for part in mail.iter_parts():
        body = part.get_content()
        assert https in body
        assert LINKS.manage(LINKS.manage_token(9, 7)) in body


@given(addresses)
def test_an_address_is_written_as_it_is_or_refused_and_never_breaks_a_line(address: str) -> None:
    if address_problem(address, smtputf8=not address.isascii()) or "=?" in address:
        with pytest.raises(InvalidInput):
            spliced(DIGEST, address)
        return
    message = spliced(DIGEST, address)
    assert message.parts[0].startswith(b"To: " + address.encode() + b"\r\nMessage-ID: <")
    assert message.parts[0].count(b"\r\n") == 5
    assert data_problem(message.data) is None
    assert max(map(len, message.data.split(b"\r\n"))) <= 998
    assert b"\n." not in message.data
    assert message.is_checked == message.data.isascii() == (not message.smtputf8) == address.isascii()


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c\r\nBcc: e@x.y",
        "a@b.c\n",
        "a b@c.d",
        "a@b..c",
        "<a@b.c>",
        "a@b.c, d@e.f",
        "a@.b",
        "a@b.",
        "@b.c",
        "a@",
        "",
        "a\0@b.c",
        "é@b.c\r\n",
        '"a b"@c.d',
        "x" * 65 + "@b.c",
        "a@" + "b." * 130 + "c",
        "=?utf-8?q?a?=@b.c",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spliced(DIGEST, address)
    assert caught.value.code == "address_invalid"


def test_an_address_beyond_ascii_is_refused_where_nobody_asks_for_smtputf8() -> None:
    with pytest.raises(InvalidInput):
        message_to(
            Claimed(1, 7, 8, 9, 10, 0, "other"),
            letter=REQUEST,
            address="é@example.org",
            needs_smtputf8=False,
            bounce=b"b" * LINKS.bounce_width,
            blanks={},
            date=b"",
        )


def test_a_percent_sign_in_an_address_of_ours_stays_one() -> None:
    links = Links(base_url="https://lettre.example.ma/%25s", keys=["k" * 40])
    unsubscribe, manage, bounce = links.digest_tokens(1, 9, 7)
    message = message_to(
        Claimed(1, 7, 8, 9, 10, 0, "other"),
        letter=digest_letter(HEAD, links, MESSAGE),
        address="a@b.c",
        needs_smtputf8=False,
        bounce=bounce,
        blanks={"unsubscribe": unsubscribe, "manage": manage},
        date=encode_date(datetime(2026, 1, 1, tzinfo=UTC)),
    )
    assert b"<https://lettre.example.ma/%25s/u/" + unsubscribe in message.parts[0]
