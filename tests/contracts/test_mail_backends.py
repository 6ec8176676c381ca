"""What every mail backend promises, held to each of them; SMTP talks to a real server on loopback."""

from __future__ import annotations

import io
import itertools
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.mail.in_turn import send_all
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Login, Relay
from smtp_faults import CERTIFICATE, closed_port

QUICK = Limits(connect=5, command=5, dot=5, deadline=10)
LOGIN = Login("user", "sécret")
SENDER = "bounce+abcdef@lettre.example.ma"
DATA = (
    b"To: reader@example.org\r\nSubject: =?utf-8?b?w6k=?=\r\nMessage-ID: <1@example.ma>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nfirst line\r\n.\r\n..two dots\r\nlast line\r\n"
)
UNUSABLE = (
    "",
    "no-at-sign",
    "@example.org",
    "a@",
    '"a\r\nRCPT TO:<evil@x.y>"@b.c',
    "a@b.c\r\nDATA",
    "a@b.c\n",
    "a\0@b.c",
    "a b@c.org",
    "a@b.c ",
    "a\u00a0b@c.org",
    "<a@b.c>",
    "a@b.c> SIZE=1",
    "é@example.org",
    "a@éxample.org",
    '"quoted"@example.org',
    "a" * 65 + "@example.org",
    "a@" + "b" * 300,
    "a\ud800@b.c",
)


def message(key: int, recipient: str = "reader@example.org", *, data: bytes = DATA, smtputf8: bool = False) -> Message:
    numbered = data.replace(b"<1@example.ma>", b"<%d@example.ma>" % key)
    return Message(key, SENDER, recipient, (numbered,), smtputf8=smtputf8)


def submit(backend: MailBackend, *messages: Message) -> list[Verdict]:
    with backend.open() as channel:
        return send_all(channel, messages)


@dataclass(frozen=True)
class Carrier:
    """A backend, and how to see what arrived: (return path, recipient, message), or None where octets are not kept."""

    backend: MailBackend
    arrived: Callable[[], list[tuple[str, str, bytes]]] | None


class Handler:
    """Keeps what a server accepted, as it came."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str, bytes]] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 (a hook)
        assert isinstance(envelope.original_content, bytes)
        sender = "" if envelope.mail_from == "<>" else str(envelope.mail_from)
        self.arrived.append((sender, envelope.rcpt_tos[0], envelope.original_content))
        return "250 2.0.0 kept"


class LoopbackController(Controller):
    """Listens on a free port of loopback."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp_server(**options: Any) -> Iterator[tuple[Handler, int]]:
    handler = Handler()
    controller = LoopbackController(handler, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield handler, controller.port
    finally:
        controller.stop()


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def log_in(_server: object, _session: object, _envelope: object, _mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"user", "sécret".encode()))


def maildir_content(folder: Path) -> list[tuple[str, str, bytes]]:
    found = []
    for path in sorted((folder / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns):
        sender, recipient, data = path.read_bytes().split(b"\r\n", 2)
        names = (sender.removeprefix(b"Return-Path: <").removesuffix(b">"), recipient.removeprefix(b"Delivered-To: "))
        found.append((names[0].decode(), names[1].decode(), data))
    return found


@pytest.fixture(params=["smtp", "smtp+starttls", "smtps", "maildir", "memory", "console"])
def carrier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Carrier]:
    match request.param:
        case "smtp":
            with smtp_server() as (handler, port):
                yield Carrier(SmtpBackend(Relay("127.0.0.1", port, limits=QUICK)), lambda: handler.arrived)
        case "smtp+starttls":
            with smtp_server(tls_context=server_tls(), auth_required=True, authenticator=log_in) as (handler, port):
                relay = Relay("127.0.0.1", port, "starttls", LOGIN, limits=QUICK)
                yield Carrier(SmtpBackend(relay, client_tls()), lambda: handler.arrived)
        case "smtps":
            with smtp_server(ssl_context=server_tls()) as (handler, port):
                relay = Relay("127.0.0.1", port, "tls", limits=QUICK)
                yield Carrier(SmtpBackend(relay, client_tls()), lambda: handler.arrived)
        case "maildir":
            yield Carrier(MaildirBackend(tmp_path / "mail"), lambda: maildir_content(tmp_path / "mail"))
        case "memory":
            memory = MemoryBackend()
            yield Carrier(memory, lambda: [(each.sender, each.recipient, each.data) for each in memory.messages])
        case "console":
            yield Carrier(ConsoleBackend(io.StringIO()), None)


def test_each_message_is_accepted_and_gets_exactly_one_verdict(carrier: Carrier) -> None:
    verdicts = submit(carrier.backend, *(message(key) for key in (7, 3, 12)))
    assert sorted(verdict.key for verdict in verdicts) == [3, 7, 12]
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.ACCEPTED, "accepted")}


def test_the_octets_arrive_unchanged_with_their_envelope(carrier: Carrier) -> None:
    if carrier.arrived is None:
        assert carrier.backend.name == "console"  # it shows mail, it keeps no octets
        return
    dotted = b".\r\n..\r\n" + DATA
    submit(carrier.backend, message(1), message(2, "other@example.org", data=dotted))
    assert carrier.arrived() == [
        (SENDER, "reader@example.org", DATA),
        (SENDER, "other@example.org", dotted.replace(b"<1@", b"<2@")),
    ]


def test_a_channel_takes_one_batch_after_another(carrier: Carrier) -> None:
    with carrier.backend.open() as channel:
        first, second = list(channel.submit([message(1)])), list(channel.submit([message(2), message(3)]))
    assert [verdict.outcome for verdict in first + second] == [Outcome.ACCEPTED] * 3
    assert list(channel.submit([])) == []


