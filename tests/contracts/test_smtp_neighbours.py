"""Every fault at every stage, with and without PIPELINING, while a second connection is at work and must not suffer."""

from __future__ import annotations

import pytest

from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Relay
from smtp_faults import GOOD, Act, Fault, FaultServer

LIMITS = Limits(connect=5, command=5, dot=5, deadline=10)
SHORT = Limits(connect=5, command=0.4, dot=0.4, deadline=0.7)
PIPELINING = "250-hello\r\n250-SIZE 1000000\r\n250-PIPELINING\r\n250 8BITMIME"
OFFERS = {"pipelining": PIPELINING, "one by one": GOOD["EHLO"]}
KEYS = range(8)

REPLIES: list[tuple[str, str, Outcome, str]] = [
    ("RCPT", "450 4.7.1 greylisted", Outcome.DEFERRED, "greylisted"),
    ("RCPT", "451 4.7.1 greylisted", Outcome.DEFERRED, "greylisted"),
    ("RCPT", "450 4.2.1 too much", Outcome.DEFERRED, "mailbox_busy"),
    ("MAIL", "451 4.3.2 not now", Outcome.DEFERRED, "server_busy"),
    ("MAIL", "452 4.3.1 no space", Outcome.DEFERRED, "server_busy"),
    ("DOT", "451 4.3.0 not now", Outcome.DEFERRED, "server_busy"),
    ("DOT", "452 4.3.1 no space", Outcome.DEFERRED, "server_busy"),
    ("DATA", "451 4.3.0 not now", Outcome.DEFERRED, "server_busy"),
    *((phase, "421 4.3.2 bye", Outcome.DEFERRED, "server_closing") for phase in ("MAIL", "RCPT", "DATA", "DOT")),
    *((phase, "421 4.7.28 too fast", Outcome.DEFERRED, "throttled") for phase in ("MAIL", "RCPT", "DATA", "DOT")),
    *((phase, "450 4.7.28 too fast", Outcome.DEFERRED, "throttled") for phase in ("MAIL", "RCPT", "DATA", "DOT")),
    ("RCPT", "550 5.1.1 nobody", Outcome.FAILED, "mailbox_unknown"),
    ("DOT", "550 5.1.1 nobody", Outcome.FAILED, "mailbox_unknown"),
    ("RCPT", "552 5.2.2 full", Outcome.FAILED, "mailbox_full"),
    ("DOT", "552 5.2.2 full", Outcome.FAILED, "mailbox_full"),
    ("DOT", "554 5.7.1 spam", Outcome.FAILED, "policy"),
    ("DOT", "552 5.3.4 too big", Outcome.FAILED, "policy"),
    ("RCPT", "251 forwarded", Outcome.ACCEPTED, "accepted"),
    ("RCPT", "252 will try", Outcome.ACCEPTED, "accepted"),
    *((phase, "wat", Outcome.DEFERRED, "garbage_reply") for phase in ("MAIL", "RCPT", "DATA")),
    ("DATA", "354 go on\r\n250 2.0.0 before it came", Outcome.DEFERRED, "garbage_reply"),
    ("DOT", "wat", Outcome.UNCERTAIN, "garbage_after_data"),
]
STOPS = [
    ("MAIL", "530 5.7.0 log in first", "sender_refused"),
    ("MAIL", "550 5.7.1 not you", "sender_refused"),
    ("MAIL", "553 not yours", "sender_refused"),
    ("MAIL", "552 5.3.4 too big", "size_limit"),
    ("RCPT", "500 what", "server_refuses"),
    ("RCPT", "521 no mail here", "server_refuses"),
    ("DATA", "503 5.5.1 order", "server_refuses"),
    ("DOT", "504 what", "server_refuses"),
    ("DOT", "538 encrypt", "server_refuses"),
]
ENDS: list[tuple[Fault, str, Outcome, str]] = [
    *(
        (fault, phase, Outcome.DEFERRED, "connection_lost")
        for fault in (Fault.RESET, Fault.CLOSE)
        for phase in ("MAIL", "RCPT", "DATA")
    ),
    (Fault.RESET, "DOT", Outcome.UNCERTAIN, "connection_lost_after_data"),
    (Fault.CLOSE, "DOT", Outcome.UNCERTAIN, "connection_lost_after_data"),
]
NO_OPENING: list[tuple[str, Act]] = [
    ("BANNER", "421 too many"),
    ("BANNER", "554 no service"),
    ("BANNER", "HTTP/1.1 400 Bad Request"),
    ("EHLO", "421 bye"),
    *((phase, fault) for phase in ("BANNER", "EHLO") for fault in (Fault.CLOSE, Fault.RESET)),
]


