"""What an SMTP channel does with its connections and its time, and what goes over the wire."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.controller import UnixSocketController
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Login, Relay
from newsletter.mail.registry import backend_from_url
from smtp_anything import OFFERS, OFFERS_WITHOUT_PIPELINING, AnythingServer
from smtp_faults import CERTIFICATE, Fault, FaultServer, closed_port

LIMITS = Limits(connect=5, command=5, dot=5, deadline=10)
PIPELINING = "250-hello\r\n250-SIZE 100000000\r\n250-PIPELINING\r\n250 8BITMIME"
STARTTLS = "250-hello\r\n250-STARTTLS\r\n250-SIZE 100000000\r\n250 PIPELINING"
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100_000


def message(key: int, data: bytes = b"Message-ID: <%d@x>\r\n\r\n.hello\r\n") -> Message:
    data = data % key if b"%d" in data else data
    return Message(key, f"b+{key}@lettre.example.ma", f"reader{key}@example.org", (data[:5], data[5:]))


def backend(server: FaultServer | AnythingServer, connections: int = 16) -> SmtpBackend:
    relay = Relay("127.0.0.1", server.port, limits=LIMITS, connections=connections)
    return SmtpBackend(relay, ssl.create_default_context(cafile=str(CERTIFICATE)))


# Over the wire.


def test_with_pipelining_the_commands_of_a_mail_are_one_write_and_the_next_ones_stand_behind_the_dot() -> None:
    with AnythingServer([], OFFERS) as server, backend(server, 1).open() as channel:
        assert {each.outcome for each in send_all(channel, [message(key) for key in range(3)])} == {Outcome.ACCEPTED}
        came = [octets for is_in, octets in server.talks[0].log if is_in]
    assert len(came) == 1 + 1 + 3  # the greeting, the first commands, and three times a mail with what is behind it
    assert came[1].splitlines() == [
        b"MAIL FROM:<b+0@lettre.example.ma> SIZE=29",
        b"RCPT TO:<reader0@example.org>",
        b"DATA",
    ]
    assert b"..hello\r\n.\r\nMAIL FROM:<b+1@lettre.example.ma>" in came[2]
    assert came[2].endswith(b"DATA\r\n")
    assert came[4].endswith(b"..hello\r\n.\r\n")


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    with AnythingServer([], OFFERS_WITHOUT_PIPELINING) as server, backend(server, 1).open() as channel:
        assert {each.outcome for each in send_all(channel, [message(key) for key in range(3)])} == {Outcome.ACCEPTED}
        came = [octets for is_in, octets in server.talks[0].log if is_in]
    assert len(came) == 1 + 3 * 4
    assert all(octets.count(b"\r\n") == 1 for octets in came if b"Message-ID" not in octets)


def test_a_server_that_reports_failures_is_asked_to_with_the_number_of_the_mail_and_its_address() -> None:
    with FaultServer(offers="250-hello\r\n250-PIPELINING\r\n250 DSN") as server, backend(server).open() as channel:
        send_all(channel, [replace(message(12), recipient="a+b=c@example.org")])
    assert "MAIL FROM:<b+12@lettre.example.ma> RET=HDRS ENVID=12" in server.commands
    assert "RCPT TO:<a+b=c@example.org> NOTIFY=FAILURE ORCPT=rfc822;a+2Bb+3Dc@example.org" in server.commands


def test_what_its_composer_vouched_for_goes_out_as_it_is() -> None:
    data = b"Message-ID: <1@x>\r\n\r\n" + b"line\r\n" * 2000
    parts = tuple(data[place : place + 7] for place in range(0, len(data), 7))  # more than one write takes
    with FaultServer(offers=PIPELINING) as server, backend(server).open() as channel:
        send_all(channel, [Message(1, "", "reader@example.org", parts, is_checked=True)])
    assert [each.data for each in server.received] == [data]


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_many_mails_arrive_whole_whatever_the_wire(security: str) -> None:
    mails = [message(key) for key in range(40)] + [message(key, LARGE) for key in range(40, 44)]
    with FaultServer(offers=STARTTLS, tls_from_start=security == "tls") as server:
        way = backend(server)
        with replace(way, relay=replace(way.relay, security=security)).open() as channel:
            verdicts = send_all(channel, mails)
    assert {each.outcome for each in verdicts} == {Outcome.ACCEPTED}
    assert {each.recipient: each.data for each in server.received} == {each.recipient: each.data for each in mails}


@pytest.mark.parametrize("security", ["none", "starttls"])
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CLOSE])
def test_a_connection_that_ends_within_a_mail_is_no_doubt_with_tls_as_without(security: str, fault: Fault) -> None:
    with FaultServer({"BODY": [fault]}, offers=STARTTLS) as server:
        way = backend(server, 1)
        with replace(way, relay=replace(way.relay, security=security)).open() as channel:
            verdicts = send_all(channel, [message(1, LARGE), message(2, LARGE)])
    assert [(each.outcome, each.reason) for each in verdicts] == [
        (Outcome.DEFERRED, "connection_lost"),
        (Outcome.ACCEPTED, "accepted"),
    ]


def test_what_a_server_says_within_a_mail_is_heard() -> None:
    with (
        FaultServer({"BODY": ["552 5.3.4 too large"]}, offers=PIPELINING) as server,
        backend(server, 1).open() as channel,
    ):
        verdict, after = send_all(channel, [message(1, LARGE), message(2)])
    assert (verdict.outcome, verdict.code) == (Outcome.FAILED, 552)
    assert after.outcome is Outcome.ACCEPTED


class _LmtpOnSocket(UnixSocketController):
    def factory(self) -> LMTP:
        return LMTP(self.handler)


class _Keeping:
    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 (a hook)
        self.recipients += envelope.rcpt_tos
        return "250 2.0.0 kept"


def test_lmtp_is_spoken_over_a_socket_in_the_file_system(tmp_path: Path) -> None:
    handler = _Keeping()
    controller = _LmtpOnSocket(handler, unix_socket=str(tmp_path / "lmtp"))
    controller.start()
    try:
        way = backend_from_url(f"lmtp://{tmp_path}/lmtp", home=tmp_path)
        assert way.describe() == f"LMTP to {tmp_path}/lmtp in clear text"
        way.check()
        with way.open() as channel:
            verdicts = send_all(channel, [message(1), message(2)])
    finally:
        controller.stop()
    assert {each.outcome for each in verdicts} == {Outcome.ACCEPTED}
    assert sorted(handler.recipients) == ["reader1@example.org", "reader2@example.org"]


def test_an_lmtp_server_that_takes_a_mail_for_nobody_is_left_without_a_dot() -> None:
    script = {"RCPT": ["550 5.1.1 nobody"], "DATA": ["354 go on"], "EHLO": "500 what", "LHLO": PIPELINING}
    with FaultServer(script) as server:
        way = backend(server, 1)
        with replace(way, relay=replace(way.relay, is_lmtp=True)).open() as channel:
            verdicts = send_all(channel, [message(1), message(2)])
    assert [each.outcome for each in verdicts] == [Outcome.FAILED, Outcome.ACCEPTED]
    assert (server.lone_dots, server.connections) == (0, 2)


# Connections.


def test_no_more_connections_are_made_than_there_are_mails_nor_than_it_may() -> None:
    with FaultServer(pause=0.02) as server, backend(server).open() as channel:
        assert server.connections == 0
        send_all(channel, [message(key) for key in range(3)])
        assert 1 <= server.connections <= 3
    with FaultServer(pause=0.02) as server, backend(server, 4).open() as channel:
        send_all(channel, [message(key) for key in range(40)])
        assert 2 <= server.connections <= 4


def test_everything_runs_in_the_callers_thread() -> None:
    with FaultServer(pause=0.01) as server, backend(server).open() as channel:
        before = {each.ident for each in threading.enumerate()}
        channel.submit([message(key) for key in range(8)])
        channel.verdicts(wait=5)
        new = [each for each in threading.enumerate() if each.ident not in before]
        assert not [each for each in new if each not in server._threads]


def test_connections_that_were_closed_while_idle_are_made_again_unnoticed() -> None:
    script = {"DOT": [b"250 2.0.0 queued\r\n421 4.4.2 idle too long\r\n"] * 3}
    with FaultServer(script) as server, backend(server).open() as channel:
        verdicts = []
        for key in range(3):
            verdicts += send_all(channel, [message(key)])
            time.sleep(0.2)
        verdicts += send_all(channel, [message(key) for key in range(3, 6)])
    assert {each.outcome for each in verdicts} == {Outcome.ACCEPTED}
    assert server.connections > 3


def test_leaving_says_goodbye_on_every_idle_connection() -> None:
    with FaultServer(pause=0.02) as server, backend(server).open() as channel:
        send_all(channel, [message(key) for key in range(4)])
    assert server.commands.count("QUIT") == server.connections


def test_leaving_cuts_off_what_is_under_way_without_a_word() -> None:
    with FaultServer({"DOT": Fault.SILENCE}) as server:
        before = time.monotonic()
        with backend(server).open() as channel:
            channel.submit([message(1)])
            assert channel.verdicts(wait=0.2) == []
        assert time.monotonic() - before < 3
    assert "QUIT" not in server.commands


def test_leaving_while_dialling_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        relay = Relay("127.0.0.1", silent.getsockname()[1], limits=LIMITS)
        with SmtpBackend(relay).open() as channel:
            channel.submit([message(1)])
            assert channel.verdicts(wait=0) == []


# Time.


def test_waiting_ends_with_a_verdict_or_when_the_time_is_over_or_when_there_is_nothing_to_wait_for() -> None:
    with FaultServer({"DOT": [0.4]}) as server, backend(server).open() as channel:
        assert channel.verdicts(wait=60) == []
        channel.submit([message(1)])
        assert channel.verdicts(wait=0) == []
        before = time.monotonic()
        assert channel.verdicts(wait=0.1) == []
        assert 0.05 < time.monotonic() - before < 0.4
        (verdict,) = channel.verdicts(wait=60)
        assert verdict.outcome is Outcome.ACCEPTED
        assert time.monotonic() - before < 30


def test_a_slow_mail_keeps_no_verdict_of_another_waiting() -> None:
    with FaultServer({"DOT": [2.0]}, faulty=1) as server, backend(server).open() as channel:
        channel.submit([message(key) for key in range(4)])
        before, keys = time.monotonic(), set[int]()
        while len(keys) < 2:
            keys |= {each.key for each in channel.verdicts(wait=5)}
        assert time.monotonic() - before < 2
        assert 0 not in keys


def test_mails_can_be_submitted_while_others_are_under_way() -> None:
    with FaultServer(pause=0.01, offers=PIPELINING) as server, backend(server, 3).open() as channel:
        found: set[int] = set()
        for key in range(30):
            channel.submit([message(key)])
            found |= {each.key for each in channel.verdicts(wait=0)}
        while len(found) < 30:
            found |= {each.key for each in channel.verdicts(wait=5)}
    assert found == set(range(30))
    assert len(server.received) == 30


# Checking the set-up.


def test_a_check_greets_logs_in_and_leaves_without_a_mail() -> None:
    with FaultServer({"EHLO": "250-hello\r\n250 AUTH PLAIN"}) as server:
        way = backend(server)
        replace(way, relay=replace(way.relay, login=Login("u", "p"))).check()
    assert [command.split()[0] for command in server.commands] == ["EHLO", "AUTH", "QUIT"]


def test_a_check_says_what_is_wrong_and_whose_turn_it_is() -> None:
    with FaultServer({"EHLO": "250-hello\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 wrong"}) as server:
        way = backend(server)
        with pytest.raises(ConfigError, match=r"auth_refused \(535 5.7.8 wrong\)") as refused:
            replace(way, relay=replace(way.relay, login=Login("u", "hunter2"))).check()
        assert "hunter2" not in str(refused.value)
    with closed_port() as port, pytest.raises(Unavailable, match="unreachable"):
        SmtpBackend(Relay("127.0.0.1", port)).check()
    with FaultServer({"BANNER": "554 no service"}) as server, pytest.raises(Unavailable, match="server_refuses"):
        backend(server).check()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay?connections=3", Relay("relay", 25, connections=3)),
        ("lmtp://relay:2400", Relay("relay", 2400, is_lmtp=True)),
        ("lmtp:///run/dovecot/lmtp", Relay("/run/dovecot/lmtp", 0, is_lmtp=True)),
        (
            "smtps://u:token@relay?auth=xoauth2",
            Relay("relay", 465, "tls", Login("u", "token"), mechanism="xoauth2"),
        ),
    ],
)
def test_a_url_says_how_many_connections_which_login_and_lmtp(url: str, expected: Relay, tmp_path: Path) -> None:
    way = backend_from_url(url, home=tmp_path)
    assert isinstance(way, SmtpBackend)
    assert way.relay == expected


@pytest.mark.parametrize(
    "url",
    [
        "smtp://relay?connections=0",
        "smtp://relay?connections=1000",
        "smtp://relay?connections=x",
        "smtp://relay?auth=xoauth2",
        "smtps://u:p@relay?auth=gssapi",
        "lmtp://",
        "lmtp://relay/path",
        "lmtp:///run/lmtp#x",
    ],
)
def test_a_url_that_says_it_wrongly_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        backend_from_url(url, home=tmp_path)
