"""An SMTP server on loopback that does one thing wrong, as told, and writes down what it was given."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Self

CERTIFICATE = Path(__file__).with_suffix(".pem")  # self-signed, for 127.0.0.1; its key guards nothing
GOOD = {
    "BANNER": "220 ready",
    "EHLO": "250-hello\r\n250-SIZE 1000000\r\n250 8BITMIME",
    "LHLO": "250-hello\r\n250 PIPELINING",
    "HELO": "250 hello",
    "STARTTLS": "220 go ahead",
    "AUTH": "235 welcome",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 queued",
    "RSET": "250 2.0.0 fresh",
    "QUIT": "221 2.0.0 bye",
}


class Fault(Enum):
    """What the server does in place of a reply."""

    RESET = auto()  # abort the connection
    CLOSE = auto()  # end it in order
    SILENCE = auto()  # say nothing and wait
    DRIP = auto()  # send a reply without end, a byte at a time
    DEAF = auto()  # BODY only: read nothing and wait


Act = str | bytes | float | Fault


@dataclass(frozen=True)
class Received:
    sender: str
    recipient: str
    data: bytes


@dataclass
class FaultServer:
    """Says GOOD, but for `script`: by phase, an act, or the acts of one time after another (then GOOD again).

    The phases are the verbs, BANNER, HANDSHAKE (before TLS), BODY (after 354, before anything is read) and DOT. A text
    is a reply without its CRLF, octets are sent as they are, a number is a delay in seconds before the GOOD reply.
    `offers` is said to EHLO; `faulty` is the number of the only connection that follows the script, 0 for all; every
    DOT takes `pause` seconds. Lone dots for nobody are counted.
    """

    script: Mapping[str, Act | Sequence[Act]] = field(default_factory=dict)
    tls_from_start: bool = False
    offers: str = GOOD["EHLO"]
    faulty: int = 0
    pause: float = 0.0
    lone_dots: int = 0
    received: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._plans = {phase: [acts] if isinstance(acts, Act) else list(acts) for phase, acts in self.script.items()}
        self._forever = {phase for phase, acts in self.script.items() if isinstance(acts, Act)}
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        talk = _Talk(self, connection, number)
        self._open.append(connection)
        with contextlib.suppress(OSError):
            talk.run()
        talk.close()

    def next_act(self, phase: str, number: int) -> Act | None:
        plan = self._plans.get(phase) if self.faulty in {0, number} else None
        if not plan:
            return self.offers if phase == "EHLO" else GOOD.get(phase)
        return plan[0] if phase in self._forever else plan.pop(0)


class _Ended(Exception):
    """The talk is over."""


class _Talk:
    def __init__(self, server: FaultServer, connection: socket.socket, number: int) -> None:
        self._server = server
        self._number = number
        self._socket = connection
        self._unread = b""
        self._sender = self._recipient = ""

    def run(self) -> None:
        try:
            if self._server.tls_from_start:
                self._wrap()
            self._act("BANNER")
            while True:
                self._command(self._line())
        except _Ended:
            return

    def close(self) -> None:
        self._socket.close()

    def _command(self, line: str) -> None:
        self._server.commands.append(line)
        verb = line.partition(" ")[0].upper()
        if verb == "MAIL":
            self._sender = line.partition("<")[2].partition(">")[0]
        elif verb == "RCPT":
            self._recipient = line.partition("<")[2].partition(">")[0]
        said = self._act(verb if verb in GOOD else "AUTH")
        if verb == "RCPT" and not said.startswith("2"):
            self._recipient = ""
        if verb == "STARTTLS" and said.startswith("220"):
            self._wrap()
        elif verb == "DATA" and said.startswith("354"):
            self._take()
        elif verb == "QUIT":
            raise _Ended

    def _take(self) -> None:
        self._act("BODY")
        lines = []
        while (line := self._raw_line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        self._server._stopping.wait(self._server.pause)
        is_good = self._act("DOT").startswith("2")
        if not self._recipient and not lines:
            self._server.lone_dots += 1
        elif is_good:
            self._server.received.append(Received(self._sender, self._recipient, b"".join(lines)))

    def _act(self, phase: str) -> str:
        """Do what is due in this phase and return what was said."""
        act = self._server.next_act(phase, self._number)
        if isinstance(act, Fault):
            self._fail(act)
        elif isinstance(act, float):
            self._server._stopping.wait(act)
            return self._say(GOOD[phase])
        elif isinstance(act, bytes):
            self._socket.sendall(act)
            return act.decode("latin-1")
        elif act is not None:
            return self._say(act)
        return ""

    def _say(self, reply: str) -> str:
        self._socket.sendall(f"{reply}\r\n".encode())
        return reply

    def _fail(self, fault: Fault) -> None:
        if fault is Fault.RESET:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault is Fault.DRIP:
            while not self._server._stopping.wait(0.02):
                self._socket.sendall(b"2")
        elif fault is Fault.DEAF:
            self._server._stopping.wait(30)
        elif fault is Fault.SILENCE:
            while self._socket.recv(65_536):
                pass
        raise _Ended

    def _wrap(self) -> None:
        self._act("HANDSHAKE")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._server._open.append(self._socket)

    def _line(self) -> str:
        return self._raw_line().decode("utf-8", "replace").removesuffix("\r\n")

    def _raw_line(self) -> bytes:
        while b"\n" not in self._unread:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise _Ended
            self._unread += chunk
        line, end, self._unread = self._unread.partition(b"\n")
        return line + end


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Give a port of loopback at which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
