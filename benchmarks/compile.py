"""Join 5,000 editions of one issue from compiled blocks, and render some of the same editions each anew.

Run it with `python benchmarks/compile.py`.
"""

from __future__ import annotations

import random
from datetime import date
from statistics import median
from time import perf_counter

from newsletter.base.links import Links
from newsletter.deliveries.letters import Letterhead, digest_headers
from newsletter.issues.press import Press, Sheet, Shown
from newsletter.mail.rendering import MailTemplates
from newsletter.mail.template import compile_message, marker

EDITIONS = 5_000
RENDERED = 100
ROUNDS = 5
ARTICLES = 10
PUBLISHED = 40
TOPICS = ("الصحة", "التعليم", "الشغل", "السكن", "الثقافة")
TITLE = "أعلنت الوزارة عن برنامج جديد لتحسين الخدمات المقدمة للمواطنين رقم {}"
SUMMARY = "يستفيد من البرنامج سكان جميع الجهات ابتداء من فاتح دجنبر، وتودع الطلبات لدى المصالح المحلية. " * 4
LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
SENDERS = {"sender": "lettre@example.ma", "confirmation_sender": "inscription@example.ma", "owner": "aide@example.ma"}
NEWSLETTER = {
    "name": "النشرة الأسبوعية",
    "institution": "وزارة المثال",
    "postal_address": "شارع المثال، 10000 الرباط",
    "promise": "كل يوم إثنين.",
    "cndp_reference": "D-W-1/2026",
    "accent": "#0B5D3B",
}
HEAD = Letterhead(
    slug="hebdo",
    name=NEWSLETTER["name"],
    institution=NEWSLETTER["institution"],
    language="ar",
    mail_domain="lettre.example.ma",
    list_id="hebdo-ar.list-id.lettre.example.ma",
    **SENDERS,
)
SHEET = Sheet(issue_id=7, head=HEAD, newsletter=tuple(NEWSLETTER.items()), date=date(2026, 11, 23))

Edition = list[tuple[str, Shown]]


def article(number: int) -> Shown:
    return Shown(
        title=TITLE.format(number),
        url=f"https://news.example.ma/ar/{number}",
        summary=SUMMARY,
        date=date(2026, 11, 20),
        image_url=f"https://news.example.ma/{number}.jpg",
        image_alt="",
        language="ar",
        direction="rtl",
        language_name="العربية",
    )


def editions() -> list[Edition]:
    """Choose ten of forty articles for each edition: readers differ in topics, and in what they were given before."""
    published = [(TOPICS[number % len(TOPICS)], article(number)) for number in range(PUBLISHED)]
    choose = random.Random(7)
    return [sorted(choose.sample(published, ARTICLES), key=lambda each: TOPICS.index(each[0])) for _ in range(EDITIONS)]


def seconds_joined(wanted: list[Edition]) -> float:
    press = Press(links=LINKS, templates=MailTemplates())
    start = perf_counter()
    for edition in wanted:
        press.letter(SHEET, edition, more=3)
    return perf_counter() - start


def seconds_rendered(wanted: list[Edition]) -> float:
    """Do what was done before there were blocks."""
    templates = MailTemplates()
    blanks = {"unsubscribe": LINKS.unsubscribe_width, "manage": LINKS.manage_width}
    start = perf_counter()
    for edition in wanted:
        topics: dict[str, list[Shown]] = {}
        for topic, shown in edition:
            topics.setdefault(topic, []).append(shown)
        context = {
            "newsletter": NEWSLETTER,
            "home_url": LINKS.home("ar"),
            "date": SHEET.date,
            "topics": [
                {"name": name, "articles": [{key: getattr(each, key) for key in Shown.__slots__} for each in found]}
                for name, found in topics.items()
            ],
            "more": 3,
            "archive_url": LINKS.archived_issue("hebdo", "ar", 7),
            "unsubscribe_url": LINKS.unsubscribe(marker("unsubscribe", LINKS.unsubscribe_width)),
            "preferences_url": LINKS.manage(marker("manage", LINKS.manage_width)),
        }
        rendered = templates.render("digest", language="ar", context=context)
        headers = [("Subject", rendered.subject), *digest_headers(HEAD, LINKS, issue_id=7)]
        compile_message(headers, rendered.text, rendered.html, blanks)
    return perf_counter() - start


def main() -> None:
    wanted = editions()
    seconds_rendered(wanted[:2])  # the templates are read
    joined = median(seconds_joined(wanted) for _ in range(ROUNDS)) / EDITIONS * 1e6
    rendered = median(seconds_rendered(wanted[:RENDERED]) for _ in range(ROUNDS)) / RENDERED * 1e6
    size = Press(links=LINKS, templates=MailTemplates()).letter(SHEET, wanted[0], more=3).message.size
    print(f"{EDITIONS:,} editions of one issue, {ARTICLES} of {PUBLISHED} articles each, {size:,} octets, Arabic")
    print(f"joined from blocks, the rendering of the blocks included {joined:10.0f} µs an edition")
    print(f"rendered, inlined and encoded each anew                  {rendered:10.0f} µs an edition")
    print(f"ratio                                                    {rendered / joined:10.1f}")


if __name__ == "__main__":
    main()
