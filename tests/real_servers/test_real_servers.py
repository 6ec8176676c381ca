"""Mails to the servers that people really run: what they accept arrives, once and unchanged; what they refuse is told.

REAL_SERVERS=postfix,exim runs only these. Their programs are unpacked by scripts/mail_servers.sh.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email import message_from_bytes, policy

import pytest
from real_mails import SUBJECT, digest_text, mail_url, make_mails, send
from real_parts import Arrived, RealServer
from real_postfix import Postfix

from newsletter.mail.port import Message, Outcome
from smtp_faults import CERTIFICATE

pytestmark = pytest.mark.slow
SERVERS: dict[str, Callable[[], RealServer]] = {"postfix": Postfix}
CHOSEN = [name for name in os.environ.get("REAL_SERVERS", ",".join(SERVERS)).split(",") if name]
TLS = {"plain": "-", "submission": "STARTTLS", "implicit": "from the start"}
ARRIVING = 30.0  # seconds that a server may take to deliver what it accepted


@pytest.fixture(scope="module", params=CHOSEN)
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    assert request.param in SERVERS, f"REAL_SERVERS names {request.param}; known are {', '.join(SERVERS)}"
    running = SERVERS[request.param]()
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@pytest.mark.parametrize(
    ("way", "first", "number"), [("plain", 10_000, 1000), ("submission", 20_000, 1000), ("implicit", 30_000, 200)]
)
def test_every_accepted_mail_arrives_once_and_unchanged(
    server: RealServer, way: str, first: int, number: int, record_property: Callable[[str, object], None]
) -> None:
    mails = list(make_mails(first, number))
    started = time.perf_counter()

    verdicts = send(mail_url(server.doors, way), mails)

    seconds = time.perf_counter() - started
    accepted = [verdict for verdict in verdicts if verdict.outcome is Outcome.ACCEPTED]
    arrived = await_arrival(server, {each.recipient for each in mails}, len(accepted))
    auth = server.auth if way != "plain" else "-"
    numbers = [len(mails), len(accepted), len(arrived), f"{seconds:.2f}"]
    record_property("real server", [server.name, server.version, TLS[way], auth, *numbers])
    assert Counter(verdict.outcome for verdict in verdicts) == {Outcome.ACCEPTED: number}, verdicts[:3]
    assert sorted(verdict.key for verdict in verdicts) == [each.key for each in mails]
    assert_same(mails, arrived)


def await_arrival(server: RealServer, recipients: set[str], number: int) -> list[Arrived]:
    """Wait until so many mails have arrived for these recipients, and a little longer for one too many."""
    until = time.monotonic() + ARRIVING
    while True:
        found = [each for each in server.arrived() if each.recipient in recipients]
        if len(found) >= number or time.monotonic() > until:
            break
        time.sleep(0.2)
    time.sleep(0.3)
    return [each for each in server.arrived() if each.recipient in recipients]


def assert_same(sent: Sequence[Message], arrived: Sequence[Arrived]) -> None:
    """Make sure that each mail is there once, from its sender to its recipient, octet by octet."""
    times = Counter(each.recipient for each in arrived)
    assert {to: times[to] for to in times if times[to] > 1} == {}
    assert {each.recipient for each in sent} - times.keys() == set()
    mails = {each.recipient: each for each in sent}
    for each in arrived:
        before = mails[each.recipient]
        assert each.sender == before.sender
        assert each.data.endswith(before.data), f"{each.data!r} is not {before.data!r}"
        if before.is_checked and before.key % 25 == 0:
            assert_readable(each, before.key)


def assert_readable(arrived: Arrived, key: int) -> None:
    """Make sure that a mail program finds in there what the reader was to read."""
    read = message_from_bytes(arrived.data, policy=policy.default)
    text = read.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == digest_text(key)
    assert (read["Subject"], read["Message-ID"]) == (SUBJECT, f"<delivery.{key}@news.test>")
