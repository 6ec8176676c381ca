"""A mail server that writes down whom it took which mail for, and from whom; a process of its own.

    python counting_server.py LOG RATE REFUSED

Takes RATE mails a second over all its connections, pauses now and then, offers PIPELINING, and says 4xx to the first
try of REFUSED per cent of the recipients. Prints its port, then obeys one order a line (`hold`, `release`, `rate 80`,
`drop NAME`, `gone NAME`, where NAME is the one that a client greeted with) and answers `ok`; ends with its input.

LOG has a line of JSON for each mail taken and for each answer written: ["taken", NAME, recipient, Message-ID] and
["told", NAME, recipient].
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable

LARGEST = 1 << 26
MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
PAUSES, LONGEST_PAUSE = 0.02, 0.1  # how many mails in one are kept waiting, and for how many seconds at most


class Memory:
    """What all connections share: the log, the pace, who was refused once, who is connected."""

    def __init__(self, log: int, *, rate: float, refused: float) -> None:
        self._log = log
        self._refused = refused
        self._refused_once: set[tuple[str, str]] = set()
        self._turn = 0.0
        self._dice = random.Random(7)
        self.rate = rate
        self.open = asyncio.Event()
        self.open.set()
        self.lines: dict[str, set[Line]] = defaultdict(set)

    def write(self, *words: str) -> None:
        """Write a line that stays whatever becomes of us: one write, and the page cache outlives its process."""
        os.write(self._log, json.dumps(words).encode() + b"\n")

    async def turn(self) -> None:
        """Wait until it is one's turn."""
        loop = asyncio.get_running_loop()
        self._turn = max(self._turn, loop.time()) + self._dice.uniform(0, 2) / self.rate
        await asyncio.sleep(max(0.0, self._turn - loop.time()))
        if self._dice.random() < PAUSES:
            await asyncio.sleep(self._dice.uniform(0, LONGEST_PAUSE))

    def refuses(self, stage: str, recipient: str) -> bool:
        """Say whether this is the first try of a recipient who is refused once at this stage."""
        if zlib.crc32(f"{stage} {recipient}".encode()) % 1000 >= self._refused * 10:
            return False
        is_first = (stage, recipient) not in self._refused_once
        self._refused_once.add((stage, recipient))
        return is_first


class Line:
    """One connection; what stands in its buffer when the client dies is taken like all else, as by any server."""

    def __init__(self, memory: Memory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._memory = memory
        self._reader = reader
        self._writer = writer
        self._recipient = ""
        self.name = ""

    async def talk(self) -> None:
        try:
            await self._say("220 counting.test ESMTP")
            while line := await self._reader.readline():
                await self._command(line.decode("utf-8", "replace").strip())
        except (ConnectionError, asyncio.IncompleteReadError, EOFError):
            pass
        finally:
            self._memory.lines[self.name].discard(self)
            self._writer.transport.abort()

    def drop(self) -> None:
        self._writer.transport.abort()

    async def _command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO" | "HELO" | "LHLO":
                await self._greet(rest)
            case "RCPT":
                await self._rcpt(line)
            case "DATA" if self._recipient:
                await self._data()
            case "DATA":
                await self._say("503 5.5.1 no recipient")
            case "QUIT":
                await self._say("221 2.0.0 bye")
                raise EOFError
            case "MAIL" | "RSET":
                self._recipient = ""
                await self._say("250 2.0.0 ok")
            case _:
                await self._say("250 2.0.0 ok")

    async def _greet(self, name: str) -> None:
        self._memory.lines[self.name].discard(self)
        self.name = name
        self._memory.lines[name].add(self)
        await self._say("250-counting.test", "250-PIPELINING", "250-SMTPUTF8", "250-8BITMIME", "250 SIZE 50000000")

    async def _rcpt(self, line: str) -> None:
        recipient = line.partition("<")[2].partition(">")[0]
        if self._memory.refuses("rcpt", recipient):
            await self._say("451 4.7.1 greylisted, come back")
            return
        self._recipient = recipient
        await self._say("250 2.1.5 ok")

    async def _data(self) -> None:
        await self._say("354 go on")
        message = await self._reader.readuntil(b"\r\n.\r\n")
        recipient, self._recipient = self._recipient, ""
        await self._memory.turn()
        if self._memory.refuses("dot", recipient):
            await self._say("452 4.3.1 no room just now")
            return
        found = MESSAGE_ID.search(message)
        self._memory.write("taken", self.name, recipient, found[1].decode() if found else "none")
        await self._memory.open.wait()
        await self._say("250 2.0.0 taken")
        self._memory.write("told", self.name, recipient)

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(line + "\r\n" for line in lines).encode())
        await self._writer.drain()


async def obey(memory: Memory, orders: asyncio.StreamReader) -> None:
    """Do as the test says, until it says no more."""
    while order := (await orders.readline()).decode().split():
        match order:
            case ["hold"]:
                memory.open.clear()
            case ["release"]:
                memory.open.set()
            case ["rate", rate]:
                memory.rate = float(rate)
            case ["drop", name]:
                _drop(memory.lines[name])
            case ["gone", name]:
                while memory.lines[name]:  # noqa: ASYNC110 (asked for once a kill)
                    await asyncio.sleep(0.005)
        _answer("ok")


def _drop(lines: Iterable[Line]) -> None:
    for line in list(lines):
        line.drop()


def _answer(word: str) -> None:
    os.write(sys.stdout.fileno(), word.encode() + b"\n")


async def main(log_path: str, rate: str, refused: str) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    memory = Memory(log, rate=float(rate), refused=float(refused))

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await Line(memory, reader, writer).talk()

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=LARGEST)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _answer(str(server.sockets[0].getsockname()[1]))
    await obey(memory, orders)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
