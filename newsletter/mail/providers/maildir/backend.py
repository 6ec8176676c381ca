"""The maildir provider: a file for each message, on the disk before it is called accepted."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from newsletter.base.folders import require_writable
from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import Message, Outcome, Verdict

_MESSAGE_ID = re.compile(rb"^message-id:\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class MaildirBackend:
    """Delivers into `folder`/new. The same Message-ID again replaces its file, so that a resent mail is there once."""

    folder: Path

    @property
    def name(self) -> str:
        return "maildir"

    @contextmanager
    def open(self) -> Iterator[InTurn]:
        yield InTurn(self._deliver)

    def check(self) -> None:
        """Make sure that the folder can be written, or be made where it is missing."""
        require_writable(self.folder)

    def describe(self) -> str:
        return f"the maildir {self.folder}"

    def _deliver(self, message: Message) -> Verdict:
        try:
            self._write(message)
        except OSError as error:
            # Nothing is in doubt: written again, it takes the place of what may already be there.
            return Verdict(message.key, Outcome.STOP, None, stop_reason(error), error.strerror or "")
        return Verdict(message.key, Outcome.ACCEPTED, None, "accepted", "")

    def _write(self, message: Message) -> None:
        for part in ("tmp", "new", "cur"):
            (self.folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=self.folder / "tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_trace(message) + message.data)
                file.flush()
                os.fsync(file.fileno())
            Path(path).replace(self.folder / "new" / file_name(message))
        except OSError:
            with contextlib.suppress(OSError):
                Path(path).unlink()
            raise
        _sync(self.folder / "new")


def file_name(message: Message) -> str:
    """Return the name of the message's file: the same for every copy with its Message-ID."""
    headers = message.data.partition(b"\r\n\r\n")[0]
    found = _MESSAGE_ID.search(headers)
    return sha256(found[1] if found else message.data).hexdigest()[:40]


def stop_reason(error: OSError) -> str:
    """Return the word for why a disk took no more."""
    return "disk_full" if error.errno in _FULL else "disk_error"


def _trace(message: Message) -> bytes:
    """Return the lines that a final delivery puts on top (RFC 5321 section 4.4; Delivered-To by custom)."""
    return f"Return-Path: <{message.sender}>\r\nDelivered-To: {message.recipient}\r\n".encode()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
