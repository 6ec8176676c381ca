"""Getting the bytes of a source, from servers that behave and from servers that do not."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from newsletter.articles.fetching import fetch, is_local
from newsletter.base.errors import InvalidInput, NewsletterError, Unavailable

type_of_answer = bytes | Callable[[socket.socket], None]


class Server:
    """Answers each path with the bytes, or the behaviour, set for it; remembers the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, type_of_answer] = {}
        self.requests: list[bytes] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()

    def stop(self) -> None:
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.serving.join()
        self.listening.close()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self.listening.accept()
                threading.Thread(target=self.answer, args=[connected], daemon=True).start()

    def answer(self, connected: socket.socket) -> None:
        with suppress(OSError), connected:
            request = connected.recv(65_536)
            self.requests.append(request)
            path = request.split(b" ")[1].decode("latin-1") if request.count(b" ") > 1 else ""
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if isinstance(answer, bytes):
                connected.sendall(answer)
            else:
                answer(connected)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def dripping(beginning: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def drip(connected: socket.socket) -> None:
        connected.sendall(beginning)
        for _ in range(200):
            connected.sendall(drop)
            time.sleep(0.05)

    return drip


def test_a_source_is_fetched_with_its_type_and_address(server):
    server.answers["/feed?a=1"] = answer(b"<rss/>", Content_Type="application/rss+xml; charset=utf-8")
    fetched = fetch(f"{server.address}/feed?a=1#top")
    assert (fetched.data, fetched.content_type) == (b"<rss/>", "application/rss+xml; charset=utf-8")
    assert fetched.url == f"{server.address}/feed?a=1#top"


def test_a_request_says_who_asks_and_sends_nothing_secret(server):
    server.answers["/"] = answer(b"x")
    fetch(server.address)
    request = server.requests[0].decode().lower()
    assert "user-agent: newsletter-server" in request
    assert "cookie" not in request


def test_an_address_with_letters_beyond_ascii_is_asked_percent_encoded(server):
    server.answers["/%D8%A3%D8%AE%D8%A8%D8%A7%D8%B1%20x"] = answer(b"x")
    assert fetch(f"{server.address}/أخبار x").data == b"x"


def test_redirects_are_followed_and_the_last_address_is_told(server):
    server.answers["/1"] = answer(status="301 Moved", Location="/2")
    server.answers["/2"] = answer(status="302 Found", Location=f"{server.address}/3")
    server.answers["/3"] = answer(status="307 Temporary", Location="4")
    server.answers["/4"] = answer(b"x")
    assert fetch(f"{server.address}/1").url == f"{server.address}/4"


def test_a_redirect_in_bare_utf8_is_understood(server):
    server.answers["/1"] = b"HTTP/1.1 302 Found\r\nLocation: /\xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    server.answers["/%C3%A9"] = answer(b"x")
    assert fetch(f"{server.address}/1").data == b"x"


def test_more_than_three_redirects_are_refused(server):
    server.answers["/"] = answer(status="302 Found", Location="/")
    with pytest.raises(InvalidInput, match="leads on more than 3 times"):
        fetch(f"{server.address}/")
    assert len(server.requests) == 4


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/feed", "gopher://x", "javascript:alert(1)"])
def test_a_redirect_away_from_the_web_is_refused(server, target):
    server.answers["/"] = answer(status="302 Found", Location=target)
    with pytest.raises(InvalidInput, match="no address of the web"):
        fetch(f"{server.address}/")


@pytest.mark.parametrize(
    ("status", "family"),
    [
        ("404 Not Found", InvalidInput),
        ("410 Gone", InvalidInput),
        ("401 Unauthorized", InvalidInput),
        ("403 Forbidden", InvalidInput),
        ("304 Not Modified", InvalidInput),
        ("408 Request Timeout", Unavailable),
        ("429 Too Many Requests", Unavailable),
        ("500 Internal Server Error", Unavailable),
        ("503 Service Unavailable", Unavailable),
    ],
)
def test_a_status_tells_whether_trying_later_helps(server, status, family):
    server.answers["/x"] = answer(status=status)
    with pytest.raises(NewsletterError, match=f"HTTP {status[:3]}") as refused:
        fetch(f"{server.address}/x")
    assert type(refused.value) is family
    assert refused.value.message.startswith(f"{server.address}/x: ")


def test_a_packed_answer_is_unpacked(server):
    server.answers["/"] = answer(gzip.compress(b"<rss/>" * 100), Content_Encoding="gzip")
    assert fetch(server.address).data == b"<rss/>" * 100


def test_the_limit_holds_for_what_comes_out_of_the_packing(server):
    server.answers["/"] = answer(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    with pytest.raises(InvalidInput, match="larger than 1,000,000 bytes"):
        fetch(server.address, limit=1_000_000)


def test_the_limit_holds_for_an_answer_without_length(server):
    server.answers["/"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1_001
    with pytest.raises(InvalidInput, match="larger than 1,000 bytes"):
        fetch(server.address, limit=1_000)
    assert len(fetch(server.address, limit=1_001).data) == 1_001


def test_broken_packing_is_the_servers_failure(server):
    server.answers["/"] = answer(b"no gzip", Content_Encoding="gzip")
    with pytest.raises(Unavailable, match="packed in a broken way"):
        fetch(server.address)


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_a_dripping_answer_is_cut_off_at_the_deadline(server, beginning, drop):
    server.answers["/"] = dripping(beginning, drop)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer in time"):
        fetch(server.address, timeout=0.3)
    assert time.monotonic() - began < 2


def test_the_deadline_holds_over_all_redirects_together(server):
    def slow(connected: socket.socket) -> None:
        time.sleep(0.2)
        connected.sendall(answer(status="302 Found", Location="/"))

    server.answers["/"] = slow
    with pytest.raises(Unavailable, match="did not answer in time"):
        fetch(f"{server.address}/", timeout=0.5)


def test_a_silent_server_is_unavailable(server):
    server.answers["/"] = lambda connected: time.sleep(1)
    with pytest.raises(Unavailable, match="did not answer in time"):
        fetch(server.address, timeout=0.2)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"no http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
        b"HTTP/1.1 2000000 \r\n\r\n",
        b"\0" * 99,
    ],
)
def test_a_server_that_breaks_off_or_talks_garbage_is_unavailable(server, garbage):
    server.answers["/"] = garbage
    with pytest.raises(Unavailable) as refused:
        fetch(server.address)
    assert "\n" not in refused.value.message


def test_a_server_without_the_tls_that_was_asked_for_is_unavailable(server):
    with pytest.raises(Unavailable, match="cannot be trusted"):
        fetch(server.address.replace("http:", "https:"))


def test_a_refused_connection_is_unavailable(server):
    server.stop()
    with pytest.raises(Unavailable, match="refuses the connection"):
        fetch(server.address)


def test_an_unknown_name_is_unavailable():
    with pytest.raises(Unavailable, match=r"name cannot be resolved|did not answer in time"):
        fetch("http://no-such-host.invalid/feed", timeout=5)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/feed",
        "javascript:alert(1)",
        "http://",
        "https:///feed",
        "http://[::1",
        "data:text/xml,<rss/>",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url):
    with pytest.raises(InvalidInput, match="no address of the web"):
        fetch(url)


