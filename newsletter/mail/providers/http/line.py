"""One connection to an API, which always knows whether a request may have been taken (RFC 9112)."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from newsletter.mail.port import Outcome
from newsletter.mail.providers.http.api import Answer, Request, Ruling, one_line

LONGEST_ANSWER = 1_000_000  # octets
USUAL_CONNECTIONS = 4
LONGEST_IDLE = 10.0  # seconds; the other side closes what idles longer, perhaps while we are writing
USER_AGENT = "newsletter-server"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait: for a connection, for each sign of life, and for a request with its answer in all."""

    connect: float = 10
    answer: float = 60
    deadline: float = 120


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API is, and over how many connections it is used at once."""

    host: str
    port: int = 443
    has_tls: bool = True
    connections: int = USUAL_CONNECTIONS
    limits: Limits = field(default_factory=Limits)

    @property
    def authority(self) -> str:
        """The host as HTTP writes it, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.has_tls else 80) else f"{host}:{self.port}"


class Broken(Exception):
    """There is no answer; `ruling` is what that means for the mails of the request."""

    def __init__(self, outcome: Outcome, reason: str, text: object) -> None:
        super().__init__(reason)
        self.ruling = Ruling(outcome, reason, one_line(str(text)))


class Line:
    """A connection that is made when it is needed and used by one thread at a time; `cut` may come from another."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, stopwatch: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._stopwatch = stopwatch
        self._used_at = 0.0
        self._is_cut = self._is_late = False
        self._link: HTTPConnection | None = None

    def exchange(self, request: Request) -> Answer:
        """Send a request once and return its answer.

        :raises Broken: if there is none
        """
        with self._bounded():
            link = self._ready()
            try:
                answer = self._early_answer(link, request) or self._answer(link)
            except BaseException:
                self.hang_up()
                raise
        self._used_at = self._stopwatch()
        return answer

    def hang_up(self) -> None:
        """Close the connection; the next request makes another."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def cut(self) -> None:
        """End what is under way, and begin nothing any more."""
        self._is_cut = True
        self._shut()

    def _shut(self) -> None:
        link = self._link
        if link is not None and link.sock is not None:
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket: that one goes on in clear text.
                socket.socket.shutdown(link.sock, socket.SHUT_RDWR)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """End the exchange at its deadline: a time-out of the socket never fires as long as single bytes drip."""
        self._is_late = False
        timer = threading.Timer(self._endpoint.limits.deadline, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        self._is_late = True
        self._shut()

    def _ready(self) -> HTTPConnection:
        """Return a connection that listens; one that idled for long is not trusted, no mail is at stake yet."""
        link = self._link
        if link is not None and link.is_connected and self._stopwatch() - self._used_at < LONGEST_IDLE:
            return link
        self.hang_up()
        endpoint = self._endpoint
        if endpoint.has_tls:
            link = HTTPSConnection(
                endpoint.host, endpoint.port, timeout=endpoint.limits.connect, ssl_context=self._tls, blocksize=65_536
            )
        else:
            link = HTTPConnection(endpoint.host, endpoint.port, timeout=endpoint.limits.connect, blocksize=65_536)
        self._link = link
        try:
            link.connect()
        except (exceptions.HTTPError, OSError, UnicodeError) as error:
            self.hang_up()
            raise _unreachable(error) from None
        if self._is_cut or self._is_late:
            self.hang_up()
            raise Broken(Outcome.STOP, "unreachable", "the time was over")
        return link

    def _early_answer(self, link: HTTPConnection, request: Request) -> Answer | None:
        """Write the request; returns the answer of a server that refused it before it was whole.

        :raises Broken: if it was not written to its end, and so cannot have been taken
        """
        link.timeout = self._endpoint.limits.answer  # which urllib3 sets again before it reads
        link.sock.settimeout(link.timeout)
        headers = {"User-Agent": USER_AGENT, **request.headers}
        try:
            link.request(request.method, request.path, body=request.body, headers=headers, preload_content=False)
        except (BrokenPipeError, ConnectionResetError) as error:
            with contextlib.suppress(Broken):
                answer = self._answer(link)
                self.hang_up()
                if not answer.is_success:
                    return answer
            raise Broken(Outcome.DEFERRED, self._word("connection_lost"), error) from None
        except (exceptions.HTTPError, OSError) as error:
            reason = "timeout" if isinstance(error, TimeoutError) else "connection_lost"
            raise Broken(Outcome.DEFERRED, self._word(reason), error) from None
        return None

    def _answer(self, link: HTTPConnection) -> Answer:
        try:
            response = link.getresponse()
        except TimeoutError as error:
            raise Broken(Outcome.UNCERTAIN, "timeout_after_data", error) from None
        except OSError as error:
            raise Broken(Outcome.UNCERTAIN, self._word("connection_lost") + "_after_data", error) from None
        except (exceptions.HTTPError, http.client.HTTPException, ValueError) as error:
            raise Broken(Outcome.UNCERTAIN, "garbage_after_data", error) from None
        try:
            body = response.read(LONGEST_ANSWER + 1)
        except (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError):
            body = b""
            self.hang_up()
        if self._is_late:
            raise Broken(Outcome.UNCERTAIN, "timeout_after_data", "the answer was not whole at the deadline")
        if len(body) > LONGEST_ANSWER:
            self.hang_up()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, body[:LONGEST_ANSWER])

    def _word(self, reason: str) -> str:
        return "timeout" if self._is_late else reason


def _unreachable(error: Exception) -> Broken:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return Broken(Outcome.STOP, "tls_refused", error)
    if isinstance(error, exceptions.NameResolutionError | UnicodeError | exceptions.LocationParseError):
        return Broken(Outcome.STOP, "dns_failure", error)
    return Broken(Outcome.STOP, "unreachable", error)
