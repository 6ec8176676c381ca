"""`deliveries show`: what became of each mail to a person."""

from __future__ import annotations

import re

import pytest
from command_line import Command
from ledger_story import send_with
from ledger_story import troubled as tell

from factories import parsed

troubled = pytest.fixture(tell)


def shown(command: Command, address: str) -> dict[str, str]:
    """Return the lines about the newest mail."""
    block = command("deliveries", "show", address).stdout.strip().split("\n\n")[0]
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in block.splitlines()[1:]}


def test_a_refused_mail_is_shown_with_the_servers_words(troubled: Command) -> None:
    lines = shown(troubled, "badr@gmail.com")
    assert lines["state"] == "failed, and is not tried again (mailbox full)"
    assert lines["answer"] == "552 5.2.2 mailbox full"
    assert lines["attempts"] == "1"
    assert lines["planned"] == lines["settled"] == "Mon 23 Nov 2026 08:05"


def test_a_mail_that_is_tried_again_says_when(troubled: Command) -> None:
    lines = shown(troubled, "chama@gmail.com")
    assert lines["state"] == "was put off, and is tried again (throttled)"
    assert lines["next try"].startswith("Mon 23 Nov 2026 08:")
    assert "settled" not in lines


def test_a_mail_in_doubt_says_so_and_its_copies_are_counted(troubled: Command) -> None:
    assert shown(troubled, "driss@hotmail.com")["state"].startswith("may have left: its answer was lost")
    troubled("issues", "resend", "1", "--uncertain")
    lines = shown(troubled, "driss@hotmail.com")
    assert (lines["state"], lines["copies"]) == ("waits to be sent", "1 possible copy")


def test_the_message_id_is_the_mails_own(troubled: Command) -> None:
    troubled("issues", "resend", "1", "--uncertain")
    told = shown(troubled, "driss@hotmail.com")["Message-ID"]
    again = send_with(troubled, "2026-11-23T08:10+00:00", {})
    (mail,) = (parsed(each.data) for each in again.offered if each.recipient == "driss@hotmail.com")
    assert mail["Message-ID"] == told


def test_it_answers_in_json_newest_first_with_its_kind(troubled: Command) -> None:
    found = troubled.json("deliveries", "show", "Badr@gmail.com")
    assert [each["lane"] for each in found] == ["digest", "confirmation"]
    digest, confirmation = found
    assert (digest["issue_id"], digest["state"], digest["reason"]) == (1, "failed", "mailbox_full")
    assert (digest["reply_code"], digest["reply"]) == (552, "5.2.2 mailbox full")
    assert confirmation["newsletter"] == "hebdo"
    assert confirmation["message_id"].startswith("<")
    assert len(troubled.json("deliveries", "show", "badr@gmail.com", "--limit", "1")) == 1


def test_each_mail_is_named(troubled: Command) -> None:
    said = troubled("deliveries", "show", "amal@example.org").stdout
    assert re.search(r"^Mail \d+: issue 1 of hebdo$", said, re.MULTILINE)
    assert re.search(r"^Mail \d+: confirmation for hebdo$", said, re.MULTILINE)


def test_nobody_and_no_address_are_refused(troubled: Command) -> None:
    for address in ("nobody@example.org", "no address"):
        answer = troubled("deliveries", "show", address, expect=65)
        assert (answer.stdout, answer.stderr.count("\n")) == ("", 1)
