from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.base.errors import ConfigError
from newsletter.mail.providers.failover.backend import FailoverBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.roundrobin.backend import RoundRobinBackend
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
    ("url", "name"),
    [
        ("console://", "console"),
        ("memory://", "memory"),
        ("maildir://", "maildir"),
        ("sendmail://", "sendmail"),
        ("sendmail:///opt/bin/sendmail?deadline=5", "sendmail"),
        ("ses://AKID:se%2Fcret@eu-west-3", "ses"),
        ("ses://AKID:secret@us-gov-west-1?configuration_set=news_1&connections=8", "ses"),
        ("postmark://token@broadcast", "postmark"),
        ("mailgun://key@Lettre.example.ma?region=eu", "mailgun"),
        ("brevo://key@api.brevo.com?answer=30&deadline=60.5", "brevo"),
        ("failover:(smtp://a:25|smtp://b:25)", "failover"),
        ("FAILOVER:( smtp://a:25 | smtp://b:25 )", "failover"),
        ("roundrobin:(failover:(smtp://a|smtp://b)|failover:(smtp://b|smtp://a))", "roundrobin"),
    ],
)
def test_each_scheme_has_its_provider(url: str, name: str) -> None:
    assert backend_from_url(url, home=HOME).name == name


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (
            "",
            "begins with none of maildir://, console://, memory://, smtp://, smtp\\+starttls://, smtps://, lmtp://, sendmail://",
        ),
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
        ("sendmail://host", "sendmail:///path"),
        ("sendmail:///path/", "sendmail:///path"),
        ("sendmail://?deadline=0", "sendmail:///path"),
        ("sendmail://?shell=1", "sendmail:///path"),
        ("ses://AKID@eu-west-3", "ses://ACCESS_KEY:SECRET@REGION"),
        ("ses://AKID:hunter2@", "ses://ACCESS_KEY:SECRET@REGION"),
        ("ses://AKID:hunter2@evil.example.org", "ses://ACCESS_KEY:SECRET@REGION"),
        ("ses://AKID:hunter2@eu-west-3:25", "ses://ACCESS_KEY:SECRET@REGION"),
        ("ses://AKID:hun/ter2@eu-west-3", "malformed"),
        ("ses://AKID:1/hunter2@eu-west-3", "has a path"),
        ("ses://AKID:hunter2%0D@eu-west-3", "control character"),
        ("ses://AKID:hunter2@eu-west-3?x=1", "takes connections, endpoint"),
        ("ses://AKID:hunter2@eu-west-3?connections=65", "takes connections"),
        ("ses://AKID:hunter2@eu-west-3?answer=0", "takes connections"),
        ("ses://AKID:hunter2@eu-west-3?answer=5&answer=6", "once each"),
        ("ses://AKID:hunter2@eu-west-3?endpoint=http://example.org", "clear text"),
        ("ses://AKID:hunter2@eu-west-3?endpoint=https://u@example.org", "takes connections"),
        ("ses://AKID:hunter2@eu-west-3?endpoint=https://example.org:99999", "cannot be read"),
        ("mailgun://hunter2@lettre.example.ma", "say where the mail goes"),
        ("mailgun://hunter2@lettre.example.ma?region=mars", "fit value"),
        ("mailgun://hunter2@localhost?region=eu", "mailgun://API_KEY@DOMAIN"),
        ("mailgun://u:hunter2@lettre.example.ma?region=eu", "mailgun://API_KEY@DOMAIN"),
        ("postmark://hunter2@", "postmark://SERVER_TOKEN@STREAM"),
        ("postmark://broadcast", "postmark://SERVER_TOKEN@STREAM"),
        ("brevo://hunter2@example.org", "brevo://API_KEY@api.brevo.com"),
        ("failover:smtp://a|smtp://b", "should be failover:"),
        ("failover://(smtp://a|smtp://b)", "should be failover:"),
        ("failover:(smtp://u:hunter2@a)", "should be failover:"),
        ("failover:(smtp://a|)", "should be failover:"),
        ("failover:(smtp://a|smtp://b))", "should be failover:"),
        ("failover:((smtp://a|smtp://b)", "should be failover:"),
        ("roundrobin:()", "should be roundrobin:"),
        ("roundrobin:(smtps://u:hunter2@a|http://u:hunter2@b)", "begins with none of"),
        ("failover:(memory://|smtp://u:hunter2@b)", "clear text"),
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


def test_several_keep_the_order_and_the_nesting_of_their_url() -> None:
    backend = backend_from_url("failover:(smtp://a|roundrobin:(maildir:///b|smtp://c:26))", home=HOME)
    assert isinstance(backend, FailoverBackend)
    first, second = backend.backends
    assert isinstance(second, RoundRobinBackend)
    assert first.describe() == backend_from_url("smtp://a", home=HOME).describe()
    assert second.backends[0] == MaildirBackend(Path("/b"))
    assert second.backends[1].describe() == backend_from_url("smtp://c:26", home=HOME).describe()


bracketed = st.recursive(
    st.sampled_from(["smtp://a", "memory://", "", "x", "failover:(memory://|memory://)"]),
    lambda inner: st.builds(
        "{}({})".format, st.sampled_from(["failover:", "roundrobin:", ""]), st.lists(inner, max_size=3).map("|".join)
    ),
)


@settings(max_examples=200)
@given(st.one_of(bracketed, st.text("failover:(|)smtp/ab@", max_size=30)))
def test_any_text_makes_a_backend_or_an_error_that_can_be_shown(url: str) -> None:
    with contextlib.suppress(ConfigError):
        assert backend_from_url(url, home=HOME).describe()


@pytest.mark.parametrize(
    "url",
    [
        "ses://AKID:hunter2@eu-west-3",
        "postmark://hunter2@broadcast",
        "mailgun://hunter2@lettre.example.ma?region=us",
        "brevo://hunter2@api.brevo.com",
        "failover:(smtps://u:hunter2@a|roundrobin:(brevo://hunter2@api.brevo.com|smtps://u:hunter2@b))",
    ],
)
def test_no_backend_shows_its_secret(url: str) -> None:
    backend = backend_from_url(url, home=HOME)
    assert "hunter2" not in repr(backend) + backend.describe() + str(backend)


def test_a_backend_shows_no_password() -> None:
    backend = backend_from_url("smtps://u:hunter2@relay", home=HOME)
    assert "hunter2" not in repr(backend) + backend.describe() + str(backend)
    assert backend.describe() == "SMTP to relay:465 with TLS, logged in"
