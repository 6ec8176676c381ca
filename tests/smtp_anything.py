"""An SMTP server on loopback that answers anything at any time, as a plan says, and logs every octet both ways."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

OFFERS = "250-hello\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 8BITMIME"
OFFERS_WITHOUT_PIPELINING = "250-hello\r\n250 SIZE 1000000"


@dataclass(frozen=True)
class Say:
    """What happens to one reply: it is replaced by these octets, sent so many times, in two pieces or one, and then
    perhaps the connection ends."""

    instead: bytes | None = None
    times: int = 1
    split: bool = False
    end: str = ""  # or close, or reset


GOOD = Say()


@dataclass
class Talk:
    """What passed over one connection, in order: (True, octets) came in, (False, octets) went out."""

    plan: list[Say]
    log: list[tuple[bool, bytes]] = field(default_factory=list)
    unread: bytes = b""
    is_in_data: bool = False

    def answer(self, good: bytes) -> tuple[bytes, Say]:
        say = self.plan.pop(0) if self.plan else GOOD
        return (good if say.instead is None else say.instead) * say.times, say


class AnythingServer:
    """Serves all connections in one thread; the n-th connection follows the n-th plan, those after it are good."""

    def __init__(self, plans: Sequence[Sequence[Say]], offers: str = OFFERS) -> None:
        self.talks: list[Talk] = []
        self._plans = plans
        self._offers = offers

    def __enter__(self) -> Self:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._open: dict[socket.socket, Talk] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for each in (self._wake, self._woken, self._listener, *self._open):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._read(key.fileobj)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = len(self.talks)
        talk = Talk(list(self._plans[number]) if number < len(self._plans) else [])
        self.talks.append(talk)
        self._open[connection] = talk
        self._selector.register(connection, selectors.EVENT_READ)
        self._send(connection, talk, b"220 ready\r\n")

    def _read(self, connection: socket.socket) -> None:
        talk = self._open[connection]
        try:
            octets = connection.recv(1_000_000)
        except OSError:
            octets = b""
        if not octets:
            self._close(connection)
            return
        talk.log.append((True, octets))
        talk.unread += octets
        while connection in self._open and (good := self._next(talk)) is not None:
            self._send(connection, talk, good)

    def _next(self, talk: Talk) -> bytes | None:
        """Take one command or one message in, and return what a good server says to it."""
        if talk.is_in_data:
            end = 0 if talk.unread.startswith(b".\r\n") else talk.unread.find(b"\r\n.\r\n") + 2
            if end == 1:
                return None
            talk.unread = talk.unread[end + 3 :]
            talk.is_in_data = False
            return b"250 2.0.0 queued\r\n"
        line, end_of_line, rest = talk.unread.partition(b"\n")
        if not end_of_line:
            return None
        talk.unread = rest
        verb = line[:4].upper()
        if verb == b"EHLO":
            return self._offers.encode() + b"\r\n"
        if verb == b"DATA":
            return b"354 go on\r\n"
        return b"250 2.1.0 fine\r\n" if verb in {b"HELO", b"MAIL", b"RCPT", b"RSET", b"QUIT"} else b"500 what\r\n"

    def _send(self, connection: socket.socket, talk: Talk, good: bytes) -> None:
        octets, say = talk.answer(good)
        talk.log.append((False, octets))
        talk.is_in_data = good.startswith(b"354") and re.search(rb"^354[ \r]", octets, re.MULTILINE) is not None
        pieces = [octets[: len(octets) // 2], octets[len(octets) // 2 :]] if say.split else [octets]
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
        if say.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if say.end:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._open[connection]
        connection.close()

    # What the log proves.

    def answers(self, key: int) -> list[bytes]:
        """For each time that the whole message `key` came in, up to its dot: what went out there afterwards."""
        return [
            b"".join(octets for came, octets in talk.log[place:] if not came)
            for talk in self.talks
            for place in _copies(talk, key)
        ]

    def said(self) -> bytes:
        return b"".join(octets for talk in self.talks for came, octets in talk.log if not came)


def _copies(talk: Talk, key: int) -> list[int]:
    """The places in the log by which the message had come in."""
    pattern = re.compile(rb"^Message-ID: <%d@x>\r\n\r\n.*?\r\n\.\r\n" % key, re.MULTILINE | re.DOTALL)
    octets, found = b"", []
    for place, (came, piece) in enumerate(talk.log):
        if came:
            before = len(octets)
            octets += piece
            found += [place] * sum(match.end() > before for match in pattern.finditer(octets))
    return found
