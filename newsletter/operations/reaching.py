"""Whether mail can leave: the relay answers and lets us in, the maildir can be written; no mail is sent to find out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.port import STOPS_EVERY_CHANNEL, MailBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.dialogue import Decided, Dialogue
from newsletter.mail.providers.smtp.wire import Limits

PATIENCE = Limits(connect=10, command=20, dot=20, deadline=30)  # a person waits for the answer


def reach(backend: MailBackend) -> None:
    """Connect, greet, log in and leave again; look at a maildir. Says nothing of what the other side will do with mail.

    :raises Unavailable: if it does not answer
    :raises ConfigError: if it refuses us, or the folder cannot be written
    """
    match backend:
        case SmtpBackend():
            _greet(backend)
        case MaildirBackend():
            require_writable(backend.folder)
        case _:
            pass


def require_writable(folder: Path) -> None:
    """Make sure that a folder can be written, or be made where it is missing.

    :raises ConfigError: if not
    """
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise ConfigError(f"{nearest} is no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{nearest} cannot be written by this user")


def _greet(backend: SmtpBackend) -> None:
    dialogue = Dialogue(replace(backend.relay, limits=PATIENCE), backend.tls, backend.stopwatch)
    try:
        dialogue.start()
        dialogue.leave()
    except Decided as decided:
        family = ConfigError if decided.judgement.reason in STOPS_EVERY_CHANNEL else Unavailable
        code = f"{decided.code} " if decided.code else ""
        raise family(f"{backend.describe()}: {decided.judgement.reason} ({code}{decided.text})") from None
    finally:
        dialogue.close()
