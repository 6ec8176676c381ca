"""Getting the bytes of a source: over http and https, or from a local file; nothing else here leaves the machine."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from newsletter.articles.cleaning import clean_line
from newsletter.base.errors import InvalidInput, Unavailable

MAXIMUM_REDIRECTS = 3
_HEADERS = {
    "User-Agent": "newsletter-server (reads news feeds for an e-mail newsletter)",
    "Accept": "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
}
_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_LATER = (408, 425, 429)
_TOO_LATE = "it did not answer in time"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: C:\feed.xml is a path


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a source, and the address where they were found in the end."""

    data: bytes
    url: str
    content_type: str | None


def is_local(source: str) -> bool:
    """Tell whether a source is a file on this machine: a `file:` address, or a path."""
    scheme = _SCHEME.match(source)
    return scheme is None or scheme[1].lower() == "file"


def fetch(url: str, *, timeout: float = 10, limit: int = 5_000_000) -> Fetched:
    """Return what is at `url`, unpacked, in at most `timeout` seconds all told and at most `limit` octets.

    :raises InvalidInput: if it is not there, not ours to read, too large, or no http, https or file address
    :raises Unavailable: if its server does not answer, not in time, or only with a failure of its own
    """
    try:
        if is_local(url):
            return _from_file(url, limit=limit)
        return _from_web(url, deadline=monotonic() + timeout, limit=limit)
    except InvalidInput as error:
        raise InvalidInput(f"{_shown(url)}: {error.message}") from error
    except Unavailable as error:
        raise Unavailable(f"{_shown(url)}: {error.message}") from error


def _shown(url: str) -> str:
    """An address as messages may show it: on one line, without a password."""
    return re.sub(r"//[^/?#]*@", "//", clean_line(url))[:200]


def _from_file(source: str, *, limit: int) -> Fetched:
    try:
        path = _path(source)
        if path.exists() and not path.is_file():
            raise InvalidInput("this is no file")
        with path.open("rb") as file:
            return Fetched(_bounded(iter(lambda: file.read(65_536), b""), limit=limit), source, None)
    except FileNotFoundError:
        raise InvalidInput("there is no such file") from None
    except PermissionError:
        raise InvalidInput("this file may not be read") from None
    except (OSError, ValueError) as error:
        raise InvalidInput("this file cannot be read") from error


def _path(source: str) -> Path:
    if not _SCHEME.match(source):
        return Path(source)
    parts = urlsplit(source)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInput("this file is on another machine")
    return Path(url2pathname(parts.path))


def _from_web(url: str, *, deadline: float, limit: int) -> Fetched:
    for _ in range(MAXIMUM_REDIRECTS + 1):
        with _asked(url, deadline=deadline) as response:
            location = response.headers.get("Location") if response.status in _REDIRECTS else None
            if location is None:
                _check_status(response)
                data = _bounded(response.stream(65_536, decode_content=True), limit=limit)
                return Fetched(data, url, response.headers.get("Content-Type"))
        url = urljoin(url, _as_utf8(location))
    raise InvalidInput(f"it leads on more than {MAXIMUM_REDIRECTS} times")


def _as_utf8(header: str) -> str:
    """Headers are read as Latin-1, but an address with bare letters in it is sent as UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


@contextlib.contextmanager
def _asked(url: str, *, deadline: float) -> Iterator[BaseHTTPResponse]:
    """Ask once, and give the answer to read; at the deadline it is cut off, even if it is still dripping."""
    target = _target(url)
    connection = _connection(target, timeout=max(deadline - monotonic(), 0.001))
    late = threading.Event()
    try:
        connection.connect()
        with _cut_off(connection.sock, at=deadline, late=late):
            connection.request("GET", target.request_uri, headers=_HEADERS, preload_content=False)
            with contextlib.closing(connection.getresponse()) as response:
                yield response
        if late.is_set():  # what was cut off can look like an end
            raise Unavailable(_TOO_LATE)
    except (exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise Unavailable(_TOO_LATE if late.is_set() else _cause(error)) from error
    finally:
        connection.close()


@contextlib.contextmanager
def _cut_off(connected: socket.socket | None, *, at: float, late: threading.Event) -> Iterator[None]:
    """A time-out of the socket alone would begin anew with every octet."""

    def shut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            if connected is not None:  # shut below the TLS layer, which the reading thread is inside of
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    watch = threading.Timer(at - monotonic(), shut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _target(url: str) -> Url:
    try:
        target = parse_url(url)
    except exceptions.LocationParseError:
        target = Url()
    if target.scheme not in ("http", "https") or not target.host:
        raise InvalidInput(f"“{_shown(url)}” is no address of the web (http, https) or of a file")
    return target


def _connection(target: Url, *, timeout: float) -> HTTPConnection:
    """Open nothing yet: the connection is made when it is asked. Which machines may be asked is to be decided here."""
    host = (target.host or "").strip("[]")
    if target.scheme == "https":
        return HTTPSConnection(host, target.port or 443, timeout=timeout, ssl_context=_trust())
    return HTTPConnection(host, target.port or 80, timeout=timeout)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _check_status(response: BaseHTTPResponse) -> None:
    status = response.status
    if 200 <= status < 300:
        return
    if status in (404, 410):
        raise InvalidInput(f"there is nothing at this address (HTTP {status})")
    if status >= 500 or status in _TRY_LATER:
        raise Unavailable(f"its server cannot answer now (HTTP {status})")
    raise InvalidInput(f"its server does not give it out (HTTP {status})")


def _bounded(chunks: Iterator[bytes], *, limit: int) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise InvalidInput(f"it is larger than {limit:,} bytes")
    return bytes(data)


def _cause(error: Exception) -> str:
    if isinstance(error, exceptions.TimeoutError | TimeoutError) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return _TOO_LATE
    if isinstance(error, exceptions.NameResolutionError):
        return "its server's name cannot be resolved"
    if isinstance(error, exceptions.SSLError | ssl.SSLError):
        return f"its server cannot be trusted ({clean_line(str(error))[:150]})"
    if isinstance(error, exceptions.DecodeError):
        return "its answer is packed in a broken way"
    if "refused" in str(error):
        return "its server refuses the connection"
    return f"its server broke off ({clean_line(str(error))[:150]})"
