"""A server may answer anything at any time: no mail is lost, none is doubled, and none fails for a fault of ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Relay
from smtp_anything import GOOD, OFFERS, OFFERS_WITHOUT_PIPELINING, AnythingServer, Say

LIMITS = Limits(connect=1, command=0.1, dot=0.1, deadline=0.3)
SOME_REPLIES = (
    b"250 2.0.0 ok\r\n",
    b"250-more\r\n250 last\r\n",
    b"354 go on\r\n",
    b"220 again\r\n",
    b"421 4.3.2 bye\r\n",
    b"421 4.7.0 too fast\r\n",
    b"450 4.7.1 later\r\n",
    b"452 4.3.1 full\r\n",
    b"500 what\r\n",
    b"503 5.5.1 order\r\n",
    b"550 5.1.1 nobody\r\n",
    b"550 5.7.1 not you\r\n",
    b"554 5.5.1 no valid recipients\r\n",
    b"250-one\r\n550 other\r\n",
    b"250 without an end",
    b"\r\n",
    b"\x00\xff\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"",
)
replies = st.one_of(
    st.sampled_from(SOME_REPLIES),
    st.builds(lambda code, text: b"%d %s\r\n" % (code, text), st.integers(200, 599), st.binary(max_size=20)),
    st.binary(max_size=40),
)
FAULTS = (
    *(Say(times=0, end=end) for end in ("", "close", "reset")),
    *(Say(times=2, end=end) for end in ("", "close")),
    *(Say(reply) for reply in SOME_REPLIES),
    *(Say(reply, end="close") for reply in SOME_REPLIES[:3]),
)
any_faults = st.builds(
    Say,
    instead=st.one_of(st.none(), replies),
    times=st.sampled_from((1, 1, 1, 1, 0, 2, 3)),
    split=st.booleans(),
    end=st.sampled_from(("", "", "", "", "close", "reset")),
)
faults = st.one_of(st.sampled_from(FAULTS), st.sampled_from(FAULTS), any_faults)
few_faults = st.lists(st.one_of(st.just(GOOD), st.just(GOOD), st.just(GOOD), faults), max_size=16)
# after an opening of two replies, a fault at the place of one reply; or faults all over
one_fault = st.builds(lambda place, fault: [GOOD] * (2 + place) + [fault], st.integers(0, 9), faults)
plans = st.lists(st.one_of(one_fault, st.builds(lambda rest: [GOOD, GOOD, *rest], few_faults), few_faults), max_size=4)


def message(key: int, size: int = 10) -> Message:
    data = b"Message-ID: <%d@x>\r\n\r\n" % key + (b"x" * 76 + b"\r\n") * size
    return Message(key, "b@lettre.example.ma", f"r{key}@example.org", (data,), is_checked=True)


def hold_to_the_log(server: AnythingServer, verdicts: list[Verdict], keys: range) -> None:
    assert sorted(verdict.key for verdict in verdicts) == list(keys)
    for verdict in verdicts:
        answers = server.answers(verdict.key)
        assert len(answers) <= 1, f"{len(answers)} copies of {verdict}"
        if verdict.outcome is Outcome.ACCEPTED:
            assert any(re.search(rb"^2\d\d[ \r]", answer, re.MULTILINE) for answer in answers), verdict
        elif verdict.outcome is Outcome.UNCERTAIN:
            assert answers or b"354" in server.said(), verdict  # it may have left, and nobody read it
        elif answers:  # it was all there: only a refusal that came after it says no
            assert verdict.code is not None, verdict
            assert 400 <= verdict.code < 600, verdict
            assert b"%d" % verdict.code in answers[0], verdict
        if verdict.outcome is Outcome.FAILED:
            assert verdict.code is not None, verdict
            assert b"%d" % verdict.code in server.said(), verdict
            assert 500 <= verdict.code < 600, verdict


def hold_to_it(plans: list[list[Say]], offers: str, connections: int) -> None:
    with AnythingServer(plans, offers) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=connections)
        with SmtpBackend(relay).open() as channel:
            first = send_all(channel, [message(key) for key in range(5)])
            second = send_all(channel, [message(key) for key in range(5, 8)])
    hold_to_the_log(server, first + second, range(8))


offered = st.sampled_from((OFFERS, OFFERS, OFFERS_WITHOUT_PIPELINING))


@settings(max_examples=50, deadline=None)
@given(plans, offered, st.integers(1, 3))
def test_whatever_a_server_says_each_mail_has_one_verdict_that_the_wire_bears_out(
    plans: list[list[Say]], offers: str, connections: int
) -> None:
    hold_to_it(plans, offers, connections)


@pytest.mark.slow
@settings(max_examples=2_500, deadline=None)
@given(plans, offered, st.integers(1, 3))
def test_whatever_a_server_says_for_minutes_each_mail_has_one_verdict_that_the_wire_bears_out(
    plans: list[list[Say]], offers: str, connections: int
) -> None:
    hold_to_it(plans, offers, connections)


@settings(max_examples=15, deadline=None)
@given(plan=few_faults, size=st.sampled_from((1_000, 20_000)))
def test_the_same_holds_for_mails_that_no_buffer_takes_at_once(plan: list[Say], size: int) -> None:
    with AnythingServer([[GOOD, GOOD, *plan]]) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=2)
        with SmtpBackend(relay).open() as channel:
            verdicts = send_all(channel, [message(key, size) for key in range(3)])
    hold_to_the_log(server, verdicts, range(3))
