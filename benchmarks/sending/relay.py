"""A relay that holds everything back for some time in each direction and never narrows the way: added latency.

Usage: python -m benchmarks.sending.relay PORT TO_PORT SECONDS
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from contextlib import suppress

CHUNK = 1024 * 1024


class Held:
    """Octets that leave, in their order, so many seconds after they came."""

    def __init__(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        self._writer = writer
        self._seconds = seconds
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._came = asyncio.Event()

    def add(self, octets: bytes) -> None:
        """Take octets on; an empty one is the end."""
        self._waiting.append((asyncio.get_running_loop().time() + self._seconds, octets))
        self._came.set()

    async def pass_on(self) -> None:
        """Write until the end."""
        while True:
            while not self._waiting:
                self._came.clear()
                await self._came.wait()
            due, octets = self._waiting.popleft()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            if not octets:
                self._writer.close()
                return
            self._writer.write(octets)


async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Carry one direction of a connection."""
    held = Held(writer, seconds)
    passing = asyncio.create_task(held.pass_on())
    octets = b"begin"
    while octets:
        try:
            octets = await reader.read(CHUNK)
        except ConnectionError:
            octets = b""
        held.add(octets)
    with suppress(ConnectionError):
        await passing


async def relay(port: int, to_port: int, seconds: float) -> None:
    """Serve until this process is ended."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to_port, limit=CHUNK)
        await asyncio.gather(one_way(reader, back, seconds), one_way(there, writer, seconds))

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=CHUNK, backlog=1000)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    port, to_port, seconds = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(relay(int(port), int(to_port), float(seconds)))


if __name__ == "__main__":
    main()
