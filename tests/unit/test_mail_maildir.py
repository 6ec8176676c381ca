from __future__ import annotations

import errno
import mailbox
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.maildir.backend import MaildirBackend, stop_reason

DATA = b"Subject: one\r\nMessage-ID: <one@example.ma>\r\n\r\nMessage-ID: <body@example.ma>\r\n"


def message(key: int, data: bytes = DATA) -> Message:
    return Message(key, "bounce@example.ma", "reader@example.org", (data,))


def deliver(folder: Path, *messages: Message) -> list[Verdict]:
    with MaildirBackend(folder).open() as channel:
        return send_all(channel, messages)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "new").iterdir())


def test_the_same_message_id_again_is_there_once_and_newest(tmp_path: Path) -> None:
    again = DATA.replace(b"Message-ID: <one@", b"message-id:\r\n <one@", 1).replace(b"Subject: one", b"Subject: two")
    deliver(tmp_path, message(1))
    deliver(tmp_path, message(1, again))
    (name,) = names(tmp_path)
    assert b"Subject: two" in (tmp_path / "new" / name).read_bytes()


def test_another_message_id_or_none_is_another_file(tmp_path: Path) -> None:
    without = [b"Subject: none\r\n\r\nMessage-ID: <in@the.body>\r\n" + end for end in (b"a\r\n", b"b\r\n")]
    deliver(tmp_path, message(1), message(2, DATA.replace(b"<one@", b"<two@")), *(message(3, each) for each in without))
    assert len(names(tmp_path)) == 4


def test_the_standard_library_reads_it_with_its_envelope(tmp_path: Path) -> None:
    deliver(tmp_path / "mail", message(1))
    (found,) = mailbox.Maildir(tmp_path / "mail", create=False)
    assert (found["Return-Path"], found["Delivered-To"]) == ("<bounce@example.ma>", "reader@example.org")
    assert found["Subject"] == "one"
    assert not list((tmp_path / "mail" / "tmp").iterdir())


def test_only_the_owner_may_read_mail(tmp_path: Path) -> None:
    deliver(tmp_path, message(1))
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_disk_that_takes_no_more_stops_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    # A limit on the size of files stands for the full disk; it needs a process of its own.
    code = """
import resource, signal, sys
from pathlib import Path
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message
from newsletter.mail.providers.maildir.backend import MaildirBackend
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
sizes = ((1, 9), (2, 9000), (3, 9))
data = [b"Message-ID: <%d@x.y>\\r\\n\\r\\n" % key + b"x" * size + b"\\r\\n" for key, size in sizes]
with MaildirBackend(Path(sys.argv[1])).open() as channel:
    for verdict in send_all(channel, [Message(key, "a@b.c", "d@e.f", (each,)) for key, each in enumerate(data)]):
        sys.stdout.write(f"{verdict.key} {verdict.outcome} {verdict.reason}\\n")
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["0 accepted accepted", "1 stop disk_full", "2 stop disk_full"]
    assert len(names(tmp_path)) == 1
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "disk_error")]
)
def test_a_stop_says_what_is_wrong_with_the_disk(number: int, reason: str) -> None:
    assert stop_reason(OSError(number, "x")) == reason


def test_a_folder_that_cannot_be_made_stops(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (verdict,) = deliver(tmp_path / "file" / "mail", message(1))
    assert (verdict.outcome, verdict.reason, verdict.text) == (Outcome.STOP, "disk_error", "Not a directory")
