"""The HTTP APIs of mail providers on loopback: each does with a mail what the name of its recipient says."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from enum import Enum, auto
from typing import Any, Self

from smtp_faults import CERTIFICATE, closed_port


class Fault(Enum):
    """What the server does in place of an answer, once it has the whole request."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()
    DRIP = auto()  # an answer without end, a byte at a time
    CUT = auto()  # an answer that ends in the middle of its body


@dataclass(frozen=True)
class Seen:
    """A request as it came; the names of its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    content: object = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def octets(self) -> bytes:
        body = self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} so\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


Act = Said | Fault | bytes


@dataclass
class ApiServer:
    """Answers each request as `act` says; octets are sent as they are, and the connection ends behind them.

    `before_body` is called with the head of a request and may return what is done in place of reading its body.
    """

    act: Callable[[Seen], Act]
    before_body: Callable[[dict[str, str]], Act | None] = lambda _headers: None
    has_tls: bool = False
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
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

    @property
    def url(self) -> str:
        return f"http{'s' if self.has_tls else ''}://127.0.0.1:{self.port}"

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.has_tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(CERTIFICATE)
                connection = context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as stream:
                while self._answer(connection, stream):
                    pass

    def _answer(self, connection: socket.socket, stream: Any) -> bool:
        """Answer one request; tells whether the connection goes on."""
        words = stream.readline().decode("latin-1").split()
        if len(words) != 3:
            return False
        headers = {}
        while line := stream.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        act = self.before_body(headers)
        if act is None:
            seen = Seen(words[0], words[1], headers, stream.read(int(headers.get("content-length", "0"))))
            self.seen.append(seen)
            act = self.act(seen)
        if isinstance(act, Said):
            connection.sendall(act.octets)
            return True
        if isinstance(act, bytes):
            connection.sendall(act)
        else:
            self._fail(connection, act)
        return False

    def _fail(self, connection: socket.socket, fault: Fault) -> None:
        if fault is Fault.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault is Fault.SILENCE:
            self._stopping.wait(30)
        elif fault is Fault.DRIP:
            connection.sendall(b"HTTP/1.1 200 so\r\nX: ")
            while not self._stopping.wait(0.02):
                connection.sendall(b"x")
        elif fault is Fault.CUT:
            connection.sendall(b"HTTP/1.1 200 so\r\nContent-Length: 1000\r\n\r\n{")


@dataclass(frozen=True)
class Mail:
    """A mail as an API understood it; None for what it is not told."""

    recipient: str
    sender: str | None = None
    data: bytes | None = None
    fields: dict[str, Any] | None = None


@dataclass(frozen=True)
class Dialect:
    """How one provider speaks: what is in a request, and its words for a taken mail and for those of these names."""

    read: Callable[[Seen], list[Mail]]
    taken: Callable[[int], Said]
    refused: dict[str, Said]
    welcome: Said
    key_is_in: Callable[[Seen], bool]
    is_bulk: bool = False


class Provider:
    """The API of one provider: keeps the mails it takes in `mails`."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.mails: list[Mail] = []
        self._lock = threading.Lock()

    def act(self, seen: Seen) -> Act:
        if not self.dialect.key_is_in(seen):
            return Said(401, {"message": "who are you?", "Message": "who are you?"})
        if seen.method == "GET" or not seen.body:
            return self.dialect.welcome
        mails = self.dialect.read(seen)
        names = {mail.recipient.partition("@")[0] for mail in mails}
        if refused := next((WHOLE[name] for name in WHOLE if name in names), None):
            return refused
        answers = [self._single(mail) for mail in mails]
        fault = next((FAULTS[name] for name in FAULTS if name in names), None)
        if fault is not None:
            return fault
        return Said(200, [each.content for each in answers]) if self.dialect.is_bulk else answers[0]

    def _single(self, mail: Mail) -> Said:
        """Take or refuse one mail."""
        refused = self.dialect.refused.get(mail.recipient.partition("@")[0])
        if refused is not None:
            return refused
        with self._lock:
            self.mails.append(mail)
            return self.dialect.taken(len(self.mails))


# What befalls a whole request for the sake of one name in it; the faults come when its mails were taken.
WHOLE: dict[str, Said] = {
    "busy": Said(429, {"message": "slow down", "Message": "slow down"}),
    "down": Said(503, b"come back later"),
    "error": Said(500, b"oops"),
    "toolarge": Said(413, b"too large"),
}
FAULTS: dict[str, Act] = {
    "lost": Fault.CLOSE,
    "reset": Fault.RESET,
    "silent": Fault.SILENCE,
    "drip": Fault.DRIP,
    "cut": Fault.CUT,
    "garbage": b"220 this is no HTTP\r\n",
    "empty": Said(200, b"<html>"),
}


