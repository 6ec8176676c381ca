"""`rates`: limits that an operator sets, pauses that a person ends."""

from __future__ import annotations

import re

from command_line import Command

from newsletter.base.families import FAMILIES
from newsletter.deliveries import rates


def limits(command: Command) -> dict[str, tuple[int | None, int | None]]:
    return {each["family"]: (each["per_minute"], each["lines"]) for each in command.json("rates", "list")}


def test_without_limits_it_says_so(ready: Command) -> None:
    assert "Nothing is limited, and nothing rests." in ready("rates", "list").stdout
    assert ready.json("rates", "list") == []


def test_a_limit_that_is_not_named_stays(ready: Command) -> None:
    ready("rates", "set", "gmail", "--lines", "3")
    said = ready("rates", "set", "gmail", "--per-minute", "600").stdout
    assert said == (
        "From now on, by maildir to gmail (gmail.com, googlemail.com): "
        "at most 600 mails a minute, at most 3 on their way at once.\n"
    )
    assert limits(ready) == {"gmail": (600, 3)}
    ready("rates", "set", "gmail", "--lines", "0")
    assert limits(ready) == {"gmail": (600, None)}
    assert ready("rates", "set", "gmail", "--per-minute", "0").stdout.endswith(": no limit.\n")
    assert limits(ready) == {}


def test_every_family_and_all_together_can_be_limited(ready: Command) -> None:
    for family in (*FAMILIES, "*"):
        ready("rates", "set", family, "--per-minute", "60")
    assert limits(ready) == dict.fromkeys((*FAMILIES, "*"), (60, None))
    lines = ready("rates", "list").stdout.splitlines()
    assert [line.split()[1] for line in lines[1:]] == sorted([*FAMILIES, "*"])


def test_an_unknown_family_is_refused_with_those_that_there_are(ready: Command) -> None:
    answer = ready("rates", "set", "gmial", "--lines", "3", expect=65)
    assert "“gmial”" in answer.stderr
    assert all(family in answer.stderr for family in FAMILIES)
    assert limits(ready) == {}


def test_a_limit_has_to_be_said_and_to_be_a_number(ready: Command) -> None:
    ready("rates", "set", "gmail", expect=2)
    ready("rates", "set", "gmail", "--lines", "-1", expect=2)
    ready("rates", "set", "gmail", "--per-minute", "many", expect=2)


def test_what_rests_is_listed_and_ended(ready: Command) -> None:
    with ready.parts_now() as parts, parts.database.work() as work:
        rates.throttled(work, "maildir", family="gmail", reason="421 4.7.28 too many mails")
        rates.stopped(work, "maildir", reason="unreachable")
        rates.stopped(work, "another", reason="unreachable")
    said = ready("rates", "list").stdout
    assert re.search(r"gmail .* gmail rests until \d\d:\d\d: 421 4\.7\.28 too many mails", said)
    assert re.search(r"\* .* maildir rests until \d\d:\d\d: unreachable", said)
    assert ready("rates", "resume").stdout == "2 pauses of maildir are ended: the next run sends.\n"
    assert [each["backend"] for each in ready.json("rates", "list")] == ["another"]
    assert ready("rates", "resume").stdout == "Nothing of maildir rested.\n"


def test_a_limit_holds_for_the_next_run(ready: Command) -> None:
    with ready.parts_now() as parts, parts.database.work() as work:
        rates.set_limits(work, "maildir", family="gmail", per_minute=1, lines=None)
    assert limits(ready) == {"gmail": (1, None)}
    ready("rates", "resume")
    assert limits(ready) == {"gmail": (1, None)}, "limits stay"
