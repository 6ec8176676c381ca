"""A server that counts, keeps what came if it is told to, and speaks TLS: in Python, where the one in C cannot serve.

Usage: python -m benchmarks.sending.counting PORT WORKERS [--keep FILE --most N] [--tls CERTIFICATE KEY]

It prints "ready" when it listens; at SIGTERM, as JSON, how many messages and octets came, and the CPU seconds it spent.
Kept messages are written as JSON lines: sender, recipient, and the message, its dots taken away, in base64.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BUFFER = 512 * 1024
DOT = b"\r\n.\r\n"
GO_ON = b"354 Go on\r\n"
BANNER = b"220 counting.example ESMTP\r\n"
OFFERS = ("counting.example", "PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(slots=True)
class Envelope:
    """A message as it came."""

    sender: str
    recipient: str
    data: bytes


class Session:
    """One connection's dialogue (RFC 5321), fed with whatever octets come: commands may be pipelined (RFC 2920)."""

    def __init__(self, *, keep: Callable[[Envelope], None] | None = None, starttls: bool = False) -> None:
        self.messages = 0
        self.is_over = False
        self.wants_tls = False
        self._keep = keep
        self._starttls = starttls
        self._in_data = False
        self._sender = self._recipient = ""
        self._chunks: list[bytes] = []

    def feed(self, buffer: bytearray, length: int) -> tuple[bytes, int]:
        """Go through the first `length` octets; return the replies, and how many octets at their end are unread."""
        place, replies = 0, bytearray()
        while place < length and not (self.is_over or self.wants_tls):
            if self._in_data:
                end = buffer.find(DOT, place, length)
                if end < 0:
                    tail = min(len(DOT) - 1, length - place)
                    self._note(buffer, place, length - tail)
                    return bytes(replies), tail
                self._note(buffer, place, end + 2)
                place = end + len(DOT)
                replies += self._done()
            else:
                end = buffer.find(b"\r\n", place, length)
                if end < 0:
                    break
                line = bytes(buffer[place:end])
                # The search for the dot begins at the line end of DATA, because a message may be empty.
                place = end + 2
                answer = self._answer(line)
                place -= 2 if answer == GO_ON else 0
                replies += answer
        return bytes(replies), length - place

    def _note(self, buffer: bytearray, start: int, end: int) -> None:
        if self._keep is not None:
            self._chunks.append(bytes(buffer[start:end]))

    def _done(self) -> bytes:
        self._in_data = False
        self.messages += 1
        if self._keep is not None:
            data = b"".join(self._chunks).replace(b"\r\n..", b"\r\n.").removeprefix(b"\r\n")
            self._keep(Envelope(self._sender, self._recipient, data))
            self._chunks = []
        return b"250 2.0.0 Ok\r\n"

    def _answer(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                offers = [*OFFERS, *(["STARTTLS"] if self._starttls else [])]
                lines = [f"250{' ' if each is offers[-1] else '-'}{each}\r\n" for each in offers]
                return "".join(lines).encode()
            case b"MAIL":
                self._sender = _path(line)
            case b"RCPT":
                self._recipient = _path(line)
            case b"DATA":
                self._in_data = True
                return GO_ON
            case b"STAR" if self._starttls:
                self.wants_tls = True
                return b"220 2.0.0 Go on\r\n"
            case b"QUIT":
                self.is_over = True
                return b"221 2.0.0 Bye\r\n"
        return b"250 2.0.0 Ok\r\n"


def _path(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode(errors="replace")


class Worker:
    """One process: a thread for each connection, and what they counted."""

    def __init__(self, listener: socket.socket, *, tls: ssl.SSLContext | None, keep: Path | None, most: int) -> None:
        self.messages = self.octets = 0
        self._listener = listener
        self._tls = tls
        self._kept = keep
        self._most = most
        self._lock = threading.Lock()

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # the client is free to go
            self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        session = Session(keep=self._write if self._kept else None, starttls=self._tls is not None)
        buffer, unread = bytearray(BUFFER), 0
        view = memoryview(buffer)
        connection.sendall(BANNER)
        while not session.is_over:
            came = connection.recv_into(view[unread:])
            if not came:
                break
            before = session.messages
            replies, left = session.feed(buffer, unread + came)
            with self._lock:
                self.messages += session.messages - before
                self.octets += came
            view[:left] = view[unread + came - left : unread + came]
            unread = left
            if replies:
                connection.sendall(replies)
            if session.wants_tls and self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                session = Session(keep=self._write if self._kept else None)
        connection.close()

    def _write(self, envelope: Envelope) -> None:
        with self._lock:
            if self._most <= 0 or self._kept is None:
                return
            self._most -= 1
            line = {**_texts(envelope), "data": base64.b64encode(envelope.data).decode()}
            with self._kept.open("a", encoding="ascii") as file:
                file.write(json.dumps(line) + "\n")


def _texts(envelope: Envelope) -> dict[str, str]:
    return {"sender": envelope.sender, "recipient": envelope.recipient}


def read_kept(path: Path) -> list[Envelope]:
    """Return the messages that a server kept."""
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    return [Envelope(line["sender"], line["recipient"], base64.b64decode(line["data"])) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("workers", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--tls", nargs=2)
    arguments = parser.parse_args()
    counts = multiprocessing.Array("d", 3 * arguments.workers)
    listeners = [_listen(arguments.port) for _ in range(arguments.workers)]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    children = []
    for number in range(arguments.workers):
        child = os.fork()
        if not child:
            counts[3 * number : 3 * number + 3] = _work(listeners, number, arguments)
            os._exit(0)
        children.append(child)
    # The parent must not hold the sockets: connections that it never accepts would come to it.
    for listener in listeners:
        listener.close()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    messages, octets, cpu = (sum(counts[place::3]) for place in range(3))
    print(json.dumps({"messages": int(messages), "octets": int(octets), "cpu": cpu}), flush=True)


def _work(listeners: list[socket.socket], number: int, arguments: argparse.Namespace) -> list[float]:
    """Serve one of the sockets until SIGTERM; return messages, octets, CPU seconds."""
    for other in listeners[:number] + listeners[number + 1 :]:
        other.close()
    tls = None
    if arguments.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*arguments.tls)
    worker = Worker(listeners[number], tls=tls, keep=arguments.keep, most=arguments.most)
    threading.Thread(target=worker.run, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    used = os.times()
    return [worker.messages, worker.octets, used.user + used.system]


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


if __name__ == "__main__":
    main()
