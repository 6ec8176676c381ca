"""The console provider: writes the headers and the text part to a stream."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TextIO

from newsletter.mail.in_turn import InTurn
from newsletter.mail.port import Message, Outcome, Verdict

_SHOWN = ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
_parser = BytesParser(policy=email.policy.default)


class ConsoleBackend:
    """Writes each mail in a readable form to `stream`, which stays the caller's to close."""

    name = "console"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def open(self) -> Iterator[InTurn]:
        yield InTurn(self._write)

    def check(self) -> None:
        """A stream that is gone shows when it is written to."""

    def describe(self) -> str:
        return "the console: mail is shown and goes nowhere"

    def _write(self, message: Message) -> Verdict:
        try:
            self._stream.write(_printable(readable(message), self._stream.encoding))
            self._stream.flush()
        except (OSError, ValueError) as error:  # the pipe is gone, or the stream was closed
            return Verdict(message.key, Outcome.STOP, None, "stream_closed", str(error))
        return Verdict(message.key, Outcome.ACCEPTED, None, "accepted", "")


def readable(message: Message) -> str:
    """Return a mail as a person would read it: envelope, decoded headers, text part."""
    parsed = _parser.parsebytes(message.data)
    lines = [f"── {message.sender or '<>'} → {message.recipient} ({message.size} octets)"]
    lines += [f"{name}: {parsed[name]}" for name in _SHOWN if parsed[name]]
    return "\n".join([*lines, "", _text(parsed).replace("\r\n", "\n").rstrip("\n"), "", ""])


def _text(parsed: EmailMessage) -> str:
    part = parsed.get_body(preferencelist=("plain", "html"))
    payload = part.get_payload(decode=True) if part is not None else None
    return payload.decode(errors="replace") if isinstance(payload, bytes) else ""


def _printable(text: str, encoding: str | None) -> str:
    """Keep control characters away from the terminal, and what its encoding cannot show."""
    shown = "".join(each if each == "\n" or ord(each) >= 160 or 32 <= ord(each) < 127 else "\ufffd" for each in text)
    return shown.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
