from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.port import Outcome
from newsletter.mail.providers.smtp.replies import GARBAGE, Break, Phase, Reply, judge, judge_break, one_line

SETTING_UP = (Phase.BANNER, Phase.EHLO, Phase.TLS, Phase.CHALLENGE, Phase.AUTH)
phases = st.sampled_from(Phase)
replies = st.builds(
    Reply,
    st.one_of(st.just(GARBAGE), st.integers(200, 599)),
    st.one_of(st.text(max_size=30), st.from_regex(r"#?[245]\.[0-9]{1,3}\.[0-9]{1,3} .{0,5}", fullmatch=True)),
)


@given(phases, replies)
def test_every_reply_has_a_verdict_that_fits_how_far_the_message_came(phase: Phase, reply: Reply) -> None:
    judgement = judge(phase, reply)
    if judgement is None:
        assert 200 <= reply.code < 400
        return
    assert judgement.outcome is not Outcome.ACCEPTED
    if phase in SETTING_UP:
        assert judgement.outcome is Outcome.STOP
    if judgement.outcome is Outcome.UNCERTAIN:
        assert phase is Phase.DOT
        assert not 400 <= reply.code < 600
    if phase is Phase.MAIL:  # nothing was said about the recipient yet
        assert judgement.outcome is not Outcome.FAILED
    if 400 <= reply.code < 500:
        assert judgement.outcome in {Outcome.DEFERRED, Outcome.STOP}
    if phase is Phase.DOT and not 200 <= reply.code < 300 and not 400 <= reply.code < 600:
        assert judgement.outcome is Outcome.UNCERTAIN
    if judgement.outcome is Outcome.FAILED:
        assert 500 <= reply.code < 600


@given(phases, st.sampled_from(Break))
def test_a_broken_dialogue_is_a_doubt_after_the_dot_and_only_there(phase: Phase, how: Break) -> None:
    judgement = judge_break(phase, how)
    assert (judgement.outcome is Outcome.UNCERTAIN) == (phase is Phase.DOT)
    assert judgement.outcome is not Outcome.FAILED
    assert judgement.reconnect


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (550, "5.1.1 no such user", "5.1.1"),
        (550, "#5.1.0 address rejected", "5.1.0"),
        (550, "5.7.13 disabled", "5.7.13"),
        (550, "no such user 5.1.1", None),
        (550, "4.7.1 the class disagrees", None),
        (550, "5.1.1.1 an address of a network", None),
        (550, "", None),
        (250, "2.0.0 ok", "2.0.0"),
    ],
)
def test_the_enhanced_status_is_read_where_it_stands_and_agrees(code: int, text: str, enhanced: str | None) -> None:
    assert Reply(code, text).enhanced == enhanced


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (550, "5.1.1 x", "mailbox_unknown"),
        (550, "5.1.10 x", "mailbox_unknown"),
        (550, "5.1.2 x", "domain_unknown"),
        (550, "5.1.3 x", "address_syntax"),
        (550, "5.1.0 x", "address_refused"),
        (550, "5.2.1 x", "mailbox_disabled"),
        (552, "5.2.2 x", "mailbox_full"),
        (550, "5.2.3 x", "policy"),
        (550, "5.2.0 x", "mailbox_refused"),
        (550, "5.4.1 x", "route_failed"),
        (550, "5.6.1 x", "policy"),
        (550, "5.7.26 x", "policy"),
        (550, "x", "refused"),
        (552, "x", "mailbox_full"),
        (553, "x", "address_syntax"),
        (554, "x", "policy"),
        (556, "x", "domain_unknown"),
    ],
)
def test_a_refusal_has_a_stable_reason(code: int, text: str, reason: str) -> None:
    for phase in (Phase.RCPT, Phase.DOT):
        judgement = judge(phase, Reply(code, text))
        assert judgement is not None
        assert (judgement.outcome, judgement.reason) == (Outcome.FAILED, reason)


@given(st.text(max_size=3000))
def test_what_a_server_said_is_kept_as_one_short_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 500


@pytest.mark.parametrize(
    "text",
    [
        "5.7.1 <us@news.test>: Sender address rejected: Access denied",
        "5.7.1 <unknown[10.0.0.1]>: Client host rejected: Access denied",
    ],
)
def test_a_refusal_of_the_sender_that_comes_at_the_recipient_fails_no_reader(text: str) -> None:
    judgement = judge(Phase.RCPT, Reply(554, text))
    assert judgement is not None
    assert (judgement.outcome, judgement.reason) == (Outcome.STOP, "sender_refused")
    after_the_dot = judge(Phase.DOT, Reply(554, text))
    assert after_the_dot is not None
    assert after_the_dot.outcome is Outcome.FAILED