def test_a_message_shows_no_password_and_stays_on_one_line(server):
    with pytest.raises(InvalidInput) as refused:
        fetch(server.address.replace("//", "//staff:secret@") + "/a\nb")
    assert "secret" not in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("http://example.org/feed", False),
        ("HTTPS://example.org/feed", False),
        ("ftp://example.org/feed", False),
        ("file:///srv/feed.xml", True),
        ("FILE:feed.xml", True),
        ("/srv/feed.xml", True),
        ("feed.xml", True),
        ("C:\\feeds\\feed.xml", True),
    ],
)
def test_local_is_a_path_or_a_file_address(source, expected):
    assert is_local(source) is expected


def test_a_file_is_read_by_its_path_and_by_its_address(tmp_path):
    path = tmp_path / "a feed é.xml"
    path.write_bytes(b"<rss/>")
    assert fetch(str(path)).data == b"<rss/>"
    assert fetch(path.as_uri()).data == b"<rss/>"
    assert fetch(path.as_uri()).url == path.as_uri()
    assert fetch(path.as_uri().replace("file://", "file://localhost")).content_type is None


def test_a_file_that_cannot_be_read_is_refused_with_its_name_and_the_cause(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    for source, cause in [
        (tmp_path / "absent", "no such file"),
        (tmp_path, "no file"),
        (tmp_path / "pipe", "no file"),
        (tmp_path / "large", "larger than 10 bytes"),
        (Path("/dev/zero"), "no file"),
        (Path("a\0b"), "cannot be read"),
        (Path("x" * 5_000), "cannot be read"),
    ]:
        with pytest.raises(InvalidInput, match=cause) as refused:
            fetch(str(source), limit=10)
        assert str(source).replace("\0", "")[:100] in refused.value.message
        assert len(refused.value.message) < 400


def test_a_file_on_another_machine_is_refused():
    with pytest.raises(InvalidInput, match="another machine"):
        fetch("file://server/share/feed.xml")
