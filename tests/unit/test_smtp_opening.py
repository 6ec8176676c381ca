"""Greeting, TLS and login as a dialogue without a wire."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.port import Outcome
from newsletter.mail.providers.smtp.auth import NoChallenge, choose
from newsletter.mail.providers.smtp.opening import Decided, Offers, opening
from newsletter.mail.providers.smtp.parsing import Answer
from newsletter.mail.providers.smtp.relay import Login, Relay
from newsletter.mail.providers.smtp.replies import Phase

LOGIN = Login("user", "sécret")
RELAY = Relay("relay.example.ma", 25)
DONE = Answer(0, b"")  # a handshake


def talk(relay: Relay, *answers: tuple[int, bytes] | Answer) -> tuple[list[bytes], Offers | Decided]:
    """Return what was written, HANDSHAKE for one, and how it ended."""
    dialogue = opening(relay, "lettre.example.ma")
    step, written = next(dialogue), []
    try:
        for each in answers:
            written.append(b"HANDSHAKE" if step.is_handshake else step.octets)
            step = dialogue.send(each if isinstance(each, Answer) else Answer(*each))
    except StopIteration as done:
        return written, done.value
    except Decided as decided:
        return written, decided
    raise AssertionError(f"it still waits: {step}")


def test_what_the_server_offers_is_read() -> None:
    hello = b"relay.example.ma hello\nSIZE 1000\npipelining\nAUTH PLAIN LOGIN\nX-ODD"
    written, offers = talk(RELAY, (220, b"hi"), (250, hello))
    assert written == [b"", b"EHLO lettre.example.ma\r\n"]
    assert isinstance(offers, Offers)
    assert "PIPELINING" in offers
    assert "DSN" not in offers
    assert offers.most_octets == 1000
    assert offers.keywords["AUTH"] == "PLAIN LOGIN"


@pytest.mark.parametrize("size", ["", "0", "many", "9" * 30])
def test_a_size_that_says_nothing_is_no_limit(size: str) -> None:
    assert Offers({"SIZE": size}).most_octets is None


def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way_unless_more_is_wanted() -> None:
    written, offers = talk(RELAY, (220, b"hi"), (502, b"what"), (250, b"hello"))
    assert written[-1] == b"HELO lettre.example.ma\r\n"
    assert offers == Offers()
    for relay, reason in (
        (replace(RELAY, security="starttls"), "tls_refused"),
        (replace(RELAY, login=LOGIN), "auth_refused"),
    ):
        _, decided = talk(relay, (220, b"hi"), (500, b"what"), (250, b"hello"))
        assert isinstance(decided, Decided)
        assert decided.judgement.reason == reason
    _, decided = talk(replace(RELAY, is_lmtp=True), (220, b"hi"), (500, b"what"))
    assert isinstance(decided, Decided)


def test_after_starttls_what_was_offered_in_clear_text_is_forgotten() -> None:
    relay = replace(RELAY, security="starttls", login=LOGIN)
    written, decided = talk(
        relay, (220, b"hi"), (250, b"hello\nSTARTTLS\nAUTH PLAIN"), (220, b"go"), DONE, (250, b"hello\nSIZE")
    )
    assert written[2:] == [b"STARTTLS\r\n", b"HANDSHAKE", b"EHLO lettre.example.ma\r\n"]
    assert isinstance(decided, Decided)
    assert decided.judgement.reason == "auth_refused"


def test_tls_from_the_start_comes_before_every_word() -> None:
    written, offers = talk(replace(RELAY, security="tls"), DONE, (220, b"hi"), (250, b"hello"))
    assert written == [b"HANDSHAKE", b"", b"EHLO lettre.example.ma\r\n"]
    assert isinstance(offers, Offers)


def test_lmtp_says_lhlo() -> None:
    written, offers = talk(replace(RELAY, is_lmtp=True), (220, b"hi"), (250, b"hello\nPIPELINING"))
    assert written[1] == b"LHLO lettre.example.ma\r\n"
    assert isinstance(offers, Offers)


def log_in(relay: Relay, offered: bytes, *answers: tuple[int, bytes]) -> tuple[list[bytes], Offers | Decided]:
    written, end = talk(replace(relay, login=LOGIN), (220, b"hi"), (250, b"hello\nAUTH " + offered), *answers)
    return written[2:], end


def test_each_way_to_log_in_says_what_its_standard_asks() -> None:
    secret = "sécret".encode()
    written, end = log_in(RELAY, b"LOGIN PLAIN", (235, b"ok"))
    assert written == [b"AUTH PLAIN " + b64encode(b"\0user\0" + secret) + b"\r\n"]
    assert isinstance(end, Offers)

    written, end = log_in(RELAY, b"LOGIN", (334, b"VXNlcg=="), (334, b"UGFzcw=="), (235, b"ok"))
    assert written == [b"AUTH LOGIN\r\n", b64encode(b"user") + b"\r\n", b64encode(secret) + b"\r\n"]
    assert isinstance(end, Offers)

    challenge = b"<1896.697170952@postoffice.example.net>"
    written, end = log_in(RELAY, b"CRAM-MD5 LOGIN", (334, b64encode(challenge)), (235, b"ok"))
    assert written[0] == b"AUTH CRAM-MD5\r\n"
    assert b64decode(written[1]) == b"user " + hmac.new(secret, challenge, "md5").hexdigest().encode()
    assert isinstance(end, Offers)

    written, end = log_in(replace(RELAY, mechanism="xoauth2"), b"PLAIN XOAUTH2", (235, b"ok"))
    assert b64decode(written[0].split()[2]) == b"user=user\1auth=Bearer " + secret + b"\1\1"
    assert isinstance(end, Offers)


def test_the_example_of_the_cram_md5_standard_comes_out() -> None:
    exchange = choose(Login("tim", "tanstaaftanstaaf"), None, ["CRAM-MD5"])
    assert exchange is not None
    answer = exchange.answers[0](b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
    assert answer == b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
    with pytest.raises(NoChallenge):
        exchange.answers[0](b"no base64!")


def test_a_mechanism_of_the_set_up_is_never_replaced_by_another() -> None:
    assert choose(LOGIN, "xoauth2", ["PLAIN", "LOGIN"]) is None
    assert choose(LOGIN, None, ["XOAUTH2"]) is None  # a password is no token


def test_a_token_that_is_refused_with_a_reason_is_answered_so_that_the_refusal_comes() -> None:
    relay = replace(RELAY, mechanism="xoauth2")
    written, end = log_in(relay, b"XOAUTH2", (334, b"eyJzdGF0dXMiOiI0MDEifQ=="), (535, b"5.7.8 no"))
    assert written[-1] == b"\r\n"
    assert isinstance(end, Decided)
    assert (end.code, end.judgement.reason) == (535, "auth_refused")
    _, end = log_in(relay, b"XOAUTH2", (334, b"e30="), (235, b"come in"))
    assert isinstance(end, Decided)


answers = st.builds(Answer, st.integers(-1, 599), st.binary(max_size=40))
relays = st.builds(
    Relay,
    st.just("relay.example.ma"),
    st.just(25),
    st.sampled_from(("none", "starttls", "tls")),
    st.sampled_from((None, LOGIN)),
    mechanism=st.sampled_from((None, "plain", "login", "cram-md5", "xoauth2")),
    is_lmtp=st.booleans(),
)
helloes = st.sampled_from(
    [Answer(220, b"hi"), Answer(250, b"hello\nSTARTTLS\nAUTH PLAIN LOGIN CRAM-MD5 XOAUTH2"), Answer(334, b"YQ=="), DONE]
)


@given(relays, st.lists(st.one_of(helloes, helloes, answers), min_size=12, max_size=12))
def test_whatever_the_server_says_a_secret_leaves_only_where_it_may_and_the_end_is_offers_or_a_stop(
    relay: Relay, said: list[Answer]
) -> None:
    dialogue = opening(relay, "lettre.example.ma")
    step, is_encrypted = next(dialogue), False
    end: object = None
    try:
        for each in said:
            is_encrypted = is_encrypted or step.is_handshake
            if relay.security != "none" and not is_encrypted:
                assert step.phase not in {Phase.CHALLENGE, Phase.AUTH}
            step = dialogue.send(each)
    except StopIteration as done:
        end = done.value
    except Decided as decided:
        end = decided
    if isinstance(end, Decided):
        assert end.judgement.outcome is Outcome.STOP
        assert end.text.isprintable()
    else:
        assert isinstance(end, Offers)
        assert is_encrypted == (relay.security != "none")