def message(key: int) -> Message:
    data = b"To: reader@example.org\r\nMessage-ID: <%d@x>\r\n\r\n.hello\r\n" % key
    return Message(key, "bounce@lettre.example.ma", f"reader{key}@example.org", (data,))


def send(server: FaultServer, limits: Limits = LIMITS) -> list[Verdict]:
    """Send over two connections, both of which are at work before the server gives its first answer to a dot."""
    relay = Relay("127.0.0.1", server.port, limits=limits, connections=2)
    with SmtpBackend(relay).open() as channel:
        verdicts = send_all(channel, [message(key) for key in KEYS])
    assert [verdict.key for verdict in verdicts] == list(KEYS)
    return verdicts


def send_over_many(server: FaultServer, count: int) -> list[Verdict]:
    with SmtpBackend(Relay("127.0.0.1", server.port, limits=LIMITS)).open() as channel:
        return send_all(channel, [message(key) for key in range(count)])


def hold_to_what_arrived(server: FaultServer, verdicts: list[Verdict]) -> None:
    arrived = sorted(each.recipient for each in server.received)
    assert arrived == sorted(f"reader{each.key}@example.org" for each in verdicts if each.outcome is Outcome.ACCEPTED)


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(("phase", "reply", "outcome", "reason"), REPLIES)
def test_a_reply_decides_about_its_own_mail_alone(
    phase: str, reply: str, outcome: Outcome, reason: str, offers: str
) -> None:
    with FaultServer({phase: [reply]}, offers=offers, faulty=1, pause=0.01) as server:
        verdicts = send(server)
    assert (verdicts[0].outcome, verdicts[0].reason) == (outcome, reason)
    assert {verdict.outcome for verdict in verdicts[1:]} == {Outcome.ACCEPTED}
    hold_to_what_arrived(server, verdicts)


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(("fault", "phase", "outcome", "reason"), ENDS)
def test_an_end_of_one_connection_decides_about_its_own_mail_alone(
    fault: Fault, phase: str, outcome: Outcome, reason: str, offers: str
) -> None:
    with FaultServer({phase: [fault]}, offers=offers, faulty=1, pause=0.01) as server:
        verdicts = send(server)
    assert (verdicts[0].outcome, verdicts[0].reason) == (outcome, reason)
    assert {verdict.outcome for verdict in verdicts[1:]} == {Outcome.ACCEPTED}
    hold_to_what_arrived(server, verdicts)


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(
    ("fault", "phase", "outcome"),
    [
        (Fault.SILENCE, "RCPT", Outcome.DEFERRED),
        (Fault.SILENCE, "DOT", Outcome.UNCERTAIN),
        (Fault.DRIP, "RCPT", Outcome.ACCEPTED),  # by the other connection: no attempt was spent
        (Fault.DRIP, "DOT", Outcome.UNCERTAIN),
    ],
)
def test_a_silent_or_slow_connection_holds_up_nobody_else(
    fault: Fault, phase: str, outcome: Outcome, offers: str
) -> None:
    with FaultServer({phase: [fault]}, offers=offers, faulty=1, pause=0.01) as server:
        verdicts = send(server, SHORT)
    assert verdicts[0].outcome is outcome
    assert {verdict.outcome for verdict in verdicts[1:]} == {Outcome.ACCEPTED}
    hold_to_what_arrived(server, verdicts)


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(("phase", "reply", "reason"), STOPS)
def test_a_stop_about_us_fails_nobody_and_what_is_on_its_way_gets_through(
    phase: str, reply: str, reason: str, offers: str
) -> None:
    with FaultServer({phase: [reply]}, offers=offers, faulty=1, pause=0.01) as server:
        verdicts = send(server)
    assert (verdicts[0].outcome, verdicts[0].reason) == (Outcome.STOP, reason)
    stopped = [verdict for verdict in verdicts if verdict.outcome is Outcome.STOP]
    assert {(verdict.code, verdict.reason, verdict.text) for verdict in stopped} == {
        (verdicts[0].code, reason, verdicts[0].text)
    }
    assert {verdict.outcome for verdict in verdicts} <= {Outcome.STOP, Outcome.ACCEPTED}
    hold_to_what_arrived(server, verdicts)


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize(("phase", "act"), NO_OPENING)
def test_a_connection_that_does_not_come_up_is_done_without(phase: str, act: Act, offers: str) -> None:
    with FaultServer({phase: [act]}, offers=offers, faulty=2, pause=0.01) as server:
        verdicts = send(server)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.ACCEPTED}
    assert server.connections == 2  # and is not tried again at once
    hold_to_what_arrived(server, verdicts)


