"""The generic HTTP provider: what is known about a mail, however the exchange ends."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from http_faults import DIALECTS, KEY, URLS, Act, ApiServer, Fault, Said, Seen, provider
from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict
from newsletter.mail.providers.http.api import Answer, by_status
from newsletter.mail.providers.http.backend import HttpBackend
from newsletter.mail.registry import backend_from_url
from smtp_faults import CERTIFICATE

DATA = b"From: a@example.ma\r\nTo: r@example.org\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"
HOME = Path("/nowhere")
PROVIDERS = sorted(DIALECTS)


def message(key: int, name: str = "reader", *, data: bytes = DATA) -> Message:
    return Message(key, "bounce@example.ma", f"{name}@example.org", (data,))


def submit(backend: MailBackend, *messages: Message) -> list[Verdict]:
    with backend.open() as channel:
        return send_all(channel, messages)


def mailgun(server: ApiServer, *options: str) -> HttpBackend:
    backend = backend_from_url(URLS["mailgun"] + "&".join([f"endpoint={server.url}", *options]), home=HOME)
    assert isinstance(backend, HttpBackend)
    return backend


def taken(_seen: Seen) -> Act:
    return Said(200, {"id": "<1@mailgun>"})


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (301, Outcome.STOP, "server_refuses"),
        (400, Outcome.FAILED, "policy"),
        (401, Outcome.STOP, "auth_refused"),
        (402, Outcome.STOP, "quota_exceeded"),
        (403, Outcome.STOP, "auth_refused"),
        (404, Outcome.STOP, "server_refuses"),
        (408, Outcome.DEFERRED, "timeout"),
        (413, Outcome.FAILED, "policy"),
        (422, Outcome.FAILED, "policy"),
        (429, Outcome.DEFERRED, "throttled"),
        (500, Outcome.UNCERTAIN, "server_error"),
        (502, Outcome.UNCERTAIN, "server_error"),
        (503, Outcome.STOP, "server_busy"),
        (504, Outcome.UNCERTAIN, "server_error"),
        (599, Outcome.UNCERTAIN, "server_error"),
    ],
)
def test_a_status_that_explains_nothing_is_judged_by_its_number(status: int, outcome: Outcome, reason: str) -> None:
    ruling = by_status(Answer(status, {}, b"a\r\nb\x1b[31m"))
    assert (ruling.outcome, ruling.reason, ruling.code) == (outcome, reason, status)
    assert ruling.text == "a b\ufffd[31m"


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("fault", ["empty", "cut", "garbage", "reset"])
def test_a_success_that_names_no_message_leaves_a_doubt(name: str, fault: str) -> None:
    with provider(name) as (_running, _server, url):
        (verdict,) = submit(backend_from_url(url, home=HOME), message(1, fault))
    assert verdict.outcome is Outcome.UNCERTAIN
    assert verdict.reason in {"garbage_after_data", "connection_lost_after_data"}


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    with provider("ses", options=("answer=5", "deadline=0.4")) as (_running, _server, url):
        (verdict,) = submit(backend_from_url(url, home=HOME), message(1, "drip"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNCERTAIN, "timeout_after_data")


@pytest.mark.parametrize("name", ["brevo", "mailgun", "ses"])  # one mail in each request
def test_a_failure_of_the_server_puts_no_more_mails_into_doubt(name: str) -> None:
    with provider(name, options=("connections=1",)) as (running, _server, url):
        backend = backend_from_url(url, home=HOME)
        with backend.open() as channel:
            found = send_all(channel, [message(1, "error"), *map(message, range(2, 40))])
            assert [each.key for each in found if each.outcome is Outcome.UNCERTAIN] == [1]
            assert {each.outcome for each in found if each.key > 1} == {Outcome.STOP}
            assert {each.reason for each in found} == {"server_error"}
            assert running.mails == []
            assert send_all(channel, [message(50)])[0].outcome is Outcome.ACCEPTED


LARGE = b"From: a@b.c\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100_000


def test_a_connection_that_breaks_before_the_request_is_whole_leaves_no_doubt() -> None:
    with ApiServer(taken, before_body=lambda _headers: Fault.RESET) as server:
        (verdict,) = submit(mailgun(server), message(1, data=LARGE))
    assert (verdict.outcome, verdict.reason) == (Outcome.DEFERRED, "connection_lost")


def test_a_refusal_that_comes_before_the_request_is_whole_is_heard() -> None:
    refusal = b"HTTP/1.1 413 no\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
    with ApiServer(taken, before_body=lambda _headers: refusal) as server:
        (verdict,) = submit(mailgun(server), message(1, data=LARGE))
    assert verdict.outcome in {Outcome.FAILED, Outcome.DEFERRED}  # a reset may overtake the answer
    assert verdict.outcome is not Outcome.FAILED or (verdict.code, verdict.text) == (413, "big")


def test_a_connection_that_was_closed_while_it_idled_costs_no_mail() -> None:
    closing = Said(200, {"id": "<1@mailgun>"}).octets  # and then the server closes
    with ApiServer(lambda _seen: closing) as server, mailgun(server, "connections=1").open() as channel:
        for key in range(3):
            assert send_all(channel, [message(key)])[0].outcome is Outcome.ACCEPTED
            time.sleep(0.05)  # for the end of the connection to arrive
        assert server.connections == 3


def test_mails_leave_over_a_few_connections_at_once_and_keep_them() -> None:
    together = threading.Barrier(3)

    def act(_seen: Seen) -> Act:
        together.wait(5)  # which breaks unless three requests are under way at once
        return Said(200, {"id": "<1@mailgun>"})

    with ApiServer(act) as server:
        verdicts = submit(mailgun(server, "connections=3"), *map(message, range(12)))
        assert {verdict.outcome for verdict in verdicts} == {Outcome.ACCEPTED}
        assert server.connections == 3


def test_verdicts_come_as_they_are_known_and_not_later_than_asked() -> None:
    with provider("mailgun", options=("answer=20",)) as (_running, _server, url):
        began = time.monotonic()
        with backend_from_url(url, home=HOME).open() as channel:
            channel.submit([message(1, "silent"), message(2)])
            assert [each.key for each in channel.verdicts(wait=5)] == [2]
            assert list(channel.verdicts(wait=0.1)) == []
        assert time.monotonic() - began < 5, "leaving cuts off what is under way"


def test_nothing_begins_after_the_channel_was_left() -> None:
    with provider("mailgun", options=("connections=1", "answer=20")) as (running, server, url):
        with backend_from_url(url, home=HOME).open() as channel:
            channel.submit([message(1, "silent"), *map(message, range(2, 9))])
            while not server.seen:
                time.sleep(0.01)
        assert [mail.recipient for mail in running.mails] == ["silent@example.org"]


def test_a_certificate_that_nobody_vouches_for_stops_before_the_key_is_shown() -> None:
    with ApiServer(taken, has_tls=True) as server:
        backend = mailgun(server)
        (verdict,) = submit(backend, message(1))
        assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "tls_refused")
        assert server.seen == []
        trusting = HttpBackend(backend.api, backend.endpoint, ssl.create_default_context(cafile=str(CERTIFICATE)))
        assert submit(trusting, message(2))[0].outcome is Outcome.ACCEPTED


def test_a_host_without_an_address_stops() -> None:
    backend = backend_from_url(f"{URLS['mailgun']}endpoint=https://nowhere.invalid", home=HOME)
    (verdict,) = submit(backend, message(1))
    assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "dns_failure")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_wrong_key_stops_every_channel_and_is_found_by_the_check(name: str) -> None:
    with provider(name) as (_running, _server, url):
        backend = backend_from_url(url.replace("hunter2key", "other").replace("AKIDEXAMPLE", "AKIDOTHER"), home=HOME)
        (verdict,) = submit(backend, message(1))
        assert (verdict.outcome, verdict.reason) == (Outcome.STOP, "auth_refused")
        with pytest.raises(ConfigError, match="auth_refused"):
            backend.check()


@pytest.mark.parametrize(
    ("act", "family"),
    [
        (Said(404, b"no such domain"), ConfigError),
        (Said(500, b"oops"), Unavailable),
        (Said(503, b"later"), Unavailable),
        (Said(429, b"slow"), Unavailable),
        (Fault.CLOSE, Unavailable),
        (b"no HTTP\r\n", Unavailable),
    ],
)
def test_a_check_tells_what_to_mend_from_what_to_wait_for(act: Act, family: type[Exception]) -> None:
    with ApiServer(lambda _seen: act) as server, pytest.raises(family) as refused:
        mailgun(server).check()
    assert KEY not in str(refused.value)


def test_a_request_that_needs_no_tls_goes_to_this_machine_only() -> None:
    for endpoint in ("http://api.example.org", "http://10.0.0.1:8080", "http://127.0.0.1.example.org"):
        with pytest.raises(ConfigError, match="clear text"):
            backend_from_url(f"{URLS['mailgun']}endpoint={endpoint}", home=HOME)


def test_one_mail_is_asked_for_once_whatever_happens() -> None:
    for fault in (Fault.CLOSE, Fault.RESET, Said(500, b""), Said(503, b""), Said(429, b"")):
        act: Callable[[Seen], Act] = lambda _seen, fault=fault: fault  # noqa: E731
        with ApiServer(act) as server:
            submit(mailgun(server), message(1))
            assert len(server.seen) == 1
