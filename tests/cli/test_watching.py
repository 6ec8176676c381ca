"""`issues watch`: the counts of the senders, the reasons of the rows, and what rests."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from command_line import Command
from hypothesis import given
from hypothesis import strategies as st
from ledger_story import READERS, send_with
from ledger_story import troubled as tell

from newsletter.cli.looking import SPAN, Speed
from newsletter.deliveries import rates

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
troubled = pytest.fixture(tell)


def finish(command: Command) -> None:
    """Let what was deferred leave, so that the issue is over."""
    send_with(command, "2026-11-23T12:00+00:00", {})
    assert command.json("issues", "show", "1")["state"] == "finished"


def watch_once(command: Command, *words: str) -> str:
    return command("issues", "watch", "1", "--once", "--every", "0.1", *words).stdout


def test_a_look_shows_states_families_and_the_last_refusals(troubled: Command) -> None:
    shown = re.sub(" +", " ", watch_once(troubled))
    assert "issue 1, hebdo weekly of Mon 23 Nov 2026 08:00: sending" in shown
    assert f"1 of {len(READERS)} accepted" in shown
    assert "family pending sending deferred accepted failed skipped uncertain" in shown
    assert "gmail 0 0 1 0 1 0 0" in shown
    assert "all 0 0 1 1 2 0 1" in shown
    assert "1 failed mailbox full 552 5.2.2 mailbox full" in shown
    assert "1 uncertain timeout after data no answer to the final dot" in shown
    assert "1 mail put off until the next try. To send what is due: newsletter run --due" in shown


def test_reasons_are_grouped_with_the_last_reply(troubled: Command) -> None:
    look = json.loads(watch_once(troubled, "--json"))
    found = {(each["state"], each["reason"]): (each["rows"], each["reply"]) for each in look["refusals"]}
    assert found == {
        ("failed", "mailbox_full"): (1, "5.2.2 mailbox full"),
        ("failed", "mailbox_unknown"): (1, "5.1.1 no such user"),
        ("deferred", "throttled"): (1, "4.7.28 too many mails"),
        ("uncertain", "timeout_after_data"): (1, "no answer to the final dot"),
    }
    assert look["open"] == look["states"]["deferred"] == 1
    assert look["families"]["gmail"]["failed"] == 1


def test_what_rests_is_told_with_its_end_and_reason(troubled: Command) -> None:
    with troubled.parts_now() as parts, parts.database.work() as work:
        rates.throttled(work, "maildir", family="gmail", reason="421 4.7.28 too many mails")
        rates.stopped(work, "maildir", reason="unreachable")
    shown = watch_once(troubled)
    assert re.search(r"^gmail rests until \d\d:\d\d: 421 4\.7\.28 too many mails$", shown, re.MULTILINE)
    assert re.search(r"^maildir rests until \d\d:\d\d: unreachable$", shown, re.MULTILINE)


def test_possible_copies_are_told(troubled: Command) -> None:
    troubled("issues", "resend", "1", "--uncertain")
    assert "1 possible copy" in watch_once(troubled)


def test_an_issue_that_is_over_is_shown_with_its_books(troubled: Command) -> None:
    finish(troubled)
    lines = troubled("issues", "watch", "1").stdout.splitlines()
    assert "finished: 2 of 5 accepted; 2 failed, 1 uncertain" in lines[0]
    assert lines[-1] == "Issue 1 is finished: 5 readers = 2 accepted + 2 failed + 1 uncertain."


def test_an_issue_that_waits_for_a_person_says_so(troubled: Command) -> None:
    troubled("issues", "pause", "1")
    assert "To go on: newsletter issues resume 1" in watch_once(troubled)


def test_there_is_no_such_issue(troubled: Command) -> None:
    assert "no issue 9" in troubled("issues", "watch", "9", expect=65).stderr


def test_it_goes_on_until_the_issue_is_over_and_each_look_is_one_line_of_json(troubled: Command) -> None:
    with troubled.start("issues", "watch", "1", "--every", "0.1", "--json") as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        finish(troubled)
        rest = [json.loads(line) for line in watching.stdout]
        assert watching.wait(20) == 0
    assert first["state"] == "sending"
    assert (rest[-1]["state"], rest[-1]["open"], rest[-1]["states"]["accepted"]) == ("finished", 0, 2)


def test_ctrl_c_ends_it_in_good_order(troubled: Command) -> None:
    with troubled.start("issues", "watch", "1", "--every", "0.1") as watching:
        assert watching.stdout is not None
        assert "sending" in watching.stdout.readline()
        assert "1 deferred: throttled: 421 4.7.28 too many mails" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, complaints = watching.communicate(timeout=20)
    assert (watching.returncode, complaints) == (0, "")


def test_on_a_terminal_it_moves_and_no_line_is_wrapped(troubled: Command) -> None:
    main, other = pty.openpty()
    environment = {**os.environ, **troubled.environment, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
    words = [sys.executable, "-m", "newsletter", "issues", "watch", "1", "--every", "0.2"]
    watching = subprocess.Popen(words, env=environment, stdout=other, stderr=other)
    os.close(other)
    threading.Timer(4, finish, (troubled,)).start()
    shown = b""
    try:
        while chunk := os.read(main, 65_536):
            shown += chunk
    except OSError:
        pass  # Linux says so when the other side has closed
    finally:
        os.close(main)
    assert watching.wait(20) == 0
    assert b"\x1b[" in shown, "it moves the cursor"
    lines = (
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode().replace("\x1b[1A", "\n")).replace("\r", "\n").splitlines()
    )
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("gmail ") for line in lines)
    assert any(line.startswith("Issue 1 is finished: 5 readers = ") for line in lines)


# The speed


def test_the_speed_is_that_of_the_last_seconds_and_of_all_since_the_first_mail() -> None:
    speed = Speed()
    speed.note(NOON, 0)
    assert (speed.now, speed.on_average) == (None, None)
    for second in range(1, 61):
        speed.note(NOON + timedelta(seconds=second), 0 if second <= 20 else (second - 20) * 100)
    assert (speed.now, speed.on_average) == (100, 100), "what was before the first mail does not count"
    for second in range(61, 101):
        speed.note(NOON + timedelta(seconds=second), 4000)
    assert speed.now == 0
    assert speed.on_average == 50


def test_a_clock_that_is_set_back_begins_anew() -> None:
    speed = Speed()
    speed.note(NOON, 0)
    speed.note(NOON - timedelta(hours=1), 100)
    assert speed.now is None
    speed.note(NOON - timedelta(hours=1) + timedelta(seconds=1), 150)
    assert (speed.now, speed.on_average) == (50, 50)


@given(st.lists(st.tuples(st.floats(-5, 20), st.integers(0, 1000)), max_size=80))
def test_any_looks_give_a_speed_that_was_there(looks: list[tuple[float, int]]) -> None:
    speed, now, answered = Speed(), NOON, 0
    for seconds, more in looks:
        now += timedelta(seconds=seconds)
        answered += more
        speed.note(now, answered)
        assert speed.now is None or speed.now >= 0
        assert speed.on_average is None or speed.on_average >= 0
        assert len(speed._lately) <= 2 or speed._lately[1][0] > now - SPAN
