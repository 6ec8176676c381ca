"""Visitors: so many connections that are kept, each with one request under way at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

PATIENCE = 60.0  # seconds for one answer


@dataclass(frozen=True, slots=True)
class Form:
    """A form that is sent to a path."""

    path: str
    fields: Sequence[tuple[str, str]]

    def octets(self) -> bytes:
        body = urlencode(self.fields).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Visits:
    """How long each answer took, in seconds, and how many were not 200."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.elapsed

    def percentile(self, share: float) -> float:
        """Return below which so large a share of the answers came, in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def visit(port: int, forms: Sequence[Form], *, connections: int, per_second: float | None = None) -> Visits:
    """Send these forms, no faster than asked (None: as fast as answers come)."""
    return asyncio.run(_visit(port, iter(forms), connections, per_second))


async def _visit(port: int, forms: Iterator[Form], connections: int, per_second: float | None) -> Visits:
    found = Visits()
    began = time.perf_counter()
    paced = _paced(forms, per_second)
    taking = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_keep_visiting(port, paced, taking, found))
    found.elapsed = time.perf_counter() - began
    return found


async def _paced(forms: Iterator[Form], per_second: float | None) -> AsyncIterator[Form]:
    due = time.perf_counter()
    for form in forms:
        if per_second:
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        yield form


async def _keep_visiting(port: int, forms: AsyncIterator[Form], taking: asyncio.Lock, found: Visits) -> None:
    streams = None
    while True:
        async with taking:
            form = await anext(forms, None)
        if form is None:
            break
        began = time.perf_counter()
        streams = streams or await asyncio.open_connection("127.0.0.1", port)
        status, is_kept = await asyncio.wait_for(_exchange(*streams, form.octets()), PATIENCE)
        found.seconds.append(time.perf_counter() - began)
        found.failed += status != 200
        if not is_kept:
            streams[1].close()
            streams = None
    if streams:
        streams[1].close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> tuple[int, bool]:
    writer.write(octets)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].split("\r\n", 1)[0])
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1]), "connection: close" not in head
