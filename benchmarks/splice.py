"""Make one reader's mail from a compiled edition, beside building it with the standard library; then sign it.

Run it with `python benchmarks/splice.py`.
"""

from __future__ import annotations

import email.policy
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from html import escape
from pathlib import Path
from statistics import median
from time import perf_counter

from newsletter.base.config import DkimKey
from newsletter.base.links import Links
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.letters import Letter, Letterhead, digest_headers, digest_letter, message_to
from newsletter.mail.dkim import Signer
from newsletter.mail.headers import encode_date
from newsletter.mail.port import Message
from newsletter.mail.template import compile_message, marker

WINDOW = 32
PARAGRAPH = "أعلنت الوزارة اليوم عن إطلاق برنامج جديد لتحسين الخدمات المقدمة للمواطنات والمواطنين في جميع الجهات. "
SUBJECT = "الرسالة الأسبوعية: أهم أخبار الوزارة"
MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ADDRESS = "someone@example.org"
LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
BLANKS = {"unsubscribe": LINKS.unsubscribe_width, "manage": LINKS.manage_width}
SENDERS = ("lettre@example.ma", "bonjour@example.ma", "aide@example.ma")
HEAD = Letterhead("hebdo", "الأسبوعية", "الوزارة", "ar", *SENDERS, "lettre.example.ma", "hebdo.list-id.example.ma")


def ways_out() -> list[str]:
    return [
        LINKS.manage(marker("manage", BLANKS["manage"])),
        LINKS.unsubscribe(marker("unsubscribe", BLANKS["unsubscribe"])),
    ]


def bodies() -> tuple[str, str]:
    """Return a text part, and an HTML part of about 50 kB, both with links to fill."""
    articles = [
        f"<h2>{escape(PARAGRAPH[:40])}</h2>\n<p dir='rtl' style='margin:0'>{PARAGRAPH * 10}</p>\n" for _ in range(26)
    ]
    html = "".join(articles) + "".join(f'<a href="{link}">{PARAGRAPH[:20]}</a><br>\n' for link in ways_out())
    return PARAGRAPH * 30 + "\n" + "\n".join(ways_out()) + "\n", f"<html><body>{html}</body></html>\n"


def microseconds(act: Callable[[], object], repeats: int, of: int = 1) -> float:
    """Return the median of five rounds."""
    rounds = []
    for _ in range(5):
        start = perf_counter()
        for _ in range(repeats):
            act()
        rounds.append((perf_counter() - start) / repeats / of * 1e6)
    return median(rounds)


def mail_to(letter: Letter, row: Claimed, date: bytes) -> Message:
    unsubscribe, manage, bounce = LINKS.digest_tokens(row.id, row.id, row.batch_id)
    return message_to(
        row,
        letter=letter,
        address=ADDRESS,
        needs_smtputf8=False,
        bounce=bounce,
        blanks={"unsubscribe": unsubscribe, "manage": manage},
        date=date,
    )


def window_of(letter: Letter, rows: list[Claimed]) -> list[Message]:
    date = encode_date(MOMENT)
    return [mail_to(letter, row, date) for row in rows]


def by_hand(text: str, html: str) -> bytes:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["Subject"], mail["To"] = "الوزارة <lettre@example.ma>", SUBJECT, ADDRESS
    mail["Date"], mail["Message-ID"] = MOMENT, f"<{LINKS.bounce_token(12)}@lettre.example.ma>"
    tokens = {"unsubscribe": LINKS.unsubscribe_token(12, 7), "manage": LINKS.manage_token(12, 7)}
    mail["List-Unsubscribe"] = f"<{LINKS.unsubscribe(tokens['unsubscribe'])}>"
    filled = [text, html]
    for name, token in tokens.items():
        filled = [body.replace(marker(name, BLANKS[name]), token) for body in filled]
    mail.set_content(filled[0], cte="base64")
    mail.add_alternative(filled[1], subtype="html", cte="base64")
    return mail.as_bytes()


def signers(folder: Path) -> dict[str, Signer]:
    rsa, ed25519 = (DkimKey("one", "example.ma", folder / name) for name in ("rsa.pem", "ed25519.pem"))
    for key, more in ((rsa, ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), (ed25519, ["ED25519"])):
        command = ["openssl", "genpkey", "-algorithm", more[0], *more[1:], "-out", str(key.path)]
        subprocess.run(command, check=True, capture_output=True)
    return {"RSA-2048": Signer([rsa]), "RSA-2048 and Ed25519": Signer([rsa, ed25519])}


def main() -> None:
    text, html = bodies()
    headers = [("Subject", SUBJECT), *digest_headers(HEAD, LINKS, issue_id=7)]
    compile_all = partial(compile_message, headers, text, html, BLANKS)
    compiled = compile_all()
    letter = digest_letter(HEAD, LINKS, compiled)
    rows = [Claimed(key, 7, key, key, 1, 0, "other") for key in range(1, WINDOW + 1)]
    window = window_of(letter, rows)
    blanks = dict(zip(("unsubscribe", "manage"), LINKS.digest_tokens(12, 12, 7), strict=False))
    whole = microseconds(partial(window_of, letter, rows), 500, of=WINDOW)
    slow = microseconds(partial(by_hand, text, html), 20)
    print(f"HTML {len(html.encode()):,} octets, mail {window[0].size:,} in {len(window[0].parts)} parts; µs a mail:")
    say("compile once", microseconds(compile_all, 20))
    say("make a mail: tokens, headers, envelope, links", whole)
    say("  of which the three tokens", microseconds(lambda: LINKS.digest_tokens(1, 2, 3), 20_000))
    say("  of which the fill", microseconds(lambda: compiled.fill(b"", blanks), 20_000))
    say("email.message for each mail", slow, f" = {slow / whole:.0f} times")
    with tempfile.TemporaryDirectory() as folder:
        for name, signer in signers(Path(folder)).items():
            sign = partial(signer.sign, moment=MOMENT)
            serial = microseconds(partial(list_of, sign, window), 10, of=WINDOW)
            threaded = microseconds(partial(signer.sign_all, window, moment=MOMENT), 10, of=WINDOW)
            say(f"sign it with {name}, one by one", serial)
            say(f"sign it with {name}, in threads", threaded, f" = {serial / threaded:.1f} times as fast")


def list_of(sign: Callable[[Message], Message], window: list[Message]) -> list[Message]:
    return [sign(each) for each in window]


def say(what: str, value: float, more: str = "") -> None:
    print(f"{what:<50}{value:10.1f}{more}")


if __name__ == "__main__":
    main()
