"""Every mail backend on something real or nearly so, all held to one contract: a carrier does with a mail what the name
of its recipient says (unknown@…, busy@…), as far as it can be made to."""

from __future__ import annotations

import asyncio
import io
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from http_faults import URLS, Mail, closed_endpoint, provider
from loopback import LoopbackController
from newsletter.mail.port import MailBackend, Outcome
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.failover.backend import FailoverBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.roundrobin.backend import RoundRobinBackend
from newsletter.mail.providers.sendmail.backend import SendmailBackend
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Login, Relay
from newsletter.mail.registry import backend_from_url
from smtp_faults import CERTIFICATE, closed_port

QUICK = Limits(connect=5, command=5, dot=10, deadline=10)
LOGIN = Login("user", "sécret")
LARGEST = 20_000  # octets that the SMTP servers take

# What each name means, whoever carries the mail.
OUTCOMES = {
    "unknown": Outcome.FAILED,  # nobody has this address
    "large": Outcome.FAILED,  # refused for its size, once it was offered
    "busy": Outcome.DEFERRED,  # not now
    "broken": Outcome.DEFERRED,  # the connection breaks before the mail is whole
    "lost": Outcome.UNCERTAIN,  # taken, and then the connection breaks
    "silent": Outcome.UNCERTAIN,  # taken, and then no answer in time
    "stop": Outcome.STOP,  # we are refused
}
KEPT = {"lost", "silent"}  # which arrive all the same


@dataclass(frozen=True)
class Carrier:
    """A backend at work, and what arrived through it; None where nothing is kept that could be compared."""

    backend: MailBackend
    arrived: Callable[[], list[Mail]] | None


@dataclass(frozen=True)
class Kind:
    """One kind of carrier: how to get one that works and one that cannot, and what it does, with the reason it gives.

    A working one waits so many seconds for an answer. `largest`: octets above which it stops before it offers a mail.
    """

    name: str
    working: Callable[[Path, float], AbstractContextManager[Carrier]]
    dead: Callable[[Path], AbstractContextManager[MailBackend]]
    does: Mapping[str, str] = field(default_factory=dict)
    largest: int | None = None
    is_checked: bool = True  # whether `check` notices the dead one
    is_bulk: bool = False  # whether several mails share a request, and its fate


