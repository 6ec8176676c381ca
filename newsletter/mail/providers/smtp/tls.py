"""TLS without a socket: octets in, octets out, so that it is always known what has left (RFC 8446)."""

from __future__ import annotations

import ssl


class Tls:
    """Our end of one encrypted connection. Every method raises OSError or ValueError where TLS cannot go on."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def received(self, octets: memoryview) -> None:
        """Take what came over the network."""
        self._incoming.write(octets)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as possible; tells whether it is done, the certificate checked."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def outgoing(self) -> bytes:
        """Return what has to go over the network, the alert after an error too."""
        return self._outgoing.read()

    def encrypt(self, octets: bytes) -> bytes:
        """Return these octets as they go over the network, with whatever TLS had to say before."""
        if octets:
            self._object.write(octets)
        return self._outgoing.read()

    def read_into(self, room: memoryview) -> int | None:
        """Decrypt into `room`; returns how many octets, 0 at the end of the stream, None if more must come first."""
        try:
            return self._object.read(len(room), room)  # type: ignore[return-value]
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return 0
