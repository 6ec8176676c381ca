"""The sendmail provider against programs that do one thing wrong."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from newsletter.base.errors import ConfigError
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.sendmail.backend import SendmailBackend

DATA = b"From: a@example.ma\r\nTo: r@example.org\r\n\r\nhello\r\n.\r\nbye\r\n"


def program(folder: Path, script: str) -> Path:
    path = folder / "sendmail"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return path


def send(path: Path, *, recipient: str = "r@example.org", sender: str = "b@example.ma", deadline: float = 5) -> Verdict:
    with SendmailBackend(path, deadline).open() as channel:
        (verdict,) = send_all(channel, [Message(1, sender, recipient, (DATA,))])
    return verdict


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (0, Outcome.ACCEPTED, "accepted"),
        (1, Outcome.STOP, "server_refuses"),
        (64, Outcome.STOP, "server_refuses"),
        (65, Outcome.FAILED, "policy"),
        (67, Outcome.FAILED, "mailbox_unknown"),
        (68, Outcome.FAILED, "domain_unknown"),
        (69, Outcome.STOP, "server_busy"),
        (70, Outcome.STOP, "server_refuses"),
        (71, Outcome.STOP, "system_error"),
        (73, Outcome.STOP, "disk_error"),
        (74, Outcome.STOP, "disk_error"),
        (75, Outcome.DEFERRED, "server_busy"),
        (77, Outcome.STOP, "auth_refused"),
        (78, Outcome.STOP, "server_refuses"),
        (127, Outcome.STOP, "program_missing"),
    ],
)
def test_the_exit_code_decides(tmp_path: Path, code: int, outcome: Outcome, reason: str) -> None:
    verdict = send(program(tmp_path, f"cat > /dev/null; printf 'why\\033[1m\\n  not' >&2; exit {code}"))
    assert (verdict.outcome, verdict.reason, verdict.code) == (outcome, reason, code)
    assert verdict.text == "why\ufffd[1m not"


def test_the_program_gets_the_whole_mail_in_lines_of_its_own_kind_and_the_envelope_as_words(tmp_path: Path) -> None:
    path = program(tmp_path, 'cat > "$0.mail"; printf "%s\\n" "$@" > "$0.words"')
    assert send(path, recipient="-oQ/tmp/x@example.org", sender="").outcome is Outcome.ACCEPTED
    assert (tmp_path / "sendmail.mail").read_bytes() == DATA.replace(b"\r\n", b"\n")
    words = (tmp_path / "sendmail.words").read_text().splitlines()
    assert words == ["-i", "-f", "<>", "--", "-oQ/tmp/x@example.org"]


def test_no_shell_reads_the_address(tmp_path: Path) -> None:
    path = program(tmp_path, 'cat > /dev/null; printf "%s" "$5" > "$0.recipient"')
    recipient = "a`id`$HOME{1}|x@example.org"
    assert send(path, recipient=recipient).outcome is Outcome.ACCEPTED
    assert (tmp_path / "sendmail.recipient").read_text() == recipient


def test_a_program_that_reads_nothing_is_believed_all_the_same(tmp_path: Path) -> None:
    assert send(program(tmp_path, "exit 75")).outcome is Outcome.DEFERRED


@pytest.mark.parametrize("signal", [6, 9, 11, 15])
def test_a_program_that_was_killed_leaves_a_doubt(tmp_path: Path, signal: int) -> None:
    verdict = send(program(tmp_path, f"cat > /dev/null; kill -{signal} $$"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNCERTAIN, "connection_lost_after_data")
    assert str(signal) in verdict.text


def test_a_program_that_does_not_end_is_ended_with_its_children_and_leaves_a_doubt(tmp_path: Path) -> None:
    path = program(tmp_path, '(sleep 2; echo late > "$0.late") & cat > /dev/null; sleep 60')
    began = time.monotonic()
    verdict = send(path, deadline=0.3)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNCERTAIN, "timeout_after_data")
    assert time.monotonic() - began < 2
    time.sleep(2.2)
    assert not (tmp_path / "sendmail.late").exists()


def test_a_child_that_goes_on_in_the_background_holds_nobody_up(tmp_path: Path) -> None:
    began = time.monotonic()
    assert send(program(tmp_path, "cat > /dev/null; sleep 3 & exit 0")).outcome is Outcome.ACCEPTED
    assert time.monotonic() - began < 2


def test_our_keys_are_not_shown_to_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", "hunter2")
    send(program(tmp_path, 'cat > /dev/null; env > "$0.env"'))
    assert "PATH=" in (tmp_path / "sendmail.env").read_text()
    assert "hunter2" not in (tmp_path / "sendmail.env").read_text()


def test_a_program_that_is_not_there_or_cannot_be_run_stops_and_is_found_by_the_check(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for path in (tmp_path / "missing", plain, tmp_path):
        assert send(path).outcome is Outcome.STOP
        with pytest.raises(ConfigError, match="may run"):
            SendmailBackend(path).check()
