"""`subscribers import|export` as they are typed: what they say, write and end with, and the pages' own examples."""

from __future__ import annotations

import csv
import os
import re
import shlex
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from command_line import Command

from newsletter.__main__ import group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "import.md"
MAILCHIMP = (
    "Email Address,First Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LEID,EUID\n"
    "salma@y.ma,Salma,2,2024-06-01 09:59:00,2024-06-01 10:00:00,1,a\n"
    "nobody,Nobody,2,,2024-06-01 10:00:00,2,b\n"
)
LISTMONK = (
    "uuid,email,name,attributes,status,created_at,updated_at\n"
    'u1,a@y.ma,A,"{""city"":""Rabat""}",enabled,2024-06-01 10:00:00.1 +0000 UTC,2024-06-01 10:00:00.1 +0000 UTC\n'
    "u2,b@y.ma,B,{},blocklisted,2024-06-01 10:00:00.1 +0000 UTC,2024-06-01 10:00:00.1 +0000 UTC\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "subscribed_email_audience_export_1.csv"
    path.write_text(MAILCHIMP, encoding="utf-8")
    return path


def test_an_import_tells_what_became_of_each_row(ready: Command, file: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    words = ["subscribers", "import", str(file), "--newsletter", "hebdo", "--language", "fr"]
    found = ready(*words, "--report", str(report), expect=65)
    assert found.stderr.splitlines() == ["line 3: not a mail address"]
    assert found.stdout.splitlines() == [
        "subscribed_email_audience_export_1.csv: an export of Mailchimp, 2 rows",
        "  1  active",
        "  1  refused: not a mail address",
        "Not taken from the file, for only the address is kept of a person: First Name, MEMBER_RATING, LEID, EUID",
    ]
    assert report.read_bytes() == b"line,reason\r\n3,not a mail address\r\n"
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    again = ready(*words, "--report", str(report), expect=65)
    assert "1  left alone: has a subscription already" in again.stdout
    assert report.read_bytes() == b"line,reason\r\n2,left alone: has a subscription already\r\n3,not a mail address\r\n"


def test_it_ends_well_if_all_is_taken_or_there(ready: Command, tmp_path: Path) -> None:
    path = tmp_path / "readers.txt"
    path.write_text("a@y.ma\r\nb@y.ma\r\n", encoding="utf-8")
    words = ["subscribers", "import", str(path), "--newsletter", "hebdo", "--language", "fr", "--evidence", "paper"]
    assert "2  active" in ready(*words).stdout
    assert "2  left alone: has a subscription already" in ready(*words).stdout


def test_a_dry_run_says_so(ready: Command, file: Path) -> None:
    words = ["subscribers", "import", str(file), "--newsletter", "hebdo", "--language", "fr"]
    assert "1  active" in ready(*words, "--dry-run", expect=65).stdout
    found = ready(*words, "--dry-run", expect=65).stdout
    assert "1  active" in found
    assert found.endswith("This was a dry run: nothing has changed.\n")


def test_programs_get_json(ready: Command, tmp_path: Path) -> None:
    path = tmp_path / "listmonk.csv"
    path.write_text(LISTMONK, encoding="utf-8")
    words = ["subscribers", "import", str(path), "--newsletter", "hebdo", "--language", "ar,fr", "--evidence", "form"]
    assert ready.json(*words) == {
        "file": "listmonk.csv",
        "newsletter": "hebdo",
        "format": "listmonk",
        "dry_run": False,
        "encodings": [],
        "rows": 2,
        "taken": {"active": 1, "address closed": 1},
        "left_alone": {},
        "refused": {},
        "columns_not_taken": ["uuid", "name", "attributes"],
    }
    shown = ready.json("subscribers", "show", "a@y.ma")
    assert shown["subscriptions"][0]["languages"] == ["ar", "fr"]
    assert shown["consents"][0]["kind"] == "imported"
    assert shown["consents"][0]["evidence"]["statement"] == "form"
    assert "imported (listmonk, listmonk.csv, line 2)" in ready("subscribers", "show", "a@y.ma").stdout


def test_it_reads_standard_input(ready: Command) -> None:
    words = ["subscribers", "import", "-", "--newsletter", "hebdo", "--language", "fr", "--evidence", "paper"]
    found = CliRunner().invoke(group, words, env=ready.environment, input="a@y.ma\n")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("standard input: a list of addresses, 1 row\n")


def test_no_more_than_twenty_refused_lines_are_told_one_by_one(ready: Command, tmp_path: Path) -> None:
    path, report = tmp_path / "readers.csv", tmp_path / "report.csv"
    path.write_text("email\n" + "nobody\n" * 30, encoding="utf-8")
    words = ["subscribers", "import", str(path), "--newsletter", "hebdo", "--language", "fr"]
    found = ready(*words, "--report", str(report), expect=65)
    assert len(found.stderr.splitlines()) == 21
    assert found.stderr.splitlines()[-1] == "more lines are refused; the report has them all"
    assert len(list(csv.reader(report.read_text(encoding="utf-8").splitlines()))) == 31


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--newsletter", "no-such"], "there is no newsletter “no-such”"),
        (["--newsletter", "hebdo", "--language", "de"], "the newsletter does not speak “de”"),
        (["--newsletter", "hebdo", "--topics", "sport"], "the newsletter has no topic “sport”"),
        (["--newsletter", "hebdo", "--format", "ours"], "a file of the format “ours” has a column"),
        (["--newsletter", "hebdo", "--report", "{file}"], "--report would write over the file"),
        (["--newsletter", "hebdo", "--report", "{file}/x"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(ready: Command, file: Path, words: list[str], told: str) -> None:
    given = [word.format(file=file) for word in words]
    assert told in ready("subscribers", "import", str(file), *given, expect=65).stderr
    assert file.read_text(encoding="utf-8") == MAILCHIMP


def test_an_address_never_stands_in_what_is_told(ready: Command, tmp_path: Path) -> None:
    path = tmp_path / "readers.csv"
    path.write_text("email,state,topics\nbad@@y.ma,active,x\nc@y.ma,d@y.ma,\ne@y.ma,active,f@y.ma\n", encoding="utf-8")
    words = ["subscribers", "import", str(path), "--newsletter", "hebdo", "--language", "fr", "--evidence", "paper"]
    assert "@" not in ready(*words, expect=65).output


def test_an_export_goes_to_a_file_that_only_its_owner_reads(ready: Command, file: Path, tmp_path: Path) -> None:
    ready("subscribers", "import", str(file), "--newsletter", "hebdo", "--language", "fr", expect=65)
    out = tmp_path / "out.csv"
    assert ready("subscribers", "export", str(out)).stderr == f"1 subscription written to {out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    written = ready("subscribers", "export", "--newsletter", "hebdo", "--state", "active")
    assert written.stdout_bytes == out.read_bytes()
    assert out.read_bytes().count(b"\r\n") == 2
    assert (
        "1  left alone: has a subscription already"
        in ready("subscribers", "import", str(out), "--newsletter", "hebdo").stdout
    )
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_file_is_told(ready: Command, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written" in ready("subscribers", "export", str(tmp_path / "out.csv"), expect=65).stderr
    finally:
        tmp_path.chmod(0o700)


def test_an_export_into_a_pipe_leaves_the_pipe_there(ready: Command, file: Path, tmp_path: Path) -> None:
    ready("subscribers", "import", str(file), "--newsletter", "hebdo", "--language", "fr", expect=65)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ready("subscribers", "export", str(pipe))
        assert b"salma@y.ma" in os.read(reader, 10_000)
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_an_export_follows_no_link_that_somebody_laid(ready: Command, tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out.csv"
    victim.write_text("mine", encoding="utf-8")
    (tmp_path / "out.csv.part").symlink_to(victim)
    ready("subscribers", "export", str(out))
    assert victim.read_text(encoding="utf-8") == "mine"
    assert out.is_file()
    assert not out.is_symlink()


def test_an_export_that_fails_leaves_the_file_as_it_was(ready: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("older", encoding="utf-8")
    ready("subscribers", "export", str(out), "--newsletter", "no-such", expect=65)
    assert out.read_text(encoding="utf-8") == "older"
    assert list(tmp_path.glob("*.csv*")) == [out]


def test_the_examples_of_the_page_do_what_it_says(
    ready: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file that the page shows is written, each command is typed, and prints what stands below it."""
    monkeypatch.chdir(tmp_path)
    steps = re.findall(r"```(csv|text|console)(?: (\S+))?\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    typed = 0
    for kind, name, body in steps:
        if kind in {"csv", "text"} and name:
            Path(name).write_text(body, encoding="utf-8")
        elif kind == "console":
            for command, expected in re.findall(
                r"^\$ newsletter (.+(?:\\\n.+)*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE
            ):
                found = _typed(ready, command.replace("\\\n", " "))
                assert found.stderr + found.stdout == expected, command
                typed += 1
    assert typed >= 6


def _typed(ready: Command, command: str) -> Result:
    return CliRunner().invoke(group, shlex.split(command), env=ready.environment, catch_exceptions=False)
