"""From the name of a relay to a connected socket, and the name that we greet with."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from newsletter.mail.port import Outcome
from newsletter.mail.providers.smtp.opening import Decided
from newsletter.mail.providers.smtp.relay import Relay
from newsletter.mail.providers.smtp.replies import Judgement, one_line

Place = tuple[int, Any]  # an address family and an address of it


async def dial(loop: asyncio.AbstractEventLoop, relay: Relay) -> socket.socket:
    """Connect to the relay, at the first of its addresses that answers.

    A mail is a few small writes, each of which the server waits for: none is held back (TCP_NODELAY).

    :raises Decided: with a stop, if it has no address or nobody answers there in time
    """
    problem: OSError | None = None
    try:
        async with asyncio.timeout(relay.limits.connect):
            places = await _places(loop, relay)
            for place in places:
                try:
                    async with asyncio.timeout(relay.limits.connect / len(places)):
                        return await _connect(loop, place)
                except OSError as error:
                    problem = error
    except (socket.gaierror, UnicodeError) as error:
        raise _stop("dns_failure", error) from None
    except OSError as error:
        problem = error
    raise _stop("unreachable", problem)


async def _places(loop: asyncio.AbstractEventLoop, relay: Relay) -> list[Place]:
    if relay.host.startswith("/"):
        return [(socket.AF_UNIX, relay.host)]
    try:  # an address needs no resolver
        found = socket.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def _connect(loop: asyncio.AbstractEventLoop, place: Place) -> socket.socket:
    family, address = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def name_to_greet_with(relay: Relay, sock: socket.socket) -> str:
    """Return the name of the set-up, this machine's full name, or our address as a literal (RFC 5321 section 4.1.4)."""
    name = relay.helo or socket.gethostname()
    if relay.helo or "." in name:
        return name
    if sock.family == socket.AF_UNIX:
        return "localhost"
    try:
        address = sock.getsockname()[0]
    except OSError:
        return "localhost"
    return f"[IPv6:{address.partition('%')[0]}]" if sock.family == socket.AF_INET6 else f"[{address}]"


def _stop(reason: str, error: OSError | UnicodeError | None) -> Decided:
    text = one_line(str(error)) if error and str(error) else "the server did not answer in time"
    return Decided(Judgement(Outcome.STOP, reason), text)
