"""The talk with one server: setting up, and one transaction for each message (RFC 5321 section 3)."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from socket import gaierror

from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.smtp.relay import Login, Relay
from newsletter.mail.providers.smtp.replies import GARBAGE, Judgement, Phase, Reply, judge, judge_break, one_line
from newsletter.mail.providers.smtp.wire import Broken, Wire

DOT = b".\r\n"
FAREWELL = 5.0  # seconds to wait for the answer to QUIT


class Decided(Exception):
    """It is decided what becomes of the message, before the dialogue was through."""

    def __init__(self, judgement: Judgement, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.judgement = judgement
        self.text = text
        self.code = code


class Dialogue:
    """One connection to the relay. `start` and `carry` raise `Decided` for whatever server and network do."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext, stopwatch: Callable[[], float]) -> None:
        self._relay = relay
        self._tls = tls
        self._wire = Wire(relay.helo, stopwatch)
        self._phase = Phase.BANNER
        self._is_between_mails = False

    def start(self) -> None:
        """Connect, greet, and do what the set-up asks for: TLS, never falling back to clear text, and AUTH."""
        self._bound(self._relay.limits.deadline)
        try:
            self._dial()
            self._greet()
            if self._relay.security == "starttls":
                self._start_tls()
            if self._relay.login is not None:
                self._log_in(self._relay.login)
        except Broken as broken:
            raise Decided(judge_break(self._phase, broken.how), broken.text) from None
        self._is_between_mails = True

    def carry(self, message: Message) -> Reply:
        """Hand one message over; returns the reply that took it."""
        options = self._options(message)
        self._is_between_mails = False
        self._bound(self._relay.limits.deadline)
        try:
            self._ask(Phase.MAIL, "MAIL", f"FROM:<{message.sender}>{options}")
            self._ask(Phase.RCPT, "RCPT", f"TO:<{message.recipient}>")
            self._ask(Phase.DATA, "DATA")
            reply = self._hand_over(_stuffed(message.data))
        except Broken as broken:
            raise Decided(judge_break(self._phase, broken.how), broken.text) from None
        self._is_between_mails = True
        return reply

    def is_ready(self, *, after_idling: bool) -> bool:
        """Tell whether another mail may start here; asks the server after a refusal or an idle time.

        Where the answer is no, the connection died with no mail at stake.
        """
        if self._wire.unread:
            return False
        if self._is_between_mails and not after_idling:
            return True
        self._bound(self._relay.limits.connect)
        try:
            self._is_between_mails = self._wire.docmd("RSET")[0] == 250
        except Broken:
            return False
        return self._is_between_mails and not self._wire.unread

    def leave(self) -> None:
        """Say goodbye if the server still listens, and close."""
        self._bound(FAREWELL)
        try:
            self._wire.docmd("QUIT")
        except Broken:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close without a word."""
        self._wire.close()

    def _dial(self) -> None:
        relay = self._relay
        try:
            self._wire.dial(relay.host, relay.port, relay.limits.connect)
        except (gaierror, UnicodeError) as error:
            raise _stop("dns_failure", str(error)) from None
        except OSError as error:
            raise _stop("unreachable", str(error)) from None
        if relay.security == "tls":
            self._wrap()
        self._phase = Phase.BANNER
        self._check(*self._wire.getreply())

    def _greet(self) -> None:
        self._phase = Phase.EHLO
        self._check(*self._wire.ehlo())

    def _start_tls(self) -> None:
        if not self._wire.has_extn("starttls"):
            raise _stop("tls_refused", "the server does not offer STARTTLS")
        self._ask(Phase.TLS, "STARTTLS")
        if self._wire.unread:  # RFC 3207: whoever put this in front of the handshake is not the server
            raise _stop("tls_refused", "the server went on in clear text after STARTTLS")
        self._wrap()
        self._greet()

    def _wrap(self) -> None:
        self._phase = Phase.TLS
        try:
            self._wire.wrap(self._tls, self._relay.host, self._relay.limits.connect)
        except (OSError, ValueError) as error:
            raise _stop("tls_refused", str(error)) from None

    def _log_in(self, login: Login) -> None:
        """Use AUTH PLAIN, or LOGIN where that is all there is (RFC 4954)."""
        self._phase = Phase.AUTH
        offered = self._wire.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            self._ask(Phase.AUTH, "AUTH", "PLAIN " + _base64(f"\0{login.user}\0{login.password}"))
        elif "LOGIN" in offered:
            self._ask(Phase.CHALLENGE, "AUTH", "LOGIN")
            self._ask(Phase.CHALLENGE, _base64(login.user))
            self._ask(Phase.AUTH, _base64(login.password))
        else:
            raise _stop("auth_refused", "the server offers neither AUTH PLAIN nor AUTH LOGIN")

    def _hand_over(self, data: bytes) -> Reply:
        """Write the message and then its dot; once a byte of the dot has left, a lost answer is a doubt."""
        self._phase = Phase.BODY
        self._wire.send(data)
        written = self._wire.write(DOT)
        self._phase = Phase.DOT
        self._wire.bound(patience=self._relay.limits.dot, deadline=self._relay.limits.dot)
        self._wire.send(DOT[written:])
        return self._check(*self._wire.getreply())

    def _options(self, message: Message) -> str:
        """Return the parameters of MAIL, sure that the server can take this message."""
        wire, size, options = self._wire, len(message.data), ""
        if wire.has_extn("size"):
            most = wire.esmtp_features["size"]
            if most.isdecimal() and 0 < int(most) < size:
                raise _stop("size_limit", f"the message has {size} octets, the server takes {most}")
            options += f" SIZE={size}"
        for needed, keyword, option in (
            (not message.data.isascii(), "8bitmime", " BODY=8BITMIME"),
            (message.smtputf8, "smtputf8", " SMTPUTF8"),
        ):
            if needed and not wire.has_extn(keyword):
                reason = f"the server does not offer {keyword.upper()}"
                raise Decided(Judgement(Outcome.FAILED, "relay_cannot"), reason)
            options += option if needed else ""
        return options

    def _ask(self, phase: Phase, command: str, arguments: str = "") -> Reply:
        self._phase = phase
        return self._check(*self._wire.docmd(command, arguments))

    def _check(self, code: int, text: bytes) -> Reply:
        reply = Reply(code, one_line(text.decode(errors="replace")))
        judgement = judge(self._phase, reply)
        if judgement is not None:
            raise Decided(judgement, reply.text, None if code == GARBAGE else code)
        return reply

    def _bound(self, deadline: float) -> None:
        self._wire.bound(patience=self._relay.limits.command, deadline=deadline)


def _stop(reason: str, text: str) -> Decided:
    return Decided(Judgement(Outcome.STOP, reason), text)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _stuffed(data: bytes) -> bytes:
    """Double the dots that start a line (RFC 5321 section 4.5.2); `data` ends in CRLF."""
    data = data.replace(b"\r\n.", b"\r\n..")
    return b"." + data if data.startswith(b".") else data
