"""The sendmail provider: one run of the program for each message, and its exit code as the answer (sysexits.h)."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, parse_qsl, unquote

from newsletter.base.errors import ConfigError
from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import Message, Outcome, Verdict

USUAL = Path("/usr/sbin/sendmail")
LONGEST_TEXT = 500  # characters of a complaint that are kept
_OURS = "NEWSLETTER_"  # settings and keys, which are nobody else's business

# Whatever is not listed is about the mail system, not about the message: stop.
_BY_CODE = {
    0: (Outcome.ACCEPTED, "accepted"),
    65: (Outcome.FAILED, "policy"),  # EX_DATAERR
    67: (Outcome.FAILED, "mailbox_unknown"),  # EX_NOUSER
    68: (Outcome.FAILED, "domain_unknown"),  # EX_NOHOST
    75: (Outcome.DEFERRED, "server_busy"),  # EX_TEMPFAIL
}
_STOPS = {
    69: "server_busy",  # EX_UNAVAILABLE
    71: "system_error",  # EX_OSERR
    73: "disk_error",  # EX_CANTCREAT
    74: "disk_error",  # EX_IOERR
    77: "auth_refused",  # EX_NOPERM
    126: "program_missing",  # the shell of a script that leads to it
    127: "program_missing",
}


@dataclass(frozen=True, slots=True)
class SendmailBackend:
    """Runs `program` for each message, for at most `deadline` seconds."""

    program: Path = USUAL
    deadline: float = 60

    @property
    def name(self) -> str:
        return "sendmail"

    @contextmanager
    def open(self) -> Iterator[InTurn]:
        yield InTurn(self._hand_over)

    def describe(self) -> str:
        return f"this machine's mail system, through {self.program}"

    def check(self) -> None:
        """Make sure that the program is there and may be run; only a mail shows more."""
        if shutil.which(self.program) is None:
            raise ConfigError(f"{self.program} is not there, or no program that we may run")

    def _hand_over(self, message: Message) -> Verdict:
        """Give the program the whole message as a file: through a pipe it would take half a mail if we were killed."""
        try:
            with tempfile.TemporaryFile() as mail, tempfile.TemporaryFile() as complaint:
                mail.write(message.data.replace(b"\r\n", b"\n"))
                mail.seek(0)
                code = self._run(message, mail, complaint)
                return _verdict(message.key, code, _beginning(complaint))
        except FileNotFoundError as error:
            return Verdict(message.key, Outcome.STOP, None, "program_missing", str(error))
        except OSError as error:
            reason = "disk_full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "system_error"
            return Verdict(message.key, Outcome.STOP, None, reason, str(error))

    def _run(self, message: Message, mail: IO[bytes], complaint: IO[bytes]) -> int | None:
        """Return the exit code, negative for a signal; None if the time was over."""
        words = [str(self.program), "-i", "-f", message.sender or "<>", "--", message.recipient]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        process = subprocess.Popen(  # noqa: S603 (no shell; the addresses were checked, and follow the end of options)
            words, stdin=mail, stdout=subprocess.DEVNULL, stderr=complaint, env=environment, start_new_session=True
        )
        try:
            return process.wait(self.deadline)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:  # the time is over, or an interrupt came: nothing goes on behind our back
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _verdict(key: int, code: int | None, text: str) -> Verdict:
    if code is None:
        return Verdict(key, Outcome.UNCERTAIN, None, "timeout_after_data", text)
    if code < 0:
        return Verdict(key, Outcome.UNCERTAIN, None, "connection_lost_after_data", f"signal {-code} {text}".rstrip())
    outcome, reason = _BY_CODE.get(code, (Outcome.STOP, _STOPS.get(code, "server_refuses")))
    return Verdict(key, outcome, code, reason, text)


def _beginning(complaint: IO[bytes]) -> str:
    complaint.seek(0)
    words = " ".join(complaint.read(4 * LONGEST_TEXT).decode(errors="replace").split())
    return "".join(each if each.isprintable() else "\ufffd" for each in words)[:LONGEST_TEXT]


def sendmail_from_url(parts: SplitResult) -> SendmailBackend:
    """Make the backend that sendmail:// or sendmail:///path/to/program?deadline=60 names.

    :raises ConfigError: saying what is wrong with the URL
    """
    form = "the mail URL should be sendmail:// or sendmail:///path/to/program, and at most ?deadline=SECONDS"
    if parts.netloc or parts.fragment or parts.path.endswith("/"):
        raise ConfigError(form)
    backend = SendmailBackend(Path(unquote(parts.path))) if parts.path else SendmailBackend()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "deadline" or not re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", value) or float(value) <= 0:
            raise ConfigError(form)
        backend = SendmailBackend(backend.program, float(value))
    return backend
