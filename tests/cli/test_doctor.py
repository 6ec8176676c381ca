"""The doctor: what is well, what has to be mended (78), what does not answer (75)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiosmtpd.handlers import Mailbox
from command_line import Command

from factories import parsed
from http_faults import closed_endpoint, provider
from loopback import LoopbackController
from newsletter.base.errors import ConfigError
from newsletter.mail.registry import backend_from_url
from newsletter.operations import destinations

PROVIDERS = Path(__file__).resolve().parents[2] / "docs" / "providers.md"
ABROAD = ["brevo", "mailgun", "postmark", "ses"]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A mail server: its URL, and the maildir of what it took."""
    folder = tmp_path / "taken"
    controller = LoopbackController(Mailbox(str(folder)), hostname="127.0.0.1", port=0)
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}", folder
    controller.stop()


@pytest.fixture
def dead_relay() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return f"smtp://127.0.0.1:{port}"


def test_a_fresh_home_has_nothing_to_mend(ready: Command) -> None:
    said = ready("doctor").stdout
    assert "Nothing has to be mended." in said
    assert "Africa/Casablanca is UTC+0 on 23 November 2026" in said
    assert all(line.startswith(("✓", "!")) for line in said.splitlines()[:-2])


def test_before_init_it_says_what_to_run(newsletter: Command) -> None:
    assert "newsletter init" in newsletter("doctor", expect=78).stderr


def test_keys_that_others_can_read_have_to_be_mended(ready: Command) -> None:
    (ready.home / "secrets.env").chmod(0o644)
    said = ready("doctor", expect=78).stdout
    assert "chmod 600" in said
    assert "1 thing has to be mended." in said


def test_an_empty_database_has_to_be_mended(newsletter: Command, tmp_path: Path) -> None:
    newsletter("init")
    empty = f"sqlite:///{tmp_path / 'other.db'}"
    assert "newsletter init" in newsletter("doctor", expect=78, NEWSLETTER_DATABASE_URL=empty).stdout


def test_a_file_that_is_no_database_has_to_be_mended(newsletter: Command, tmp_path: Path) -> None:
    newsletter("init")
    (tmp_path / "broken.db").write_bytes(b"this is no database, whatever its name says" * 100)
    broken = f"sqlite:///{tmp_path / 'broken.db'}"
    said = newsletter("doctor", expect=78, NEWSLETTER_DATABASE_URL=broken).output
    assert "not a database" in said
    assert "Traceback" not in said


def test_a_public_site_needs_https_and_what_the_law_asks(ready: Command) -> None:
    said = ready("doctor", expect=78, NEWSLETTER_BASE_URL="http://lettre.gov.ma").stdout
    assert "RFC 8058" in said
    assert "the CNDP reference and the postal address in fr, ar, en" in said
    assert "2 things have to be mended." in said


def test_a_public_site_that_is_complete_is_well(newsletter: Command) -> None:
    newsletter("init")
    words = ["--name", "L'hebdo", "--cndp", "D-W-1/2026", "--postal-address", "Rabat", "--mail-domain", "lettre.gov.ma"]
    words += ["--institution", "Ministère", "--promise", "Chaque lundi, l'essentiel."]
    newsletter("newsletters", "add", "hebdo", *words)
    said = newsletter("doctor", NEWSLETTER_BASE_URL="https://lettre.gov.ma").stdout
    assert "✓  hebdo" in said


def test_a_relay_that_answers_is_well_and_gets_no_mail(ready: Command, relay: tuple[str, Path]) -> None:
    url, taken = relay
    # The newsletter's domain is nobody's: fit for a maildir, not for a real relay.
    said = ready("doctor", expect=78, NEWSLETTER_MAIL_URL=url).stdout
    assert "✓  mail" in said
    assert "no domain that mail can come from" in said
    assert not list(taken.glob("new/*"))


def test_a_relay_that_does_not_answer_is_75(newsletter: Command, dead_relay: str) -> None:
    newsletter("init")
    said = newsletter("doctor", expect=75, NEWSLETTER_MAIL_URL=dead_relay).stdout
    assert "unreachable" in said
    assert "1 does not answer: try later." in said
    assert "✓  database" in said


def test_a_relay_without_the_encryption_that_was_asked_for_has_to_be_mended(
    newsletter: Command, relay: tuple[str, Path]
) -> None:
    newsletter("init")
    url = relay[0].replace("smtp://", "smtp+starttls://")
    assert "STARTTLS" in newsletter("doctor", expect=78, NEWSLETTER_MAIL_URL=url).stdout


def test_what_stays_here_is_said_to_stay_here(ready: Command) -> None:
    for url in ("maildir://", "console://", "memory://", "failover:(maildir://|memory://)"):
        said = ready("doctor", NEWSLETTER_MAIL_URL=url).stdout
        assert "nothing leaves this machine" in said, url
        assert "abroad" not in said, url


@pytest.mark.parametrize("name", ABROAD)
def test_a_provider_in_another_country_is_named_as_such(ready: Command, name: str) -> None:
    with provider(name) as (_, _, url):
        # 78 for the newsletter's domain alone, which no provider could send from either.
        said = ready("doctor", expect=78, NEWSLETTER_MAIL_URL=url).stdout
    assert "✓  mail " in said
    assert f"readers' addresses go to {destinations.ABROAD[name]}: a transfer abroad (law 09-08)" in said
    assert "nothing leaves this machine" not in said
    assert "no domain that mail can come from" in said


def test_a_provider_abroad_is_named_also_while_it_does_not_answer(newsletter: Command) -> None:
    newsletter("init")
    with closed_endpoint() as endpoint:
        url = f"brevo://key@api.brevo.com?endpoint={endpoint}"
        said = newsletter("doctor", expect=75, NEWSLETTER_MAIL_URL=url).stdout
    assert "readers' addresses go to Brevo" in said


