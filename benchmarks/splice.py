"""Measure filling a compiled message beside building the same mail with the standard library for each reader.

Run it with `python benchmarks/splice.py`.
"""

from __future__ import annotations

import email.policy
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from html import escape
from time import perf_counter

from newsletter.mail.headers import date_header, encode_header, encode_mailbox, encode_structured
from newsletter.mail.template import compile_message, marker

WIDTH = 64
BLANKS = {"unsubscribe": WIDTH, "preferences": WIDTH}
PARAGRAPH = "أعلنت الوزارة اليوم عن إطلاق برنامج جديد لتحسين الخدمات المقدمة للمواطنات والمواطنين في جميع الجهات. "
SUBJECT = "الرسالة الأسبوعية: أهم أخبار الوزارة"
MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def bodies() -> tuple[str, str]:
    """Return a text part, and an HTML part of about 50 kB, both with links to fill."""
    articles = [
        f"<h2>{escape(PARAGRAPH[:40])}</h2>\n<p dir='rtl' style='margin:0'>{PARAGRAPH * 10}</p>\n" for _ in range(26)
    ]
    links = "\n".join(f"https://lettre.example.ma/{name}/{marker(name, WIDTH)}" for name in BLANKS)
    html = "".join(articles) + "".join(f'<a href="{link}">{link}</a>' for link in links.split())
    return PARAGRAPH * 30 + "\n" + links + "\n", f"<html><body>{html}</body></html>\n"


def microseconds(act: Callable[[], object], repeats: int) -> float:
    """Return the best of five rounds."""
    rounds = []
    for _ in range(5):
        start = perf_counter()
        for _ in range(repeats):
            act()
        rounds.append((perf_counter() - start) / repeats * 1e6)
    return min(rounds)


def reader_headers() -> bytes:
    return b"".join(
        [
            encode_mailbox("To", "", "someone@example.org"),
            date_header(MOMENT),
            encode_structured("Message-ID", "<0123456789abcdef@lettre.example.ma>"),
            encode_structured("List-Unsubscribe", f"<https://lettre.example.ma/u/{'x' * WIDTH}>"),
        ]
    )


def main() -> None:
    text, html = bodies()
    shared = [encode_mailbox("From", "الوزارة", "lettre@example.ma"), encode_header("Subject", SUBJECT)]
    compiled = compile_message(shared, text, html, BLANKS)
    tokens = {name: name[0] * WIDTH for name in BLANKS}
    octets = {name: token.encode() for name, token in tokens.items()}
    ready = reader_headers()

    def by_hand() -> bytes:
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["Subject"], mail["To"] = "الوزارة <lettre@example.ma>", SUBJECT, "someone@example.org"
        mail["Date"], mail["Message-ID"] = MOMENT, "<0123456789abcdef@lettre.example.ma>"
        mail["List-Unsubscribe"] = f"<https://lettre.example.ma/u/{'x' * WIDTH}>"
        filled = [text, html]
        for name, token in tokens.items():
            filled = [body.replace(marker(name, WIDTH), token) for body in filled]
        mail.set_content(filled[0], cte="base64")
        mail.add_alternative(filled[1], subtype="html", cte="base64")
        return mail.as_bytes()

    fill = microseconds(lambda: compiled.fill(ready, octets), 2000)
    with_headers = microseconds(lambda: compiled.fill(reader_headers(), octets), 2000)
    slow = microseconds(by_hand, 20)
    print(f"HTML {len(html.encode()):,} octets, message {compiled.size + len(ready):,} octets")
    print(
        f"compile once                {microseconds(lambda: compile_message(shared, text, html, BLANKS), 20):10.1f} µs"
    )
    print(f"fill                        {fill:10.1f} µs")
    print(f"fill, headers made as well  {with_headers:10.1f} µs")
    print(f"email.message for each mail {slow:10.1f} µs = {slow / fill:.0f} times fill")


if __name__ == "__main__":
    main()
