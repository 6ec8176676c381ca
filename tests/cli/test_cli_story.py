"""The main job as a new operator types it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from command_line import LATER_ON_MONDAY, MONDAY, NEXT_MONDAY, SUNDAY, TUESDAY, Command

from factories import make_reader, parsed


def test_the_main_job_by_hand(newsletter: Command, feed: Callable[..., Path]) -> None:
    assert "Next" in newsletter("init").stdout
    newsletter("newsletters", "add", "hebdo", "--name", "L'hebdo", "--at", SUNDAY)
    path = feed("Un guichet unique", "Une bourse")
    assert "2 in fr" in newsletter("sources", "add", str(path)).stdout
    assert "2 new" in newsletter("fetch", "--at", SUNDAY).stdout
    assert "nothing new" in newsletter("fetch", "--at", SUNDAY).stdout
    assert "nobody" in newsletter("subscribers", "show", "salma@example.org", expect=65).stderr
    with newsletter.parts(TUESDAY) as parts:
        make_reader(parts, "salma@example.org")
        make_reader(parts, "idris@example.org", languages=["ar", "fr"])

    feed("Un guichet unique", "Une bourse", "Un nouveau portail")
    first = newsletter("run", "--due", "--at", MONDAY)
    assert "source 1: 1 new" in first.stdout
    assert "2 readers = 2 accepted" in first.stdout
    digests = [mail for mail in map(parsed, newsletter.mails()) if mail["List-Id"]]
    assert sorted(mail["To"] for mail in digests) == ["idris@example.org", "salma@example.org"]

    again = newsletter("run", "--due", "--at", LATER_ON_MONDAY)
    assert (again.stdout, again.stderr) == ("", "")
    assert len([mail for mail in map(parsed, newsletter.mails()) if mail["List-Id"]]) == 2

    a_week_later = newsletter("run", "--due", "--at", NEXT_MONDAY)
    assert a_week_later.stdout == "", "an issue with nothing for anyone is no news for cron"
    assert "empty" in newsletter("issues", "list").stdout
    assert "2 nothing new" in newsletter("issues", "show", "2").stdout
    shown = newsletter("subscribers", "show", "salma@example.org").stdout
    assert "hebdo weekly" in shown
    assert "confirmed" in shown
    assert "issue 1, hebdo" in shown


def test_init_makes_a_home_that_only_its_owner_can_read_the_keys_of(newsletter: Command) -> None:
    newsletter("init")
    secrets = newsletter.home / "secrets.env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert "SECRET_KEYS" in secrets.read_text()


def test_init_twice_changes_nothing(newsletter: Command) -> None:
    newsletter("init")
    before = (newsletter.home / "secrets.env").read_bytes()
    second = newsletter("init")
    assert (newsletter.home / "secrets.env").read_bytes() == before
    assert "kept as they were" in second.stdout


def test_init_needs_no_secrets_file_where_the_environment_gives_the_keys(newsletter: Command) -> None:
    key = "k" * 32
    newsletter("init", NEWSLETTER_SECRET_KEYS=key, NEWSLETTER_ADDRESS_KEY=key)
    assert newsletter.home.is_dir()
    assert not (newsletter.home / "secrets.env").exists()


def test_a_source_is_stored_by_its_whole_path_so_that_cron_finds_it(ready: Command, feed: Callable[..., Path]) -> None:
    path = feed("Une nouvelle")
    ready("sources", "add", path.name, expect=65)  # not in this folder
    ready("sources", "add", str(path))
    assert [source["url"] for source in ready.json("sources", "list")] == [str(path)]


def test_what_is_no_feed_is_refused_and_not_added(ready: Command, tmp_path: Path) -> None:
    prose = tmp_path / "prose.txt"
    prose.write_text("Bonjour.")
    refused = ready("sources", "add", str(prose), expect=65)
    assert str(prose) in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert ready.json("sources", "list") == []


def test_a_source_in_trouble_is_one_line_and_the_others_go_on(ready: Command, feed: Callable[..., Path]) -> None:
    broken, sound = feed("Une nouvelle", name="one.xml"), feed("Une autre", name="two.xml")
    ready("sources", "add", str(broken))
    ready("sources", "add", str(sound))
    broken.write_text("<rss>")
    ran = ready("run", "--due", "--at", TUESDAY)
    assert [str(broken) in line for line in ran.stderr.splitlines()] == [True]
    assert "source 2: 1 new" in ran.stdout
    assert "source 1" in ready("doctor").stdout
    assert "! source 1" in ready("sources", "list").stdout
    ready("fetch", "1", expect=65)  # asked for this one, it is the caller's business


def test_a_newsletter_is_named_where_there_are_several(ready: Command, feed: Callable[..., Path]) -> None:
    ready("newsletters", "add", "jeunes", "--name", "fr=Jeunes", "--topic", "sport:fr=Sport", "--topic", "arts")
    path = feed("Une nouvelle")
    assert "hebdo | jeunes" in ready("sources", "add", str(path), expect=65).stderr
    ready("sources", "add", str(path), "--newsletter", "jeunes", "--topic", "arts")
    assert [(each["newsletter"], each["topic"]) for each in ready.json("sources", "list")] == [("jeunes", "arts")]


def test_the_demos_own_file_describes_a_newsletter(newsletter: Command) -> None:
    newsletter("init")
    file = Path(__file__).resolve().parents[2] / "newsletter" / "demo" / "site" / "newsletter.json"
    newsletter("newsletters", "add", "--from", str(file), "--daily", "07:30", "--mail-domain", "lettre.gov.ma")
    [added] = newsletter.json("newsletters", "list")
    assert added["slug"] == "hebdo"
    assert [each["frequency"] for each in added["rhythms"]] == ["daily", "weekly"]
    assert added["sender"] == "hebdo@lettre.gov.ma"
    assert added["names"]["ar"] == "النشرة الأسبوعية للوزارة"