class _Handler:
    """What an SMTP server does with a recipient and with a mail."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def handle_RCPT(  # noqa: N802 (a hook)
        self, server: Any, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        name = address.partition("@")[0]
        if name == "broken":
            server.transport.abort()
        answers = {"unknown": "550 5.1.1 nobody", "busy": "450 4.7.1 greylisted", "stop": "530 5.7.0 who are you?"}
        if name in answers:
            return answers[name]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, _session: object, envelope: Envelope) -> str:  # noqa: N802 (a hook)
        assert isinstance(envelope.original_content, bytes)
        name = envelope.rcpt_tos[0].partition("@")[0]
        if name == "large":
            return "552 5.3.4 too large"
        sender = "" if envelope.mail_from == "<>" else str(envelope.mail_from)
        self.mails.append(Mail(envelope.rcpt_tos[0], sender, envelope.original_content))
        if name == "lost":
            server.transport.abort()
        elif name == "silent":
            await asyncio.sleep(2)
        return "250 2.0.0 kept"


@contextmanager
def smtp_server(**options: Any) -> Iterator[tuple[_Handler, int]]:
    handler = _Handler()
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


def _log_in(_server: object, _session: object, _envelope: object, _mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"user", "sécret".encode()))


@contextmanager
def _smtp(_folder: Path, patience: float) -> Iterator[Carrier]:
    with smtp_server(data_size_limit=LARGEST) as (handler, port):
        yield Carrier(SmtpBackend(Relay("127.0.0.1", port, limits=replace(QUICK, dot=patience))), lambda: handler.mails)


@contextmanager
def _starttls(_folder: Path, patience: float) -> Iterator[Carrier]:
    options = {"tls_context": server_tls(), "auth_required": True, "authenticator": _log_in}
    with smtp_server(data_size_limit=LARGEST, **options) as (handler, port):
        relay = Relay("127.0.0.1", port, "starttls", LOGIN, limits=replace(QUICK, dot=patience))
        yield Carrier(SmtpBackend(relay, client_tls()), lambda: handler.mails)


@contextmanager
def _smtps(_folder: Path, patience: float) -> Iterator[Carrier]:
    with smtp_server(data_size_limit=LARGEST, ssl_context=server_tls()) as (handler, port):
        relay = Relay("127.0.0.1", port, "tls", limits=replace(QUICK, dot=patience))
        yield Carrier(SmtpBackend(relay, client_tls()), lambda: handler.mails)


class _LmtpController(LoopbackController):
    """Speaks LMTP (RFC 2033)."""

    def factory(self) -> LMTP:
        return LMTP(self.handler, **self.SMTP_kwargs)


@contextmanager
def _lmtp(_folder: Path, patience: float) -> Iterator[Carrier]:
    handler = _Handler()
    controller = _LmtpController(handler, hostname="127.0.0.1", port=0, data_size_limit=LARGEST)
    controller.start()
    try:
        relay = Relay("127.0.0.1", controller.port, limits=replace(QUICK, dot=patience), is_lmtp=True)
        yield Carrier(SmtpBackend(relay), lambda: handler.mails)
    finally:
        controller.stop()


@contextmanager
def _no_smtp(_folder: Path) -> Iterator[MailBackend]:
    with closed_port() as port:
        yield SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))


@contextmanager
def _maildir(folder: Path, _patience: float) -> Iterator[Carrier]:
    yield Carrier(MaildirBackend(folder / "mail"), lambda: _maildir_content(folder / "mail"))


def _maildir_content(folder: Path) -> list[Mail]:
    found = []
    for path in (folder / "new").glob("*"):
        sender, recipient, data = path.read_bytes().split(b"\r\n", 2)
        names = (recipient.removeprefix(b"Delivered-To: "), sender.removeprefix(b"Return-Path: <").removesuffix(b">"))
        found.append(Mail(names[0].decode(), names[1].decode(), data))
    return found


@contextmanager
def _no_maildir(folder: Path) -> Iterator[MailBackend]:
    (folder / "mail").write_text("a file where a folder should be")
    yield MaildirBackend(folder / "mail")


@contextmanager
def _console(_folder: Path, _patience: float) -> Iterator[Carrier]:
    yield Carrier(ConsoleBackend(io.StringIO()), None)


@contextmanager
def _no_console(_folder: Path) -> Iterator[MailBackend]:
    stream = io.StringIO()
    stream.close()
    yield ConsoleBackend(stream)


def _decide(recipient: str) -> Outcome:
    return OUTCOMES.get(recipient.partition("@")[0], Outcome.ACCEPTED)


def _refuse(_recipient: str) -> Outcome:
    return Outcome.STOP


def _in_memory(*backends: MemoryBackend) -> list[Mail]:
    return [Mail(each.recipient, each.sender, each.data) for backend in backends for each in backend.messages]


@contextmanager
def _memory(_folder: Path, _patience: float) -> Iterator[Carrier]:
    memory = MemoryBackend(_decide)
    yield Carrier(memory, lambda: _in_memory(memory))


@contextmanager
def _no_memory(_folder: Path) -> Iterator[MailBackend]:
    yield MemoryBackend(_refuse)


@contextmanager
def _failover(_folder: Path, _patience: float) -> Iterator[Carrier]:
    with closed_port() as port:
        memory = MemoryBackend(_decide)
        dead = SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))
        yield Carrier(FailoverBackend((dead, memory)), lambda: _in_memory(memory))


@contextmanager
def _no_failover(_folder: Path) -> Iterator[MailBackend]:
    with closed_port() as port:
        dead = SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))
        yield FailoverBackend((dead, MemoryBackend(_refuse)))


@contextmanager
def _roundrobin(folder: Path, patience: float) -> Iterator[Carrier]:
    with _sendmail(folder, patience) as program, _smtp(folder, patience) as server:
        assert program.arrived is not None
        assert server.arrived is not None
        one, two = program.arrived, server.arrived
        yield Carrier(RoundRobinBackend((program.backend, server.backend)), lambda: [*one(), *two()])


@contextmanager
def _no_roundrobin(folder: Path) -> Iterator[MailBackend]:
    with _no_smtp(folder) as one, _no_sendmail(folder) as two:
        yield RoundRobinBackend((one, two))


FAKE_SENDMAIL = """#!/bin/sh
# sendmail -i -f SENDER -- RECIPIENT
keep() {
    { printf '%s\\n%s\\n' "$3" "$5"; cat; } > "$0.$$.part" && mv "$0.$$.part" "$0.$$.mail"
}
case "$5" in
    unknown@*) echo "nobody there" >&2; exit 67 ;;
    large@*) exit 65 ;;
    busy@*) exit 75 ;;
    lost@*) keep "$@"; kill -9 $$ ;;
    silent@*) keep "$@"; exec sleep 30 ;;
    stop@*) exit 69 ;;
