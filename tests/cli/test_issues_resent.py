"""`issues resend`: the number of people first, then only as a person decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from ledger_story import send_with
from ledger_story import troubled as tell

AT_NOON = "2026-11-23T12:00+00:00"  # nothing rests any more
troubled = pytest.fixture(tell)


def books(command: Command) -> dict[str, Any]:
    found: dict[str, Any] = command.json("issues", "show", "1")["books"]
    assert found["balance"]
    return found


def test_who_misses_an_issue_is_counted_and_sent_it_again(troubled: Command) -> None:
    said = troubled("issues", "resend", "1", "--missing").stdout
    before, after = said.splitlines()
    assert before.startswith("1 reader did not get it, and the address is not the cause. 1 reader is left alone: ")
    assert after == "1 mail of issue 1 waits to be sent: the next run sends it."
    again = send_with(troubled, AT_NOON, {})
    assert "badr@gmail.com" in {each.recipient for each in again.offered}
    assert "esra@example.org" not in {each.recipient for each in again.offered}
    assert "Nobody misses it who could get it." in troubled("issues", "resend", "1", "--missing").stdout


def test_of_who_is_in_doubt_it_says_that_some_get_a_second_copy(troubled: Command) -> None:
    said = troubled("issues", "resend", "1", "--uncertain").stdout
    assert said.startswith("1 reader may have it already: some will get a second copy, with the same Message-ID.")
    assert books(troubled)["possible_copies"] == 1
    again = send_with(troubled, AT_NOON, {})
    assert "driss@hotmail.com" in {each.recipient for each in again.offered}
    assert "Nobody is in doubt" in troubled("issues", "resend", "1", "--uncertain").stdout


def test_nothing_changes_where_there_is_nobody(troubled: Command) -> None:
    before = books(troubled)
    troubled("issues", "resend", "1", "--missing")
    troubled("issues", "resend", "1", "--missing")
    assert books(troubled)["failed"] == before["failed"] - 1


def test_a_paused_issue_says_how_to_go_on(troubled: Command) -> None:
    troubled("issues", "pause", "1")
    assert troubled("issues", "resend", "1", "--missing").stdout.endswith(
        "1 mail of issue 1 waits to be sent, and the issue is paused: newsletter issues resume 1\n"
    )


def test_one_has_to_say_to_whom(troubled: Command) -> None:
    for words in ([], ["--missing", "--uncertain"]):
        assert "--missing, or --uncertain" in troubled("issues", "resend", "1", *words, expect=2).stderr


def test_only_what_was_sent_can_be_sent_again(troubled: Command, feed: Callable[..., Path]) -> None:
    troubled("issues", "cancel", "1")
    assert "cancelled" in troubled("issues", "resend", "1", "--missing", expect=65).stderr
    assert "no issue 9" in troubled("issues", "resend", "9", "--missing", expect=65).stderr