def test_a_second_way_that_leads_abroad_is_named_too(ready: Command, relay: tuple[str, Path]) -> None:
    with provider("postmark") as (_, _, url):
        said = ready("doctor", expect=78, NEWSLETTER_MAIL_URL=f"failover:({relay[0]}|{url})").stdout
    assert "all of them are well" in said
    assert "readers' addresses go to Postmark" in said


def test_a_program_that_hands_mail_on_is_not_said_to_keep_it(ready: Command, tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    said = ready("doctor", expect=78, NEWSLETTER_MAIL_URL=f"sendmail://{program}").stdout
    assert "only a mail shows more" in said
    assert "no domain that mail can come from" in said


@pytest.mark.parametrize(
    ("url", "schemes"),
    [
        ("SMTP://u:a|b(c:d@relay.example.ma", ["smtp"]),
        (
            "failover:( lmtp:///run/lmtp | roundrobin:(ses://k:s@eu-west-3|brevo://k@api.brevo.com))",
            ["lmtp", "ses", "brevo"],
        ),
        ("roundrobin:(smtp://a|smtp://b)", ["smtp"]),
        ("failover:(pigeon://a|maildir:///mail)", ["pigeon", "maildir"]),
    ],
)
def test_every_way_in_a_mail_url_is_found(url: str, schemes: list[str]) -> None:
    assert destinations.schemes_of(url) == schemes


def test_a_way_that_is_not_ours_is_not_called_well_known() -> None:
    assert destinations.unknown_ways("failover:(pigeon://a|smtp://b)") == ["pigeon"]
    assert not destinations.stays_here("pigeon://a")


def test_where_each_of_our_ways_leads_is_known_and_written_down() -> None:
    with pytest.raises(ConfigError) as refusal:
        backend_from_url("nobody://", home=Path("/nonexistent"))
    ours = set(re.findall(r"([a-z+]+):", refusal.value.message.partition("none of")[2]))
    placed = destinations.KEPT_HERE | destinations.TO_A_SERVER | destinations.THROUGH_THIS_MACHINE
    assert ours == placed | destinations.ABROAD.keys() | destinations.SEVERAL
    rows = re.findall(r"^\| (`.+?`) \| [^|]+ \| ([^|]+) \|", PROVIDERS.read_text().replace("\\|", "/"), re.MULTILINE)
    told = {scheme: abroad for ways, abroad in rows for scheme in re.findall(r"`([a-z+]+):", ways)}
    assert {scheme for scheme, abroad in told.items() if abroad.startswith("yes")} == set(destinations.ABROAD)
    assert ours <= told.keys()


def test_the_trial_mail_arrives_with_our_headers(ready: Command, relay: tuple[str, Path]) -> None:
    url, taken = relay
    said = ready("doctor", "--send-test", "you@example.org", expect=78, NEWSLETTER_MAIL_URL=url).stdout
    assert "✓  trial mail" in said
    [path] = taken.glob("new/*")
    mail = parsed(path.read_bytes())
    assert mail["To"] == "you@example.org"
    assert mail["Subject"] == "Trial mail: L'hebdo"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"]
    assert mail["Date"]
    assert "If you read this, mail leaves." in mail.get_content()


def test_the_trial_mail_goes_to_the_maildir_too_and_only_to_addresses(ready: Command) -> None:
    ready("doctor", "--send-test", "you@example.org")
    assert len(ready.mails()) == 1
    assert "not a mail address" in ready("doctor", "--send-test", "you", expect=65).stderr


def test_without_a_newsletter_there_is_nobody_to_send_a_trial_mail(newsletter: Command) -> None:
    newsletter("init")
    assert "add one first" in newsletter("doctor", "--send-test", "you@example.org", expect=65).stderr


def test_a_held_issue_is_named_with_what_to_do(ready: Command, feed: Callable[..., Path]) -> None:
    ready("sources", "add", str(feed("Une nouvelle")))
    ran = ready("run", "--due", "--at", "2026-11-16T20:00+00:00")
    assert "held (late), for a person: newsletter issues release 1" in ran.stdout
    assert "newsletter issues release 1" in ready("doctor").stdout
    ready("issues", "release", "1")
    assert "none is held" in ready("doctor").stdout


def test_each_thing_that_the_law_wants_said_is_missed_in_the_language_it_lacks(newsletter: Command) -> None:
    newsletter("init")
    words = ["--name", "L'hebdo", "--mail-domain", "lettre.gov.ma", "--language", "fr", "--language", "ar"]
    texts = ["--promise", "fr=Chaque lundi.", "--postal-address", "ar=الرباط"]
    newsletter("newsletters", "add", "hebdo", *words, *texts)
    said = newsletter("doctor", expect=78, NEWSLETTER_BASE_URL="https://lettre.gov.ma").stdout
    assert "the CNDP reference and the postal address in fr and" in said
    assert "what their address serves for (--promise) in ar (law 09-08)" in said


def test_the_log_of_erasures_must_be_readable_whole_and_by_its_owner_alone(ready: Command) -> None:
    path = ready.home / "erasures.log"
    assert "✓  erasures    nobody was erased yet" in ready("doctor").stdout
    path.write_text(f"2026-11-15T12:00:00+00:00 {'a' * 64}\n")
    path.chmod(0o644)
    assert f"chmod 600 {path}" in ready("doctor", expect=78).stdout
    path.chmod(0o600)
    assert "1 address in erasures.log" in ready("doctor").stdout
    with path.open("a") as file:
        file.write("2026-11-15T12:0")
    assert "line 2 cannot be read" in ready("doctor", expect=78).stdout