def _ses(seen: Seen) -> list[Mail]:
    content = json.loads(seen.body)
    (recipient,) = content["Destination"]["ToAddresses"]
    sender = content.get("FeedbackForwardingEmailAddress", "")
    return [Mail(recipient, sender, b64decode(content["Content"]["Raw"]["Data"]), content)]


def _mailgun(seen: Seen) -> list[Mail]:
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    names: dict[str, bytes] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + seen.body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        if name != "message":
            names[str(name)] = str(part.get_payload()).encode()
    start = seen.body.index(b"message/rfc822\r\n\r\n") + len(b"message/rfc822\r\n\r\n")
    data = seen.body[start : seen.body.rindex(b"\r\n--", 0, -4)]
    return [Mail(names["to"].decode(), None, data, dict(names))]


def _postmark(seen: Seen) -> list[Mail]:
    return [Mail(_address(each["To"]), fields=each) for each in json.loads(seen.body)]


def _address(written: str) -> str:
    return written.rpartition("<")[2].removesuffix(">")


def _brevo(seen: Seen) -> list[Mail]:
    content = json.loads(seen.body)
    return [Mail(content["to"][0]["email"], fields=content)]


KEY = "hunter2key"
DIALECTS = {
    "ses": Dialect(
        _ses,
        lambda number: Said(200, {"MessageId": f"ses-{number}"}),
        {
            "unknown": Said(400, {"message": "Illegal address"}, {"x-amzn-ErrorType": "BadRequestException"}),
            "large": Said(413, b"too large"),
            "stop": Said(400, {"message": "paused"}, {"x-amzn-ErrorType": "SendingPausedException:http://x/"}),
        },
        Said(200, {"SendingEnabled": True}),
        lambda seen: "Credential=AKIDEXAMPLE/" in seen.headers.get("authorization", ""),
    ),
    "mailgun": Dialect(
        _mailgun,
        lambda number: Said(200, {"id": f"<mg-{number}@x>", "message": "Queued. Thank you."}),
        {
            "unknown": Said(400, {"message": "'to' parameter is not a valid address. please check documentation"}),
            "large": Said(413, b"too large"),
            "stop": Said(403, {"message": "Domain is disabled"}),
        },
        Said(400, {"message": "to parameter is missing"}),
        lambda seen: seen.headers.get("authorization", "") == "Basic YXBpOmh1bnRlcjJrZXk=",
    ),
    "brevo": Dialect(
        _brevo,
        lambda number: Said(201, {"messageId": f"<brevo-{number}@x>"}),
        {
            "unknown": Said(400, {"code": "invalid_parameter", "message": "email is not valid in to"}),
            "large": Said(413, b"too large"),
            "stop": Said(400, {"code": "not_enough_credits", "message": "no credits"}),
        },
        Said(200, {"email": "a@b.c"}),
        lambda seen: seen.headers.get("api-key") == KEY,
    ),
    "postmark": Dialect(
        _postmark,
        lambda number: Said(200, {"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{number}"}),
        {
            "unknown": Said(200, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'unknown'."}),
            "large": Said(200, {"ErrorCode": 300, "Message": "The HtmlBody is too large."}),
            "stop": Said(200, {"ErrorCode": 413, "Message": "Account may not send"}),
        },
        Said(200, {"Name": "a server"}),
        lambda seen: seen.headers.get("x-postmark-server-token") == KEY,
        is_bulk=True,
    ),
}
URLS = {
    "ses": f"ses://AKIDEXAMPLE:{KEY}@eu-west-3?",
    "mailgun": f"mailgun://{KEY}@lettre.example.ma?region=eu&",
    "brevo": f"brevo://{KEY}@api.brevo.com?",
    "postmark": f"postmark://{KEY}@broadcast?",
}


@contextlib.contextmanager
def provider(name: str, *, options: Sequence[str] = ("answer=1",)) -> Iterator[tuple[Provider, ApiServer, str]]:
    """Run the API of a provider and give it with its server and the mail URL that leads there."""
    running = Provider(DIALECTS[name])
    with ApiServer(running.act) as server:
        yield running, server, URLS[name] + "&".join([f"endpoint={server.url}", *options])


@contextlib.contextmanager
def closed_endpoint() -> Iterator[str]:
    """Give the address of an API where nobody listens."""
    with closed_port() as port:
        yield f"http://127.0.0.1:{port}"
