"""The mails that the real servers get, and the sending of them through the port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from real_parts import DOMAIN, PASSWORD, USER, Doors

from newsletter.mail.headers import encode_header, encode_mailbox, encode_structured
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.registry import backend_from_url
from newsletter.mail.template import Compiled, compile_message, marker

WINDOW = 32  # messages under way, as the sending engine has them
ROUNDS = 10
PATIENCE = 60.0
TOKEN = 24  # characters of the blank that differs from mail to mail
SUBJECT = "رسالة الأسبوع · La lettre de la semaine"
PARAGRAPH = "أعلنت الوزارة عن برنامج جديد لدعم القراءة العمومية في القرى. Une deuxième phrase, en français.\n"
WAYS = {"plain": "smtp", "submission": "smtp+starttls", "implicit": "smtps", "lmtp": "lmtp"}


def digest() -> Compiled:
    """Compile a digest whose parts are base64, with one link that differs from reader to reader."""
    link = f"https://lettre.test/a/{marker('token', TOKEN)}\n"
    text = "\n".join([PARAGRAPH * 20, link])
    html = "".join(f"<p>{PARAGRAPH}</p>\n" for _ in range(40)) + f'<p><a href="{link.strip()}">→</a></p>'
    return compile_message([("Subject", SUBJECT)], text, html, {"token": TOKEN})


def digest_text(key: int) -> str:
    """The text part of the digest of this key, as its reader sees it."""
    return "\n".join([PARAGRAPH * 20, f"https://lettre.test/a/{token(key)}\n"])


def token(key: int) -> str:
    return f"{key:0{TOKEN}}"


def make_mails(first: int, number: int) -> Iterator[Message]:
    """Make mails to as many readers, their keys from `first` on: digests, and among them what is hard to carry."""
    compiled = digest()
    for key in range(first, first + number):
        if key % 20 == 7:
            yield mail(key, body=_awkward(key))
        elif key % 100 == 50:
            yield mail(key, body=b"\r\n" + (b"%d " % key + b"x" * 70 + b"\r\n") * 5_000)
        else:
            parts = compiled.fill(_headers(key, _reader(key)), {"token": token(key).encode()})
            yield _message(key, _reader(key), *parts, is_checked=True)


def mail(
    key: int, *, recipient: str | None = None, sender: str | None = None, body: bytes = b"\r\nBonjour\r\n"
) -> Message:
    """Make a mail; `body` is the rest of its headers, a blank line, and the text."""
    to = recipient or _reader(key)
    return _message(key, to, _headers(key, to), body, sender=sender)


def send_again(url: str, mails: Sequence[Message], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Send what was deferred once more, as often as it is; returns the last verdict of each mail."""
    last = {verdict.key: verdict for verdict in verdicts}
    for _ in range(ROUNDS):
        deferred = [each for each in mails if last[each.key].outcome is Outcome.DEFERRED]
        last |= {verdict.key: verdict for verdict in send(url, deferred)}
    return list(last.values())


def send(
    url: str, mails: Iterable[Message], *, meanwhile: tuple[int, Callable[[], None]] = (0, lambda: None)
) -> list[Verdict]:
    """Send these mails with a window of them under way all the time, and return the verdicts.

    `meanwhile` is what to do when there are so many verdicts.
    """
    after, disturb = meanwhile
    waiting, under_way = iter(mails), 0
    found: list[Verdict] = []
    until = time.monotonic() + PATIENCE
    with backend_from_url(url, home=Path("/nonexistent")).open() as channel:
        while True:
            batch = list(islice(waiting, WINDOW - under_way))
            channel.submit(batch)
            under_way += len(batch)
            if not under_way:
                return found
            verdicts = channel.verdicts(wait=5)
            under_way -= len(verdicts)
            found += verdicts
            if 0 < after <= len(found):
                disturb()
                after = 0
            assert time.monotonic() < until, f"{under_way} mails have no verdict after {PATIENCE} s"


def mail_url(doors: Doors, way: str, *, password: str = PASSWORD, port: int | None = None) -> str:
    """The mail URL of one of these doors: plain, submission, implicit."""
    login = "" if way in {"plain", "lmtp"} else f"{USER}:{quote(password)}@"
    limits = "helo=lettre.test&connect=10&command=30&dot=60&deadline=60"
    return f"{WAYS[way]}://{login}127.0.0.1:{port or getattr(doors, way)}?{limits}"


def _reader(key: int) -> str:
    return f"reader{key}@{DOMAIN}"


def _headers(key: int, recipient: str) -> bytes:
    lines = [
        encode_mailbox("From", "La lettre", "lettre@news.test"),
        encode_mailbox("To", "", recipient),
        encode_structured("Message-ID", f"<delivery.{key}@news.test>"),
        encode_structured("Date", "Mon, 16 Nov 2026 09:00:00 +0000"),
    ]
    return b"".join(lines)


def _message(key: int, to: str, *parts: bytes, sender: str | None = None, is_checked: bool = False) -> Message:
    return Message(key, sender or f"bounce+{key}@news.test", to, parts, is_checked=is_checked)


def _awkward(key: int) -> bytes:
    """Lines that begin with dots, are nothing but dots, are as long as can be, end in blanks; and octets above 127."""
    headers = encode_header("Subject", SUBJECT) + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    lines = [".", "..", ".hello", f"كتاب {key}", "x" * 998, "From here", "blanks  ", "", "\t.", "", "."]
    return headers + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode()
