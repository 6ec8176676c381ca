"""smtplib's client, mended: every wait ends, every reply is checked, and how a connection broke is told."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from newsletter.mail.providers.smtp.replies import GARBAGE, Break

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LONGEST_REPLY = 65_536  # octets; more is no reply
CHUNK = 4096
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)


class Broken(smtplib.SMTPServerDisconnected):
    """The dialogue ended without a reply."""

    def __init__(self, how: Break, text: str) -> None:
        super().__init__(text)
        self.how = how
        self.text = text


class Wire(smtplib.SMTP):
    """One connection to a server; reading and writing raise `Broken` for whatever server and network do."""

    def __init__(self, local_hostname: str | None, stopwatch: Callable[[], float]) -> None:
        super().__init__(local_hostname=local_hostname)
        self.unread = b""
        self._stopwatch = stopwatch
        self._patience = self._due = 0.0

    def dial(self, host: str, port: int, seconds: float) -> None:
        """Connect; a mail is many small writes, each of which the server waits for, so none is held back.

        :raises OSError: if nobody answers there
        """
        self.sock = socket.create_connection((host, port), seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wrap(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Turn this connection to TLS, the server's certificate checked against `host`.

        :raises OSError: if that is not possible
        """
        sock = self._connected()
        sock.settimeout(seconds)
        self.sock = context.wrap_socket(sock, server_hostname=host)

    def bound(self, *, patience: float, deadline: float) -> None:
        """From now on wait at most `patience` seconds for a sign of life, and `deadline` seconds in all."""
        self._patience = patience
        self._due = self._stopwatch() + deadline

    def send(self, s: ReadableBuffer | str) -> None:
        """Write all of it."""
        view = memoryview(s.encode() if isinstance(s, str) else s)
        while view:
            view = view[self.write(view) :]

    def write(self, data: ReadableBuffer) -> int:
        """Write some of it and return how much; if this raises, nothing of it has left."""
        sock = self._ready()
        try:
            return sock.send(data)
        except OSError as error:
            raise self._broken(sock, error) from None

    def getreply(self) -> tuple[int, bytes]:
        """Read one complete reply; its code is GARBAGE if it is none (RFC 5321 section 4.2)."""
        lines: list[bytes] = []
        code, octets = b"", 0
        while True:
            line = self._read_line()
            octets += len(line) + 2
            found = _REPLY_LINE.fullmatch(line)
            if not found or (code and found[1] != code) or octets > LONGEST_REPLY:
                return GARBAGE, line or b"(an empty line)"
            code = found[1]
            lines.append(found[3] or b"")
            if found[2] != b"-":
                return int(code), b"\n".join(lines)

    def _read_line(self) -> bytes:
        while b"\n" not in self.unread and len(self.unread) < LONGEST_REPLY:
            sock = self._ready()
            try:
                chunk = sock.recv(CHUNK)
            except OSError as error:
                raise self._broken(sock, error) from None
            if not chunk:
                raise Broken(Break.LOST, "the server closed the connection")
            self.unread += chunk
        line, _, self.unread = self.unread.partition(b"\n")
        return line.removesuffix(b"\r")

    def _ready(self) -> socket.socket:
        """Return the socket with its time-out set to what is left."""
        sock = self._connected()
        left = self._due - self._stopwatch()
        if left <= 0:
            raise Broken(Break.TOO_SLOW, "the deadline passed")
        sock.settimeout(min(left, self._patience))
        return sock

    def _connected(self) -> socket.socket:
        if self.sock is None:
            raise Broken(Break.LOST, "the connection is closed")
        return self.sock

    def _broken(self, sock: socket.socket, error: OSError) -> Broken:
        if not isinstance(error, TimeoutError):
            return Broken(Break.LOST, str(error))
        if sock.gettimeout() == self._patience:
            return Broken(Break.SILENT, "the server did not answer in time")
        return Broken(Break.TOO_SLOW, "the deadline passed")
