"""Mails to the servers that people really run: what they accept arrives, once and unchanged; what they refuse is told.

REAL_SERVERS=postfix,exim runs only these. Their programs are unpacked by scripts/mail_servers.sh.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from real_aiosmtpd import Aiosmtpd
from real_exim import Exim
from real_mails import SUBJECT, digest_text, mail, mail_url, make_mails, send, send_again
from real_opensmtpd import OpenSmtpd
from real_parts import DOMAIN, LARGEST, Arrived, RealServer
from real_postfix import Postfix

from newsletter.base.errors import ConfigError
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.registry import backend_from_url
from smtp_faults import CERTIFICATE

pytestmark = pytest.mark.slow
SERVERS: dict[str, Callable[[], RealServer]] = {
    "postfix": Postfix,
    "exim": Exim,
    "opensmtpd": OpenSmtpd,
    "aiosmtpd": Aiosmtpd,
}
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
    ("way", "first", "number"), [("plain", 10_000, 200), ("submission", 20_000, 1000), ("implicit", 30_000, 200)]
)
def test_every_accepted_mail_arrives_once_and_unchanged(
    server: RealServer, way: str, first: int, number: int, record_property: Callable[[str, object], None]
) -> None:
    is_broken = server.breaks_tls and way != "plain"
    if server.breaks_tls:
        number = 32 if is_broken else 1000
    mails = list(make_mails(first, number))
    url = mail_url(server.doors, way)
    started = time.perf_counter()

    verdicts = send(url, mails)
    if way in server.mails_per_connection:
        verdicts = send_again(url, mails, verdicts)

    seconds = time.perf_counter() - started
    accepted = [verdict for verdict in verdicts if verdict.outcome is Outcome.ACCEPTED]
    arrived = await_arrival(server, {each.recipient for each in mails}, len(accepted))
    tls = f"{TLS[way]}, broken" if is_broken else TLS[way]
    numbers = [len(mails), len(accepted), len(arrived), f"{seconds:.2f}"]
    record_property("real server", [server.name, server.version, tls, server.auth[way], *numbers])
    assert sorted(verdict.key for verdict in verdicts) == [each.key for each in mails]
    if is_broken:
        assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "tls_refused")}
        assert arrived == []
        return
    assert [verdict for verdict in verdicts if verdict.outcome is not Outcome.ACCEPTED][:3] == []
    assert_same(mails, arrived)


@pytest.mark.parametrize(
    ("refused", "outcome", "reasons"),
    [
        (mail(40_050, recipient=f"nobody@{DOMAIN}"), Outcome.FAILED, {"mailbox_unknown", "refused"}),
        (mail(40_150, recipient="reader@elsewhere.test"), Outcome.FAILED, {"policy", "refused"}),
        (mail(40_250, recipient=f"later@{DOMAIN}"), Outcome.DEFERRED, {"greylisted"}),
        (mail(40_350, sender="spam@news.test"), Outcome.FAILED, {"policy"}),
    ],
    ids=["unknown reader", "relaying", "greylisted", "refused after the dot"],
)
def test_a_refusal_of_one_mail_is_told_and_harms_no_other(
    server: RealServer, refused: Message, outcome: Outcome, reasons: set[str]
) -> None:
    good = [*make_mails(refused.key - 10, 10), *make_mails(refused.key + 1, 10)]

    verdicts = {
        verdict.key: verdict for verdict in send(mail_url(server.doors, "plain"), [*good[:10], refused, *good[10:]])
    }

    told = verdicts.pop(refused.key)
    assert told.outcome is outcome, told
    assert told.reason in reasons, told
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.ACCEPTED}
    assert_same(good, await_arrival(server, {each.recipient for each in good}, len(good)))


@pytest.mark.parametrize(
    ("key", "sender", "octets", "reason"),
    [(45_000, "refused@news.test", 10, "sender_refused"), (45_001, None, LARGEST, "size_limit")],
    ids=["sender refused", "too large"],
)
def test_what_is_our_own_fault_stops_the_sending_and_fails_nobody(
    server: RealServer, key: int, sender: str | None, octets: int, reason: str
) -> None:
    faulty = mail(key, sender=sender, body=b"\r\n" + (b"x" * 70 + b"\r\n") * (octets // 70 + 1))

    verdict = only(send(mail_url(server.doors, "plain"), [faulty]))

    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, reason), verdict
    assert await_arrival(server, {faulty.recipient}, 0) == []


@pytest.mark.parametrize("way", ["submission", "implicit"])
def test_a_wrong_password_stops_the_sending(server: RealServer, way: str) -> None:
    url = mail_url(server.doors, way, password="wrong")

    verdict = only(send(url, [mail(46_000)]))

    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "tls_refused" if server.breaks_tls else "auth_refused")
    with pytest.raises(ConfigError):
        backend_from_url(url, home=Path("/nonexistent")).check()


@pytest.mark.parametrize("way", ["submission", "implicit"])
def test_a_certificate_that_nobody_vouches_for_stops_the_sending(
    server: RealServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    verdict = only(send(mail_url(server.doors, way), [mail(47_000)]))

    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "tls_refused"), verdict


def test_a_server_that_offers_neither_tls_nor_auth_gets_no_mail_where_they_are_wanted(server: RealServer) -> None:
    without_tls = mail_url(server.doors, "submission", port=server.doors.plain)
    without_auth = without_tls.replace("smtp+starttls", "smtp")

    stops = [only(send(url, [mail(48_000)])) for url in (without_tls, without_auth)]

    assert [(stop.outcome, stop.reason) for stop in stops] == [
        (Outcome.STOP, "tls_refused"),
        (Outcome.STOP, "auth_refused"),
    ]
    assert await_arrival(server, {mail(48_000).recipient}, 0) == []


def test_checking_a_backend_says_that_mail_could_leave(server: RealServer) -> None:
    for way in ["plain"] if server.breaks_tls else ["plain", "submission", "implicit"]:
        backend_from_url(mail_url(server.doors, way), home=Path("/nonexistent")).check()


def only(verdicts: Sequence[Verdict]) -> Verdict:
    assert len(verdicts) == 1
    return verdicts[0]


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
