"""Releasing, pausing, resuming and cancelling issues from the command line; backing up and upgrading."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import NEXT_MONDAY, SUNDAY, TUESDAY, Command

from factories import make_reader

LATE = "2026-11-23T20:00+00:00"


@pytest.fixture
def held(ready: Command, feed: Callable[..., Path]) -> Command:
    """The command with issue 1 held, because its slot is long past."""
    ready("sources", "add", str(feed("Une nouvelle")))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        make_reader(parts, "salma@example.org")
    feed("Une nouvelle", "Une autre")
    ready("run", "--due", "--at", LATE)
    assert state(ready) == "held"
    assert ready.mails() == []
    return ready


def state(command: Command) -> str:
    return str(command.json("issues", "show", "1")["state"])


def test_a_released_issue_leaves_with_the_next_run(held: Command) -> None:
    held("issues", "release", "1")
    assert "1 reader = 1 accepted" in held("run", "--due", "--at", LATE).stdout
    assert state(held) == "finished"
    assert len(held.mails()) == 1


def test_a_cancelled_issues_articles_come_with_the_next_one(held: Command) -> None:
    held("issues", "cancel", "1", "--reason", "wrong figures")
    assert "cancelled (wrong figures)" in held("issues", "list").stdout
    assert held("run", "--due", "--at", LATE).stdout == ""
    assert "1 reader = 1 accepted" in held("run", "--due", "--at", NEXT_MONDAY).stdout


def test_a_reason_has_to_fit_into_the_books(held: Command) -> None:
    held("issues", "cancel", "1", "--reason", "x" * 61, expect=65)
    assert state(held) == "held"


def test_a_step_that_the_state_does_not_allow_is_refused(held: Command) -> None:
    for step in ("pause", "resume"):
        assert "held" in held("issues", step, "1", expect=65).stderr
    assert state(held) == "held"


def test_a_paused_issue_waits_until_it_is_resumed(held: Command) -> None:
    held("issues", "release", "1")
    stopped = held("run", "--due", "--at", LATE, expect=75, NEWSLETTER_MAIL_URL="smtp://127.0.0.1:9")
    assert "sending stopped, the next run goes on: unreachable" in stopped.stderr
    held("issues", "pause", "1")
    assert held("run", "--due", "--at", LATE).stdout == ""
    assert held.mails() == []
    held("issues", "resume", "1")
    held("run", "--due", "--at", LATE)
    assert (state(held), len(held.mails())) == ("finished", 1)


def test_a_backup_is_a_whole_database_of_its_owners_own(held: Command, database_kind: str, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    if database_kind == "postgresql":
        assert "pg_dump" in held("db", "backup", str(target), expect=65).stderr
        return
    held("db", "backup", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM issue").fetchone() == (1,)
    held("db", "backup", str(target), expect=65)
    held("db", "backup", str(tmp_path / "nowhere" / "copy.db"), expect=65)
    held("db", "backup")
    assert len(list((held.home / "backups").iterdir())) == 1


def test_an_upgrade_is_safe_to_repeat(held: Command) -> None:
    assert "stands at the newest migration" in held("db", "upgrade").stdout
