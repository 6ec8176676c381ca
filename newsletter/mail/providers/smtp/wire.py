"""The octets of one connection: what came, what has left, with TLS or without."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

from newsletter.mail.providers.smtp.parsing import ReplyParser
from newsletter.mail.providers.smtp.tls import Tls

MOST_BUFFERS = 512  # of one write; Linux takes 1,024
_TLS_ROOM = 16_384


class Listener(Protocol):
    """Whoever uses a wire."""

    def connected(self) -> None:
        """It can be written to, and nothing was received yet."""
        ...

    def received(self) -> None:
        """Octets came: take all replies out of the parser."""
        ...

    def encrypted(self) -> None:
        """The handshake is done."""
        ...

    def dot_left(self) -> None:
        """The dot that `write_body` could not write has been written."""
        ...

    def lost(self, text: str) -> None:
        """The connection has ended."""
        ...


class Wire(asyncio.BufferedProtocol):
    """One connected socket. It tells its listener what happens, until it is closed.

    The first attempt to write goes to the socket itself, so that a mail's parts are never copied together and it is
    certain whether its dot has left; asyncio's transport gets what the socket does not take at once.
    """

    def __init__(self, listener: Listener, sock: socket.socket) -> None:
        self.parser = ReplyParser()
        self._listener = listener
        self._socket = sock
        self._transport: asyncio.Transport | None = None
        self._tls: Tls | None = None
        self._is_shaking_hands = False
        self._cipher_room = memoryview(b"")
        self._is_attached = False  # the socket belongs to asyncio
        self._is_closed = False
        self._is_broken = False  # for writing; what the server still said can be read
        self._is_dot_here = False  # in the transport's buffer
        self._held = b""  # what follows that dot

    async def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen."""
        self._is_attached = True
        await loop.create_connection(lambda: self, sock=self._socket)

    @property
    def unsent(self) -> int:
        """The octets that the other side has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size() + len(self._held)

    def write(self, octets: bytes) -> None:
        """Write commands."""
        if self._held:
            self._held += octets
        else:
            self._write((octets,) if self._tls is None else (self._tls.encrypt(octets),))

    def write_body(self, parts: list[bytes], behind: bytes) -> bool:
        """Write a message up to its dot and the commands behind it; tells whether the dot has left.

        If it has not, the listener hears of it later, and what is behind waits for that moment.
        """
        behind_now, behind_then = behind, b""
        if self._tls is not None:  # what is encrypted has its place among the octets, so it is not done in advance
            parts, behind_now, behind_then = [self._tls.encrypt(b"".join(parts))], b"", behind
        size = sum(map(len, parts))
        if len(parts) > MOST_BUFFERS:
            parts = [b"".join(parts)]
        sent = self._send((*parts, behind_now)) if not self.unsent else 0
        if sent >= size:
            self._write((behind_now[sent - size :],))
            self.write(behind_then)
            return True
        self._is_dot_here = True
        self._held = behind_now or behind_then
        self._hand_over(b"".join(parts)[sent:])
        return False

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Begin the handshake; the listener hears when it is done.

        :raises OSError: if that is not possible
        :raises ValueError: likewise
        """
        self._tls = Tls(context, host)
        self._cipher_room = memoryview(bytearray(_TLS_ROOM))
        self._is_shaking_hands = True
        self._shake_hands(self._tls)

    def close(self) -> None:
        """Close at once; the listener hears no more."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()
        elif not self._is_attached:
            self._socket.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (that is what stream sockets have)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # so that `resume_writing` means: all has left
        if self._is_closed:
            transport.abort()
        else:
            self._listener.connected()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (there is what there is)
        return self.parser.room() if self._tls is None else self._cipher_room

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_closed:
            return
        if self._tls is None:
            self.parser.filled(nbytes)
            self._listener.received()
            return
        try:
            self._tls.received(self._cipher_room[:nbytes])
            if self._is_shaking_hands:
                self._shake_hands(self._tls)
            if not self._is_shaking_hands:
                self._decrypt(self._tls)
        except (OSError, ValueError) as error:
            self._listener.lost(str(error))

    def resume_writing(self) -> None:
        if self._is_closed or not self._is_dot_here:
            return
        self._is_dot_here = False
        held, self._held = self._held, b""
        self._listener.dot_left()
        if held:
            self.write(held)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_closed:
            self._listener.lost(str(exc) if exc else "the server closed the connection")

    # Within.

    def _shake_hands(self, tls: Tls) -> None:
        try:
            is_done = tls.shake_hands()
        finally:
            self._write((tls.outgoing(),))
        if is_done:
            self._is_shaking_hands = False
            self._listener.encrypted()

    def _decrypt(self, tls: Tls) -> None:
        """Let the listener look when all that came is in its parser: what stands behind a reply matters."""
        count: int | None = 1
        while count and not self._is_closed:
            while (room := self.parser.room()) and (count := tls.read_into(room)):
                self.parser.filled(count)
            self._listener.received()
        if self._is_closed:
            return
        if count == 0:
            self._listener.lost("the server closed the connection")
        elif octets := tls.outgoing():
            self._write((octets,))

    def _write(self, parts: Sequence[bytes]) -> None:
        octets = b"".join(parts)
        if not octets:
            return
        sent = self._send((octets,)) if not self.unsent else 0
        if sent < len(octets):
            self._hand_over(octets[sent:])

    def _send(self, parts: Sequence[bytes]) -> int:
        if self._is_broken or self._is_closed:
            return 0
        try:
            return self._socket.sendmsg(parts)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the reader will say why, after the last words of the server
            self._is_broken = True
            return 0

    def _hand_over(self, octets: bytes) -> None:
        if self._transport is not None and not (self._is_broken or self._is_closed):
            self._transport.write(octets)