@pytest.mark.parametrize("data", ["354 go on", "554 5.5.1 no valid recipients", "503 5.5.1 RCPT first"])
def test_after_a_refused_recipient_a_pipelined_data_does_no_harm(data: str) -> None:
    with FaultServer({"RCPT": ["550 5.1.1 nobody"], "DATA": [data]}, offers=PIPELINING) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=1)
        with SmtpBackend(relay).open() as channel:
            verdicts = send_all(channel, [message(key) for key in KEYS])
    assert (verdicts[0].outcome, verdicts[0].reason) == (Outcome.FAILED, "mailbox_unknown")
    assert {verdict.outcome for verdict in verdicts[1:]} == {Outcome.ACCEPTED}
    assert server.connections == 1
    assert server.lone_dots == data.startswith("354")
    hold_to_what_arrived(server, verdicts)


def test_after_a_refused_sender_no_dot_is_sent_for_whomever_it_might_be() -> None:
    script = {"MAIL": ["451 4.3.0 not now"], "RCPT": ["250 fine"], "DATA": ["354 go on"]}
    with FaultServer(script, offers=PIPELINING) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=1)
        with SmtpBackend(relay).open() as channel:
            verdicts = send_all(channel, [message(key) for key in range(2)])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.DEFERRED, Outcome.ACCEPTED]
    assert server.connections == 2
    assert [each.recipient for each in server.received] == ["reader1@example.org"]


def test_a_goodbye_behind_a_dot_costs_the_mail_behind_it_nothing() -> None:
    with FaultServer({"DOT": [b"250 2.0.0 queued\r\n421 4.3.2 bye\r\n"]}, offers=PIPELINING) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=1)
        with SmtpBackend(relay).open() as channel:
            verdicts = send_all(channel, [message(key) for key in range(4)])
    assert {verdict.outcome for verdict in verdicts} == {Outcome.ACCEPTED}
    assert server.connections == 2


def test_a_server_that_has_not_forgotten_the_mail_it_refused_costs_the_one_behind_it_nothing() -> None:
    script = {"DOT": ["554 5.7.1 spam"], "MAIL": ["250 fine", "503 5.5.1 nested MAIL command"]}
    with FaultServer(script, offers=PIPELINING) as server:
        relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=1)
        with SmtpBackend(relay).open() as channel:
            verdicts = send_all(channel, [message(key) for key in range(4)])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, *[Outcome.ACCEPTED] * 3]
    assert server.connections == 2
    assert server.lone_dots == 0


def test_a_server_that_takes_few_connections_is_served_over_those() -> None:
    with FaultServer({"BANNER": ["220 hi", "220 hi", *["421 too many"] * 14]}, pause=0.01) as server:
        verdicts = send_over_many(server, 32)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.ACCEPTED}


def test_a_server_that_refuses_us_is_tried_once_and_not_by_every_connection() -> None:
    with FaultServer({"BANNER": "421 too many"}) as server:
        verdicts = send_over_many(server, 32)
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "server_busy")}
    assert server.connections == 1


def test_when_the_last_connection_goes_the_rest_is_stopped() -> None:
    script = {"BANNER": ["220 hi", *["421 too many"] * 20], "DOT": ["421 4.3.2 bye"]}
    with FaultServer(script, offers=PIPELINING) as server:
        verdicts = send_over_many(server, 8)
    assert verdicts[0].outcome is Outcome.DEFERRED
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts[1:]} == {(Outcome.STOP, "server_busy")}
