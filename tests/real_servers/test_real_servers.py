"""Mails to the servers that people really run: what they accept arrives, once and unchanged; what they refuse is told.

REAL_SERVERS=postfix,exim runs only these. Their programs are unpacked by scripts/mail_servers.sh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from real_checks import assert_same, await_arrival, only
from real_chosen import LMTP
from real_mails import mail, mail_url, make_mails, send, send_again
from real_parts import DOMAIN, LARGEST, RealServer

from newsletter.base.errors import ConfigError
from newsletter.mail.port import Message, Outcome
from newsletter.mail.registry import backend_from_url

pytestmark = pytest.mark.slow
Record = Callable[[str, object], None]
TLS = {"plain": "-", "submission": "STARTTLS", "implicit": "from the start", "lmtp": "- (LMTP)"}


@pytest.mark.parametrize(
    ("way", "first", "number"), [("plain", 10_000, 200), ("submission", 20_000, 1000), ("implicit", 30_000, 200)]
)
def test_every_accepted_mail_arrives_once_and_unchanged(
    server: RealServer, way: str, first: int, number: int, record_property: Record
) -> None:
    if not server.breaks_tls:
        assert_all_arrive(server, way, list(make_mails(first, number)), record_property)
    elif way == "plain":
        assert_all_arrive(server, way, list(make_mails(first, 2000)), record_property)
    else:
        assert_none_arrives_in_clear_text(server, way, list(make_mails(first, 32)), record_property)


@pytest.mark.parametrize("server", LMTP, indirect=True, scope="session")
def test_every_mail_that_an_lmtp_server_accepted_arrives_once_and_unchanged(
    server: RealServer, record_property: Record
) -> None:
    assert_all_arrive(server, "lmtp", list(make_mails(35_000, 1000)), record_property)


def assert_all_arrive(server: RealServer, way: str, mails: list[Message], record_property: Record) -> None:
    started = time.perf_counter()
    verdicts = send(mail_url(server.doors, way), mails)
    if way in server.mails_per_connection:
        assert {verdict.code for verdict in verdicts if verdict.outcome is Outcome.DEFERRED} <= {421, 452, None}
        verdicts = send_again(mail_url(server.doors, way), mails, verdicts)
    seconds = time.perf_counter() - started

    accepted = {verdict.key for verdict in verdicts if verdict.outcome is Outcome.ACCEPTED}
    arrived = await_arrival(server, mails, accepted)
    numbers = [len(mails), len(accepted), len(arrived), f"{seconds:.2f}"]
    record_property("real server", [server.name, server.version, TLS[way], server.auth[way], *numbers])
    assert [verdict for verdict in verdicts if verdict.outcome is not Outcome.ACCEPTED][:3] == []
    assert sorted(verdict.key for verdict in verdicts) == [each.key for each in mails]
    assert_same(mails, arrived)


def assert_none_arrives_in_clear_text(
    server: RealServer, way: str, mails: list[Message], record_property: Record
) -> None:
    verdicts = send(mail_url(server.doors, way), mails)

    arrived = await_arrival(server, mails, ())
    row = [server.name, server.version, f"{TLS[way]}, broken", server.auth[way], len(mails), 0, len(arrived), "-"]
    record_property("real server", row)
    assert sorted(verdict.key for verdict in verdicts) == [each.key for each in mails]
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {(Outcome.STOP, "tls_refused")}
    assert arrived == []


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
    assert_same(good, await_arrival(server, good))


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
    assert await_arrival(server, [faulty], ()) == []


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
    assert await_arrival(server, [mail(48_000)], ()) == []


def test_checking_a_backend_says_that_mail_could_leave(server: RealServer) -> None:
    for way in ["plain"] if server.breaks_tls else ["plain", "submission", "implicit"]:
        backend_from_url(mail_url(server.doors, way), home=Path("/nonexistent")).check()
