"""Exit codes, JSON, tables: how the command line answers."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from command_line import LATER_ON_MONDAY, MONDAY, SUNDAY, Command
from rich.cells import cell_len

from factories import make_reader

LISTINGS = (
    ["newsletters", "list"],
    ["sources", "list"],
    ["issues", "list"],
    ["issues", "show", "1"],
    ["subscribers", "show", "salma@example.org"],
    ["fetch"],
    ["run", "--due", "--dry-run", "--at", MONDAY],
    ["run", "--due", "--at", MONDAY],
    ["doctor"],
)


@pytest.fixture
def sent(ready: Command, feed: Callable[..., Path]) -> Command:
    """The command after the first issue."""
    ready("sources", "add", str(feed("Un guichet unique")))
    with ready.parts(SUNDAY) as parts:
        make_reader(parts, "salma@example.org")
    ready("run", "--due", "--at", MONDAY)
    return ready


def test_every_listing_answers_in_json(sent: Command) -> None:
    for words in LISTINGS:
        assert sent.json(*words)


def test_an_empty_listing_says_what_to_do(newsletter: Command) -> None:
    newsletter("init")
    for words in LISTINGS[:3]:
        assert "newsletter " in newsletter(*words).stdout
        assert newsletter.json(*words) == []


def test_a_terminal_of_80_columns_shows_every_listing_without_a_broken_word(sent: Command) -> None:
    lines = _on_a_terminal(sent, *LISTINGS[:5], ["doctor"], ["run", "--due", "--dry-run"])
    assert "The books balance; 0 possible copies." in lines
    assert max(map(cell_len, lines)) <= 80
    assert not any(0 < len(line.strip()) < 4 and line.strip().isalpha() for line in lines), lines


def test_the_books_of_an_issue_are_shown_as_a_sum(sent: Command) -> None:
    shown = sent.json("issues", "show", "1")
    assert shown["books"]["balance"] is True
    assert shown["books"]["accepted"] == shown["books"]["audience"] == 1
    assert [(each["language"], each["readers"], each["articles"]) for each in shown["editions"]] == [("fr", 1, 1)]
    assert "The books balance; 0 possible copies." in sent("issues", "show", "1").stdout


def test_moments_are_told_on_the_newsletters_clock(sent: Command) -> None:
    assert "Mon 23 Nov 2026 08:00 (Africa/Casablanca)" in sent("issues", "show", "1").stdout


BAD_INPUT: list[tuple[list[str], int]] = [
    (["issues", "show", "9"], 65),
    (["issues", "pause", "9"], 65),
    (["fetch", "9"], 65),
    (["subscribers", "show", "nobody@example.org"], 65),
    (["subscribers", "show", "not an address"], 65),
    (["newsletters", "add", "hebdo", "--name", "Encore"], 65),
    (["newsletters", "add", "x y", "--name", "Encore"], 65),
    (["newsletters", "add", "autre"], 65),
    (["newsletters", "add", "autre", "--name", "tlh=Qapla"], 65),
    (["newsletters", "add", "autre", "--name", "Autre", "--weekly", "someday"], 65),
    (["newsletters", "add", "autre", "--name", "Autre", "--daily", "25:00"], 65),
    (["newsletters", "add", "autre", "--name", "Autre", "--monthly", "32"], 65),
    (["newsletters", "add", "--from", "/nowhere.json"], 65),
    (["sources", "add", "/nowhere.xml"], 65),
    (["run", "--due", "--at", "tomorrow"], 65),
    (["run", "--due", "--at", "2026-11-23T08:00"], 65),
    (["run"], 2),
    (["issues", "show", "one"], 2),
    (["no-such-command"], 2),
]


def test_bad_input_is_one_line_and_the_right_exit_code(ready: Command) -> None:
    for words, code in BAD_INPUT:
        answer = ready(*words, expect=code)
        assert answer.stdout == "", words
        assert answer.stderr, words
        assert code == 2 or answer.stderr.count("\n") == 1, words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEWSLETTER_COLOUR", "green"),
        ("NEWSLETTER_WINDOW", "many"),
        ("NEWSLETTER_IN_DOUBT", "perhaps"),
        ("NEWSLETTER_SECRET_KEYS", "short"),
        ("NEWSLETTER_DATABASE_URL", "mysql://here"),
        ("NEWSLETTER_BASE_URL", "lettre.gov.ma"),
    ],
)
def test_a_setting_that_is_unknown_or_wrong_is_named(newsletter: Command, name: str, value: str) -> None:
    for words in (["init"], ["issues", "list"], ["doctor"], ["run", "--due"]):
        answer = newsletter(*words, expect=78, **{name: value})
        assert name in answer.stderr
        assert value not in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_a_mail_url_that_is_none_stops_the_command(ready: Command) -> None:
    assert "mail URL" in ready("issues", "list", expect=78, NEWSLETTER_MAIL_URL="smpt://relay").stderr


def test_before_init_every_command_says_so(newsletter: Command) -> None:
    assert "newsletter init" in newsletter("issues", "list", expect=78).stderr


def test_a_database_that_does_not_answer_is_75(newsletter: Command) -> None:
    newsletter("init")
    gone = {"NEWSLETTER_DATABASE_URL": "postgresql+psycopg://127.0.0.1:9/nothing"}
    for words in (["issues", "list"], ["db", "upgrade"], ["init"], ["doctor"]):
        answer = newsletter(*words, expect=75, **gone)
        assert "does not answer" in answer.output
        assert "Traceback" not in answer.output


def test_an_old_database_is_78_and_told_how_to_upgrade(newsletter: Command, tmp_path: Path) -> None:
    newsletter("init")
    empty = {"NEWSLETTER_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"}
    assert "newsletter init" in newsletter("run", "--due", expect=78, **empty).stderr


def test_the_version_is_told(newsletter: Command) -> None:
    assert newsletter("--version").stdout.startswith("newsletter 0.")


def test_text_from_outside_does_not_move_the_cursor(ready: Command, tmp_path: Path) -> None:
    path = tmp_path / "odd\x1b[2Jname.xml"
    path.write_text("no feed")
    assert "\x1b" not in ready("sources", "add", str(path), expect=65).stderr


def test_nothing_due_is_silent_for_cron_and_an_answer_for_a_person(sent: Command) -> None:
    assert sent("run", "--due", "--at", LATER_ON_MONDAY).output == ""
    lines = _on_a_terminal(sent, ["run", "--due", "--at", LATER_ON_MONDAY])
    assert any(line.startswith("Nothing was due") for line in lines)


def test_json_is_one_document_with_letters_as_they_are(sent: Command) -> None:
    with sent.parts(SUNDAY) as parts:
        make_reader(parts, "idris@example.org", languages=["ar"])
    text = sent("newsletters", "list", "--json").stdout
    assert json.loads(text)[0]["names"]["fr"] == "L'hebdo"
    assert "\\u" not in text


def _on_a_terminal(command: Command, *commands: Sequence[str]) -> list[str]:
    """Run commands on a terminal of 80 columns and return the lines they show."""
    main, other = pty.openpty()
    environment = {**os.environ, **command.environment, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    program = "import json, sys\nfrom newsletter.__main__ import group\n"
    program += "for words in json.loads(sys.argv[1]): group(words, standalone_mode=False)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(commands)], env=environment, stdout=other, stderr=subprocess.PIPE
    )
    os.close(other)
    shown = b""
    try:
        while chunk := os.read(main, 65_536):
            shown += chunk
    except OSError:
        pass  # Linux says so when the other side has closed
    finally:
        os.close(main)
    _, complaints = process.communicate()
    assert process.returncode == 0, complaints
    return shown.decode().replace("\r\n", "\n").splitlines()
