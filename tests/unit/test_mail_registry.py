from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.base.errors import ConfigError
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Login, Relay
from newsletter.mail.registry import backend_from_url

HOME = Path("/home/of/it")


def relay(url: str) -> Relay:
    backend = backend_from_url(url, home=HOME)
    assert isinstance(backend, SmtpBackend)
    return backend.relay


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay.example.ma:2525", Relay("relay.example.ma", 2525)),
        ("smtp://relay", Relay("relay", 25)),
        ("smtp://relay/", Relay("relay", 25)),
        ("smtp://[::1]:25", Relay("::1", 25)),
        ("SMTPS://Relay.Example.ma", Relay("relay.example.ma", 465, "tls")),
        ("smtp+starttls://u:p@relay", Relay("relay", 587, "starttls", Login("u", "p"))),
        ("smtp://u:p@127.0.0.1:1025", Relay("127.0.0.1", 1025, "none", Login("u", "p"))),
        (
            "smtp://relay?helo=lettre.example.ma&dot=30",
            Relay("relay", 25, helo="lettre.example.ma", limits=Limits(dot=30)),
        ),
    ],
)
def test_a_url_names_a_relay(url: str, expected: Relay) -> None:
    assert relay(url) == expected


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co", "Z", "Cf")), min_size=1))
def test_any_printable_password_can_be_written_percent_encoded(password: str) -> None:
    login = relay(f"smtps://{quote(password, safe='')}:{quote(password, safe='')}@relay").login
    assert login == Login(password, password)


def test_a_maildir_is_in_the_home_unless_an_absolute_folder_is_named() -> None:
    assert backend_from_url("maildir://", home=HOME) == MaildirBackend(HOME / "mail")
    assert backend_from_url("maildir:///var/other%20mail", home=HOME) == MaildirBackend(Path("/var/other mail"))


@pytest.mark.parametrize(
    ("url", "name"), [("console://", "console"), ("memory://", "memory"), ("maildir://", "maildir")]
)
def test_each_scheme_has_its_provider(url: str, name: str) -> None:
    assert backend_from_url(url, home=HOME).name == name


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", "begins with none of maildir://, console://, memory://, smtp://, smtp\\+starttls://, smtps://"),
        ("relay:25", "begins with none of"),
        ("u:hunter2@relay", "begins with none of"),
        ("http://u:hunter2@relay", "begins with none of"),
        ("smtp://", "names no host"),
        ("smtp://:25", "names no host"),
        ("smtp://re lay", "names no host"),
        ("smtp://relay:99999", "malformed"),
        ("smtp://relay:0", "port 0"),
        ("smtp://[::1", "malformed"),
        ("smtps://u:hun/ter2@relay", "malformed"),
        ("smtps://u:12/hunter2@relay", "has a path"),
        ("smtps://u:12#hunter2@relay", "has a path or #"),
        ("smtps://u:12?hunter2@relay", "nothing else"),
        ("smtp+starttls://u@relay", "without a password"),
        ("smtp+starttls://:hunter2@relay", "without a user"),
        ("smtps://u:hunter2%0A@relay", "control character"),
        ("smtp://u:hunter2@relay", "clear text"),
        ("smtp://relay?tls=no", "nothing else"),
        ("smtp://relay?dot=0", "nothing else"),
        ("smtp://relay?dot=-1", "nothing else"),
        ("smtp://relay?helo=a%0Db", "nothing else"),
        ("maildir://relative/folder", "three slashes"),
        ("maildir:///folder?x", "nothing after"),
        ("memory://x", "nothing after"),
        ("console:///x", "nothing after"),
    ],
)
def test_a_bad_url_is_refused_with_its_cause_and_without_its_password(url: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause) as refused:
        backend_from_url(url, home=HOME)
    shown = str(refused.value)
    assert "hunter2" not in shown
    assert "ter2" not in shown
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_backend_shows_no_password() -> None:
    backend = backend_from_url("smtps://u:hunter2@relay", home=HOME)
    assert "hunter2" not in repr(backend) + backend.describe() + str(backend)
    assert backend.describe() == "SMTP to relay:465 with TLS, logged in"
