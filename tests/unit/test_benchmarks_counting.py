"""The benchmark's counting servers count what came, however the octets were cut on their way."""

from __future__ import annotations

import itertools
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sending.counting import BUFFER, Envelope, Session, read_kept
from benchmarks.sending.servers import Counting, Server

BODIES = st.lists(st.sampled_from([b"", b"one line", b"..", b".", b"a\r\n..b", b"x" * 300, b"\r\n", b"\r", b"end."]))


@given(bodies=BODIES, cuts=st.lists(st.integers(0, 2000)))
def test_every_message_is_counted_and_kept_wherever_the_octets_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream, expected = _dialogue(bodies)
    kept: list[Envelope] = []
    session = Session(keep=kept.append)
    replies = _fed(session, stream, cuts)
    assert session.messages == len(bodies)
    assert session.is_over
    assert [each.data for each in kept] == expected
    assert [each.recipient for each in kept] == [f"reader{n}@example.org" for n in range(len(bodies))]
    assert replies.count(b"\r\n250 2.0.0 Ok") + replies.startswith(b"250 2.0.0 Ok") == 3 * len(bodies)
    assert replies.count(b"354 ") == len(bodies)


def test_the_session_offers_tls_only_where_it_has_it() -> None:
    assert b"STARTTLS" not in _fed(Session(), b"EHLO client\r\n", [])
    session = Session(starttls=True)
    assert b"STARTTLS" in _fed(session, b"EHLO client\r\n", [])
    assert not session.wants_tls
    _fed(session, b"STARTTLS\r\n", [])
    assert session.wants_tls


@pytest.mark.parametrize("language", ["C", "Python"])
def test_a_counting_server_tells_at_its_end_how_many_pipelined_messages_came(language: str, tmp_path: Path) -> None:
    if language == "C" and shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    counting = Counting(tmp_path)
    run: Callable[[], AbstractContextManager[Server]] = counting.fast if language == "C" else counting.in_python
    stream, _ = _dialogue([b"one", b"", b"three " * 50_000, b"..four"])
    with run() as server:
        for _ in range(3):
            _converse(server.port, stream)
    assert server.messages == 12
    assert server.cpu is not None


def test_the_server_in_python_keeps_as_many_mails_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    stream, expected = _dialogue([b"one", b"..two", b"three"])
    with Counting(tmp_path).in_python("--keep", str(path), "--most", "2") as server:
        _converse(server.port, stream)
    assert [each.data for each in read_kept(path)] == expected[:2]


def _dialogue(bodies: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Return what a client pipelines for these bodies, and what should be kept of each."""
    commands, expected = [b"EHLO client\r\n"], []
    for number, body in enumerate(bodies):
        whole = body + b"\r\n" if body else b""
        stuffed = (b"\r\n" + whole).replace(b"\r\n.", b"\r\n..").removeprefix(b"\r\n")
        commands.append(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<reader%d@example.org>\r\nDATA\r\n" % number)
        commands.append(stuffed + b".\r\n")
        expected.append(whole)
    return b"".join([*commands, b"QUIT\r\n"]), expected


def _fed(session: Session, stream: bytes, cuts: list[int]) -> bytes:
    """Feed a stream in pieces as a socket would."""
    buffer, unread, replies = bytearray(BUFFER), 0, bytearray()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in itertools.pairwise(edges):
        buffer[unread : unread + end - start] = stream[start:end]
        length = unread + end - start
        answer, left = session.feed(buffer, length)
        buffer[:left] = buffer[length - left : length]
        unread = left
        replies += answer
    return bytes(replies)


def _converse(port: int, stream: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(stream)
        said = b""
        while not said.endswith(b"221 2.0.0 Bye\r\n"):
            came = client.recv(65_536)
            assert came
            said += came
