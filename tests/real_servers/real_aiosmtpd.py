"""An aiosmtpd of our own, in a thread of this process: what a developer has at hand. No PIPELINING."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from real_parts import DOMAIN, LARGEST, PASSWORD, READER_NAMES, USER, Arrived, Doors, RealServer

from loopback import LoopbackController
from smtp_faults import CERTIFICATE


class Aiosmtpd(RealServer):
    """One that has no PIPELINING, AUTH LOGIN after STARTTLS, and LMTP at a fourth door."""

    name = "aiosmtpd"
    auth: ClassVar[Mapping[str, str]] = {"plain": "-", "submission": "LOGIN", "implicit": "PLAIN", "lmtp": "-"}

    def __init__(self) -> None:
        self.version = version("aiosmtpd")
        self._handler = _Inbox()
        self._running: list[Controller] = []

    def start(self) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(CERTIFICATE)
        login: dict[str, Any] = {"authenticator": _authenticate}
        plain = self._listen()
        submission = self._listen(
            tls_context=tls, require_starttls=True, auth_required=True, auth_exclude_mechanism=["PLAIN"], **login
        )
        implicit = self._listen(ssl_context=tls, auth_require_tls=False, auth_exclude_mechanism=["LOGIN"], **login)
        lmtp = self._listen(_LmtpController)
        self.doors = Doors(plain.port, submission.port, implicit.port, lmtp.port)

    def stop(self) -> None:
        for controller in self._running:
            controller.stop()

    def arrived(self) -> Sequence[Arrived]:
        return list(self._handler.arrived)

    def log(self) -> str:
        return ""

    def _listen(self, kind: type[LoopbackController] = LoopbackController, **options: Any) -> LoopbackController:
        controller = kind(
            self._handler, "127.0.0.1", 0, data_size_limit=LARGEST, enable_SMTPUTF8=True, ident="aiosmtpd", **options
        )
        controller.start()
        self._running.append(controller)
        return controller


class _LmtpController(LoopbackController):
    def factory(self) -> SMTP:
        return LMTP(self.handler, **self.SMTP_kwargs)


class _Inbox:
    """Says yes or no, and keeps what was accepted."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []

    async def handle_MAIL(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == "refused@news.test":
            return "550 5.7.1 Sender is not welcome"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == f"later@{DOMAIN}":
            return "450 4.7.1 Come back later"
        if not address.endswith(f"@{DOMAIN}"):
            return "550 5.7.1 We do not relay"
        if not READER_NAMES.fullmatch(address):
            return "550 5.1.1 No such reader"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if envelope.mail_from == "spam@news.test":
            return "554 5.7.1 This looks like spam"
        self.arrived += [Arrived(to, envelope.mail_from or "", envelope.content) for to in envelope.rcpt_tos]
        return "250 2.0.0 OK"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    is_right = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)
