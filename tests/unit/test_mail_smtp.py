"""The table of verdicts of RELIABILITY.md, row by row, against a server that does one thing wrong."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from newsletter.mail.in_turn import send_all
from newsletter.mail.port import STOPS_EVERY_CHANNEL, Message, Outcome, Verdict
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.dialling import dial
from newsletter.mail.providers.smtp.relay import Limits, Login, Relay
from smtp_faults import CERTIFICATE, Act, Fault, FaultServer, closed_port

Script = Mapping[str, Act | Sequence[Act]]
LIMITS = Limits(connect=5, command=5, dot=5, deadline=10)
LOGIN = Login("user", "sécret")
DATA = b"To: reader@example.org\r\nMessage-ID: <1@example.ma>\r\n\r\n.hello\r\n"
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 400_000  # more than the buffers of two sockets take
TLS_OFFERED = "250-hello\r\n250 STARTTLS"
PLAIN_OFFERED = "250-hello\r\n250 AUTH PLAIN"


def message(key: int, data: bytes = DATA) -> Message:
    return Message(key, "bounce@lettre.example.ma", f"reader{key}@example.org", (data,))


def relay(server: FaultServer, limits: Limits = LIMITS) -> Relay:
    return Relay("127.0.0.1", server.port, limits=limits, connections=1)


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def submit(relay: Relay, *messages: Message, tls: ssl.SSLContext | None = None) -> list[Verdict]:
    with SmtpBackend(relay, tls or trusting()).open() as channel:
        return send_all(channel, messages)


ROWS: list[tuple[str, Script, Outcome, str, int | None]] = [
    ("greylisted", {"RCPT": "450 4.7.1 try again"}, Outcome.DEFERRED, "greylisted", 450),
    ("greylisted, no status", {"RCPT": "451 come back"}, Outcome.DEFERRED, "greylisted", 451),
    ("mailbox busy", {"RCPT": "450 4.2.1 too much mail"}, Outcome.DEFERRED, "mailbox_busy", 450),
    ("full for now", {"RCPT": "452 4.2.2 over quota"}, Outcome.DEFERRED, "mailbox_full", 452),
    ("throttled", {"RCPT": "450 4.7.28 slow down"}, Outcome.DEFERRED, "throttled", 450),
    ("busy at MAIL", {"MAIL": "451 4.3.2 not now"}, Outcome.DEFERRED, "server_busy", 451),
    ("disk full at dot", {"DOT": "452 4.3.1 no space"}, Outcome.DEFERRED, "server_busy", 452),
    ("421 banner", {"BANNER": "421 too many"}, Outcome.STOP, "server_busy", 421),
    ("554 banner", {"BANNER": "554 no service"}, Outcome.STOP, "server_refuses", 554),
    ("banner garbage", {"BANNER": "HTTP/1.1 400 Bad Request"}, Outcome.STOP, "garbage_reply", None),
    ("banner closed", {"BANNER": Fault.CLOSE}, Outcome.STOP, "connection_lost", None),
    ("421 EHLO", {"EHLO": "421 bye"}, Outcome.STOP, "server_busy", 421),
    ("502 EHLO", {"EHLO": "502 what"}, Outcome.ACCEPTED, "accepted", 250),
    ("502 EHLO and HELO", {"EHLO": "502 what", "HELO": "502 what"}, Outcome.STOP, "server_refuses", 502),
    ("550 EHLO", {"EHLO": "550 not you"}, Outcome.STOP, "server_refuses", 550),
    ("reset at EHLO", {"EHLO": Fault.RESET}, Outcome.STOP, "connection_lost", None),
    ("enough for one connection", {"MAIL": "452 4.5.3 enough"}, Outcome.DEFERRED, "server_closing", 452),
    ("421 MAIL", {"MAIL": "421 bye"}, Outcome.DEFERRED, "server_closing", 421),
    ("421 RCPT", {"RCPT": "421 bye"}, Outcome.DEFERRED, "server_closing", 421),
    ("421 DATA", {"DATA": "421 bye"}, Outcome.DEFERRED, "server_closing", 421),
    ("421 throttled", {"MAIL": "421-4.7.28 too fast\r\n421 4.7.28 bye"}, Outcome.DEFERRED, "throttled", 421),
    ("421 throttled at dot", {"DOT": "421 4.7.0 too fast"}, Outcome.DEFERRED, "throttled", 421),
    ("421 dot", {"DOT": "421 4.4.2 bye"}, Outcome.DEFERRED, "server_closing", 421),
    ("reset at MAIL", {"MAIL": Fault.RESET}, Outcome.DEFERRED, "connection_lost", None),
    ("closed at RCPT", {"RCPT": Fault.CLOSE}, Outcome.DEFERRED, "connection_lost", None),
    ("reset at DATA", {"DATA": Fault.RESET}, Outcome.DEFERRED, "connection_lost", None),
    ("reset after dot", {"DOT": Fault.RESET}, Outcome.UNCERTAIN, "connection_lost_after_data", None),
    ("closed after dot", {"DOT": Fault.CLOSE}, Outcome.UNCERTAIN, "connection_lost_after_data", None),
    (
        "cut reply",
        {"DOT": [b"250 2.0.0 que", Fault.CLOSE], "QUIT": Fault.CLOSE},
        Outcome.UNCERTAIN,
        "timeout_after_data",
        None,
    ),
    ("garbage at dot", {"DOT": "what?"}, Outcome.UNCERTAIN, "garbage_after_data", None),
    ("354 at dot", {"DOT": "354 go on"}, Outcome.UNCERTAIN, "garbage_after_data", 354),
    ("two codes at dot", {"DOT": "250-yes\r\n550 no"}, Outcome.UNCERTAIN, "garbage_after_data", None),
    ("unknown", {"RCPT": "550 5.1.1 no such user"}, Outcome.FAILED, "mailbox_unknown", 550),
    ("unknown at dot", {"DOT": "550 5.1.1 no such user"}, Outcome.FAILED, "mailbox_unknown", 550),
    ("full", {"RCPT": "552 5.2.2 mailbox full"}, Outcome.FAILED, "mailbox_full", 552),
    ("full at dot", {"DOT": "552 5.2.2 mailbox full"}, Outcome.FAILED, "mailbox_full", 552),
    ("disabled", {"RCPT": "550-5.2.1 closed\r\n550 5.2.1 account"}, Outcome.FAILED, "mailbox_disabled", 550),
    ("no status", {"RCPT": "550 no"}, Outcome.FAILED, "refused", 550),
    ("policy at dot", {"DOT": "554 5.7.1 spam"}, Outcome.FAILED, "policy", 554),
    ("too large at dot", {"DOT": "552 5.3.4 too big"}, Outcome.FAILED, "policy", 552),
    ("one bad address", {"RCPT": "501 5.1.3 bad syntax"}, Outcome.FAILED, "address_syntax", 501),
    ("one bad address, bare", {"RCPT": "501 malformed"}, Outcome.FAILED, "address_syntax", 501),
    ("sender at RCPT", {"RCPT": "550 5.1.8 sender domain unknown"}, Outcome.STOP, "sender_refused", 550),
    ("sender 530", {"MAIL": "530 5.7.0 log in first"}, Outcome.STOP, "sender_refused", 530),
    ("sender 550", {"MAIL": "550 5.7.1 not you"}, Outcome.STOP, "sender_refused", 550),
    ("sender 553", {"MAIL": "553 not yours"}, Outcome.STOP, "sender_refused", 553),
    ("too large at MAIL", {"MAIL": "552 5.3.4 too big"}, Outcome.STOP, "size_limit", 552),
    ("500", {"RCPT": "500 what"}, Outcome.STOP, "server_refuses", 500),
    ("501 arguments", {"RCPT": "501 5.5.4 arguments"}, Outcome.STOP, "server_refuses", 501),
    ("503 at DATA", {"DATA": "503 5.5.1 order"}, Outcome.STOP, "server_refuses", 503),
    ("504 at dot", {"DOT": "504 what"}, Outcome.STOP, "server_refuses", 504),
    ("521", {"RCPT": "521 no mail here"}, Outcome.STOP, "server_refuses", 521),
    ("538", {"RCPT": "538 encrypt"}, Outcome.STOP, "server_refuses", 538),
    ("251", {"RCPT": "251 forwarded"}, Outcome.ACCEPTED, "accepted", 250),
    ("252", {"RCPT": "252 will try"}, Outcome.ACCEPTED, "accepted", 250),
    ("garbage at RCPT", {"RCPT": "wat"}, Outcome.DEFERRED, "garbage_reply", None),
    ("empty line at RCPT", {"RCPT": ""}, Outcome.DEFERRED, "garbage_reply", None),
    ("250 at DATA", {"DATA": "250 ok"}, Outcome.DEFERRED, "garbage_reply", 250),
    ("endless line", {"RCPT": b"2" * 200_000}, Outcome.DEFERRED, "garbage_reply", None),
    ("endless reply", {"RCPT": b"250-x\r\n" * 80_000}, Outcome.DEFERRED, "garbage_reply", None),
]


@pytest.mark.parametrize(
    ("script", "outcome", "reason", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_each_thing_that_a_server_does_has_its_verdict(
    script: Script, outcome: Outcome, reason: str, code: int | None
) -> None:
    limits = replace(LIMITS, dot=0.3) if reason == "timeout_after_data" else LIMITS
    with FaultServer(script) as server:
        verdict, after = submit(relay(server, limits), message(1), message(2))
    assert (verdict.key, verdict.outcome, verdict.reason, verdict.code) == (1, outcome, reason, code)
    assert after.key == 2
    assert (after.outcome is Outcome.STOP) == (outcome is Outcome.STOP)
    if outcome is not Outcome.ACCEPTED:
        assert verdict.text
        assert verdict.text.isprintable()


def test_a_reset_while_the_message_is_written_is_no_doubt() -> None:
    with FaultServer({"BODY": Fault.RESET, "EHLO": "250 hi"}) as server:
        (verdict,) = submit(relay(server), message(1, LARGE))
    assert (verdict.outcome, verdict.reason) == (Outcome.DEFERRED, "connection_lost")


SILENCES: list[tuple[str, Script, Limits, Outcome, str]] = [
    ("banner", {"BANNER": Fault.SILENCE}, replace(LIMITS, command=0.2), Outcome.STOP, "timeout"),
    ("RCPT", {"RCPT": Fault.SILENCE}, replace(LIMITS, command=0.2), Outcome.DEFERRED, "timeout"),
    ("dot", {"DOT": Fault.SILENCE}, replace(LIMITS, dot=0.2), Outcome.UNCERTAIN, "timeout_after_data"),
    ("not reading", {"BODY": Fault.DEAF, "EHLO": "250 hi"}, replace(LIMITS, command=0.2), Outcome.DEFERRED, "timeout"),
    ("drip at banner", {"BANNER": Fault.DRIP}, replace(LIMITS, deadline=0.3), Outcome.STOP, "too_slow"),
    ("drip at EHLO", {"EHLO": Fault.DRIP}, replace(LIMITS, deadline=0.3), Outcome.STOP, "too_slow"),
    ("drip at RCPT", {"RCPT": Fault.DRIP}, replace(LIMITS, deadline=0.3), Outcome.STOP, "too_slow"),
    ("drip at dot", {"DOT": Fault.DRIP}, replace(LIMITS, dot=0.3), Outcome.UNCERTAIN, "timeout_after_data"),
]


@pytest.mark.parametrize(
    ("script", "limits", "outcome", "reason"), [row[1:] for row in SILENCES], ids=[row[0] for row in SILENCES]
)
def test_a_silent_or_slow_server_is_left_in_time(script: Script, limits: Limits, outcome: Outcome, reason: str) -> None:
    data = LARGE if "BODY" in script else DATA
    with FaultServer(script) as server:
        (verdict,) = submit(relay(server, limits), message(1, data))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_the_answer_to_the_dot_has_a_time_of_its_own() -> None:
    with FaultServer({"DOT": 1.5}) as server:
        (verdict,) = submit(relay(server, Limits(connect=5, command=1, dot=10, deadline=1.4)), message(1))
    assert verdict.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("reads", range(1, 80))
def test_wherever_the_deadline_passes_a_doubt_means_that_the_message_left_and_no_doubt_that_it_did_not(
    reads: int,
) -> None:
    """The stopwatch jumps at its n-th reading, so that the deadline passes before each read and each write in turn."""
    count = itertools.count(1)
    with FaultServer() as server:
        backend = SmtpBackend(relay(server), trusting(), lambda: 0.0 if next(count) < reads else 1e6 + next(count))
        with backend.open() as channel:
            (verdict,) = send_all(channel, [message(1)])
        if verdict.outcome in {Outcome.UNCERTAIN, Outcome.ACCEPTED}:
            arrived(server)
        else:
            assert verdict.outcome in {Outcome.STOP, Outcome.DEFERRED}
            assert verdict.reason in {"unreachable", "timeout", "too_slow"}
    assert bool(server.received) == (verdict.outcome in {Outcome.UNCERTAIN, Outcome.ACCEPTED})


def arrived(server: FaultServer) -> None:
    """Wait until the server has taken in what was written."""
    for _ in range(500):
        if server.received:
            return
        time.sleep(0.01)


def test_nobody_listening_or_no_such_name_stops() -> None:
    with closed_port() as port:
        assert submit(Relay("127.0.0.1", port), message(1))[0].reason == "unreachable"
    (verdict,) = submit(Relay("mail..example.invalid", 25), message(1))
    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "dns_failure")


def test_a_server_that_takes_less_than_the_message_stops_before_mail() -> None:
    with FaultServer({"EHLO": "250-hello\r\n250 SIZE 50"}) as server:
        verdicts = submit(relay(server), message(1), message(2))
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "size_limit")}
    assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.parametrize("size", ["", " 0", " many"])
def test_a_server_without_a_limit_of_size_is_believed(size: str) -> None:
    with FaultServer({"EHLO": f"250-hello\r\n250 SIZE{size}"}) as server:
        assert submit(relay(server), message(1))[0].outcome is Outcome.ACCEPTED


def test_eight_bit_octets_and_smtputf8_need_a_server_that_offers_them() -> None:
    with FaultServer({"EHLO": "250 hello"}) as server:
        verdicts = submit(
            relay(server), message(1, "Subject: é\r\n\r\n".encode()), replace(message(2), smtputf8=True), message(3)
        )
    assert [verdict.reason for verdict in verdicts] == ["relay_cannot", "relay_cannot", "accepted"]
    with FaultServer({"EHLO": "250-hello\r\n250-8BITMIME\r\n250 SMTPUTF8"}) as server:
        full = replace(message(1, "Subject: é\r\n\r\n".encode()), smtputf8=True)
        assert submit(relay(server), full)[0].outcome is Outcome.ACCEPTED
    assert "MAIL FROM:<bounce@lettre.example.ma> BODY=8BITMIME SMTPUTF8" in server.commands


# Set-up: TLS and AUTH stop every channel, and nothing secret leaves in clear text.

REFUSED_LOGINS: list[tuple[str, Script]] = [
    ("535", {"EHLO": PLAIN_OFFERED, "AUTH": "535 5.7.8 wrong"}),
    ("454", {"EHLO": PLAIN_OFFERED, "AUTH": "454 4.7.0 not now"}),
    ("garbage", {"EHLO": PLAIN_OFFERED, "AUTH": "hm"}),
    ("not offered", {"EHLO": "250 hello"}),
    ("only unknown ways", {"EHLO": "250-hello\r\n250 AUTH GSSAPI"}),
    ("LOGIN, wrong user", {"EHLO": "250-hello\r\n250 AUTH LOGIN", "AUTH": ["334 VXNlcg==", "535 no"]}),
    (
        "LOGIN, wrong password",
        {"EHLO": "250-hello\r\n250 AUTH LOGIN", "AUTH": ["334 VXNlcg==", "334 UGFzcw==", "535 no"]},
    ),
    ("LOGIN, too easy", {"EHLO": "250-hello\r\n250 AUTH LOGIN", "AUTH": ["235 come in"]}),
]


@pytest.mark.parametrize("script", [row[1] for row in REFUSED_LOGINS], ids=[row[0] for row in REFUSED_LOGINS])
def test_a_login_that_does_not_work_stops_every_channel(script: Script) -> None:
    with FaultServer(script) as server:
        verdicts = submit(replace(relay(server), login=LOGIN), message(1), message(2))
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "auth_refused")}
    assert "auth_refused" in STOPS_EVERY_CHANNEL
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_a_login_by_auth_login_works_where_plain_is_not_offered() -> None:
    script = {"EHLO": "250-hello\r\n250 AUTH LOGIN", "AUTH": ["334 VXNlcg==", "334 UGFzcw==", "235 ok"]}
    with FaultServer(script) as server:
        assert submit(replace(relay(server), login=LOGIN), message(1))[0].outcome is Outcome.ACCEPTED
    assert server.commands[1:4] == ["AUTH LOGIN", "dXNlcg==", "c8OpY3JldA=="]


REFUSED_TLS: list[tuple[str, Script]] = [
    ("not offered", {"EHLO": PLAIN_OFFERED}),
    ("454", {"EHLO": TLS_OFFERED, "STARTTLS": "454 4.7.0 not now"}),
    ("garbage reply", {"EHLO": TLS_OFFERED, "STARTTLS": "hm"}),
    ("closed", {"EHLO": TLS_OFFERED, "STARTTLS": Fault.CLOSE}),
    ("broken handshake", {"EHLO": TLS_OFFERED, "HANDSHAKE": b"no TLS here, sorry\r\n"}),
    ("closed in the handshake", {"EHLO": TLS_OFFERED, "HANDSHAKE": Fault.CLOSE}),
    ("reset in the handshake", {"EHLO": TLS_OFFERED, "HANDSHAKE": Fault.RESET}),
    ("injected reply", {"EHLO": TLS_OFFERED, "STARTTLS": b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"}),
]


# When the connection is reset at the right moment, SSLContext.wrap_socket leaves its half-made socket to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("script", [row[1] for row in REFUSED_TLS], ids=[row[0] for row in REFUSED_TLS])
def test_without_tls_nothing_more_is_said(script: Script) -> None:
    with FaultServer(script) as server:
        verdicts = submit(replace(relay(server), security="starttls", login=LOGIN), message(1), message(2))
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "tls_refused")}
    assert "tls_refused" in STOPS_EVERY_CHANNEL
    assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_is_checked_for_its_signer_and_its_name(security: str) -> None:
    with FaultServer({"EHLO": TLS_OFFERED}, tls_from_start=security == "tls") as server:
        good = replace(relay(server), security=security)
        assert submit(good, message(1))[0].outcome is Outcome.ACCEPTED
        for wrong, tls in ((good, ssl.create_default_context()), (replace(good, host="localhost"), trusting())):
            (verdict,) = submit(wrong, message(2), tls=tls)
            assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "tls_refused")
    assert len(server.received) == 1


def test_tls_from_the_start_to_a_server_that_speaks_clear_text_stops() -> None:
    with FaultServer() as server:
        (verdict,) = submit(replace(relay(server), security="tls"), message(1))
    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "tls_refused")


# Connections: kept while they are good, made again when they are not.


def test_one_connection_carries_many_messages_and_is_left_politely() -> None:
    with FaultServer() as server:
        verdicts = submit(relay(server), *(message(key) for key in range(5)))
    assert [verdict.key for verdict in verdicts] == list(range(5))
    assert server.connections == 1
    assert server.commands[-1] == "QUIT"
    assert [each.data for each in server.received] == [DATA] * 5


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "DOT"])
def test_after_a_421_the_next_message_goes_over_a_new_connection(phase: str) -> None:
    with FaultServer({phase: ["421 bye"]}) as server:
        verdicts = submit(relay(server), message(1), message(2))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.DEFERRED, Outcome.ACCEPTED]
    assert server.connections == 2


def test_a_server_that_takes_so_many_mails_on_a_connection_gets_the_next_ones_over_another() -> None:
    with FaultServer({"MAIL": ["250 ok", "250 ok", "452 4.5.3 Too many recipients: Too many messages sent"]}) as server:
        verdicts = submit(relay(server), *(message(key) for key in range(5)))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.ACCEPTED] * 5
    assert server.connections == 2


def test_after_a_refused_recipient_the_same_connection_goes_on() -> None:
    with FaultServer({"RCPT": ["550 5.1.1 no such user"]}) as server:
        verdicts = submit(relay(server), message(1), message(2))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, Outcome.ACCEPTED]
    assert server.connections == 1
    assert server.commands.count("RSET") + server.commands.count("rset") == 1


@pytest.mark.parametrize("end", [Fault.CLOSE, Fault.RESET, "421 idle too long", "500 what"])
def test_a_connection_that_died_while_idle_is_made_again_with_no_mail_at_stake(end: Act) -> None:
    hours = [0.0]
    backend = lambda server: SmtpBackend(relay(server), stopwatch=lambda: time.monotonic() + hours[0])  # noqa: E731
    with FaultServer({"RSET": [end]}) as server, backend(server).open() as channel:
        first = send_all(channel, [message(1)])
        hours[0] = 3600.0
        second = send_all(channel, [message(2)])
    assert [verdict.outcome for verdict in first + second] == [Outcome.ACCEPTED] * 2
    assert server.connections == 2


def test_a_goodbye_on_the_heels_of_an_answer_costs_no_mail() -> None:
    with FaultServer({"DOT": [b"250 2.0.0 queued\r\n421 4.3.2 shutting down\r\n"]}) as server:
        verdicts = submit(relay(server), message(1), message(2))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.ACCEPTED] * 2
    assert server.connections == 2


def test_a_channel_tries_again_after_a_stop() -> None:
    with FaultServer({"BANNER": ["421 too many"]}) as server, SmtpBackend(relay(server)).open() as channel:
        assert send_all(channel, [message(1)])[0].outcome is Outcome.STOP
        assert send_all(channel, [message(1)])[0].outcome is Outcome.ACCEPTED


def test_an_error_of_the_caller_closes_without_a_word_that_could_end_a_message() -> None:
    def fail_midway(backend: SmtpBackend) -> None:
        with backend.open() as channel:
            send_all(channel, [message(1)])
            raise KeyError

    with FaultServer() as server, pytest.raises(KeyError):
        fail_midway(SmtpBackend(relay(server)))
    assert server.received
    assert "QUIT" not in server.commands


def test_small_writes_are_not_held_back() -> None:
    with FaultServer() as server, asyncio.Runner() as runner:
        sock = runner.run(dial(runner.get_loop(), relay(server)))
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_name_it_greets_with_can_be_set() -> None:
    with FaultServer() as server:
        submit(replace(relay(server), helo="lettre.example.ma"), message(1))
    assert server.commands[0].lower() == "ehlo lettre.example.ma"