esac
test "$1 $2 $4 $#" = "-i -f -- 5" || exit 64
keep "$@"
"""


@contextmanager
def _sendmail(folder: Path, patience: float) -> Iterator[Carrier]:
    program = folder / "fake-sendmail"
    program.write_text(FAKE_SENDMAIL)
    program.chmod(stat.S_IRWXU)
    yield Carrier(SendmailBackend(program, deadline=patience), lambda: _sent(folder))


def _sent(folder: Path) -> list[Mail]:
    found = []
    for path in folder.glob("fake-sendmail.*.mail"):
        sender, recipient, data = path.read_bytes().split(b"\n", 2)
        name = "" if sender == b"<>" else sender.decode()
        found.append(Mail(recipient.decode(), name, data.replace(b"\n", b"\r\n")))
    return found


@contextmanager
def _no_sendmail(folder: Path) -> Iterator[MailBackend]:
    yield SendmailBackend(folder / "nothing-there")


@contextmanager
def _api(name: str, _folder: Path, patience: float) -> Iterator[Carrier]:
    with provider(name, options=(f"answer={patience}",)) as (running, _server, url):
        yield Carrier(backend_from_url(url, home=_folder), lambda: list(running.mails))


@contextmanager
def _no_api(name: str, folder: Path) -> Iterator[MailBackend]:
    with closed_endpoint() as endpoint:
        yield backend_from_url(f"{URLS[name]}endpoint={endpoint}", home=folder)


_SMTP = {
    "unknown": "mailbox_unknown",
    "large": "policy",
    "busy": "greylisted",
    "broken": "connection_lost",
    "lost": "connection_lost_after_data",
    "silent": "timeout_after_data",
    "stop": "server_refuses",
}
_SENDMAIL = _SMTP | {"busy": "server_busy", "stop": "server_busy"}
del _SENDMAIL["broken"]
_MEMORY = {name: outcome.value for name, outcome in OUTCOMES.items()}
_HTTP = {
    "unknown": "address_refused",
    "large": "policy",
    "busy": "throttled",
    "lost": "connection_lost_after_data",
    "silent": "timeout_after_data",
}
KINDS = [
    Kind("smtp", _smtp, _no_smtp, _SMTP, LARGEST),
    Kind("smtp+starttls", _starttls, _no_smtp, _SMTP, LARGEST),
    Kind("smtps", _smtps, _no_smtp, _SMTP, LARGEST),
    Kind("lmtp", _lmtp, _no_smtp, _SMTP, LARGEST),
    Kind("maildir", _maildir, _no_maildir),
    Kind("console", _console, _no_console, is_checked=False),
    Kind("memory", _memory, _no_memory, _MEMORY, is_checked=False),
    Kind("sendmail", _sendmail, _no_sendmail, _SENDMAIL),
    *(
        Kind(
            name,
            partial(_api, name),
            partial(_no_api, name),
            _HTTP | {"stop": stop},
            largest,
            is_bulk=name == "postmark",
        )
        for name, stop, largest in (
            ("ses", "account_suspended", 40_000_000),
            ("mailgun", "auth_refused", 25_000_000),
            ("brevo", "quota_exceeded", 10_000_000),
            ("postmark", "account_suspended", 5_000_000),
        )
    ),
    Kind("failover", _failover, _no_failover, _MEMORY),
    Kind("roundrobin", _roundrobin, _no_roundrobin, {}),
]