def test_an_empty_return_path_is_carried(carrier: Carrier) -> None:
    assert submit(carrier.backend, Message(1, "", "reader@example.org", (DATA,)))[0].outcome is Outcome.ACCEPTED
    if carrier.arrived is not None:
        assert carrier.arrived() == [("", "reader@example.org", (DATA,))]


def test_unusable_addresses_fail_alone_and_never_reach_the_other_side(carrier: Carrier) -> None:
    bad = [message(key, recipient) for key, recipient in enumerate(UNUSABLE)]
    verdicts = {each.key: each for each in submit(carrier.backend, message(100), *bad, message(101))}
    assert {verdicts[key].outcome for key in range(len(UNUSABLE))} == {Outcome.FAILED}
    assert {verdicts[key].reason for key in range(len(UNUSABLE))} == {"address_invalid"}
    assert {verdicts[100].outcome, verdicts[101].outcome} == {Outcome.ACCEPTED}
    if carrier.arrived is not None:
        assert len(carrier.arrived()) == 2


def test_an_unusable_return_path_fails_its_message(carrier: Carrier) -> None:
    verdicts = submit(
        carrier.backend, Message(1, "a@b.c>\r\nRCPT TO:<evil@x.y", "reader@example.org", (DATA,)), message(2)
    )
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, Outcome.ACCEPTED]


@pytest.mark.parametrize(
    "data", [b"", b"To: a\r\n\r\nno end", b"a\r\nb\nc\r\n", b"a\r\nb\rc\r\n", b"a\r\n.\n\r\n", b"a\0\r\n", b"a\r\r\n"]
)
def test_a_message_whose_lines_do_not_all_end_in_crlf_fails(carrier: Carrier, data: bytes) -> None:
    verdicts = submit(carrier.backend, message(1, data=data), message(2))
    assert [(each.outcome, each.reason) for each in verdicts] == [
        (Outcome.FAILED, "message_malformed"),
        (Outcome.ACCEPTED, "accepted"),
    ]


near_addresses = st.one_of(
    st.from_regex(r"[a-z0-9.+'=/_-]{1,8}@[a-z0-9.-]{1,10}", fullmatch=True),
    st.text(st.sampled_from("ab@.<>\r\n \"\\é+'*%[]("), max_size=12),
    st.text(max_size=20),
)
keys = itertools.count(1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(recipient=near_addresses)
def test_whatever_the_address_is_nobody_else_gets_the_mail(carrier: Carrier, recipient: str) -> None:
    before = set(carrier.arrived()) if carrier.arrived is not None else set()
    (verdict,) = submit(carrier.backend, message(next(keys), recipient))
    assert verdict.outcome in {Outcome.ACCEPTED, Outcome.FAILED}
    if carrier.arrived is not None:
        new = [each[1] for each in set(carrier.arrived()) - before]
        assert new == ([recipient] if verdict.outcome is Outcome.ACCEPTED else [])


def test_it_says_where_mail_goes_without_secrets(carrier: Carrier) -> None:
    assert carrier.backend.describe()
    assert LOGIN.password not in carrier.backend.describe() + repr(carrier.backend)


@pytest.fixture(params=["smtp", "maildir", "memory", "console"])
def stopping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailBackend]:
    """A backend that cannot do its work."""
    match request.param:
        case "smtp":
            with closed_port() as port:
                yield SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))
        case "maildir":
            (tmp_path / "mail").write_text("a file where a folder should be")
            yield MaildirBackend(tmp_path / "mail")
        case "memory":
            yield MemoryBackend(lambda _recipient: Outcome.STOP)
        case "console":
            stream = io.StringIO()
            stream.close()
            yield ConsoleBackend(stream)


def test_after_a_stop_all_the_rest_is_stopped_for_the_same_reason(stopping: MailBackend) -> None:
    verdicts = submit(stopping, message(1), message(2, "bad address"), message(3))
    assert [verdict.key for verdict in verdicts] == [1, 2, 3]
    assert {verdict.outcome for verdict in verdicts} == {Outcome.STOP}
    assert len({(verdict.reason, verdict.text) for verdict in verdicts}) == 1


def test_a_bad_address_still_fails_alone_before_a_stop(stopping: MailBackend) -> None:
    assert [each.outcome for each in submit(stopping, message(1, "bad address"), message(2))] == [
        Outcome.FAILED,
        Outcome.STOP,
    ]


def test_a_message_above_the_size_of_a_server_stops_before_a_byte_of_it_is_sent() -> None:
    with smtp_server(data_size_limit=1000) as (handler, port):
        large = message(2, data=DATA + b"x" * 998 + b"\r\n")
        verdicts = submit(SmtpBackend(Relay("127.0.0.1", port, limits=QUICK)), message(1), large, message(3))
        assert [(each.outcome, each.reason) for each in verdicts] == [
            (Outcome.ACCEPTED, "accepted"),
            (Outcome.STOP, "size_limit"),
            (Outcome.STOP, "size_limit"),
        ]
        assert len(handler.arrived) == 1


def test_an_internationalised_address_is_mailed_where_the_server_can() -> None:
    for can in (True, False):
        with smtp_server(enable_SMTPUTF8=can) as (handler, port):
            backend = SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))
            verdict, other = submit(backend, message(1, "قارئ@مثال.المغرب", smtputf8=True), message(2))
            assert other.outcome is Outcome.ACCEPTED
            if can:
                assert verdict.outcome is Outcome.ACCEPTED
                assert handler.arrived[0][1] == "قارئ@مثال.المغرب"
            else:
                assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "relay_cannot")
