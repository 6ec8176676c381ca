"""The light version: the digest's articles in a mail below 30 kB, whatever they are, filled like any other."""

from __future__ import annotations

import base64
import email.policy
from datetime import UTC, date, datetime
from email.parser import BytesParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_samples import LANGUAGES, Node, context, in_order, read, render, templates, text_links

from newsletter.base.links import Links
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.letters import Letter, Letterhead, message_to
from newsletter.issues.press import Press, Sheet, Shown
from newsletter.mail.headers import encode_date
from newsletter.mail.port import Message
from newsletter.subscriptions.models import Form

LIMIT = 30_000
LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
PRESS = Press(links=LINKS, templates=templates())
ARABIC = "صادق مجلس الحكومة على مرسوم يتعلق بتبسيط المساطر الإدارية لفائدة المواطنات والمواطنين في جميع الجهات "
every_language = pytest.mark.parametrize("language", LANGUAGES)


def sheet(language: str, form: Form = Form.LIGHT) -> Sheet:
    newsletter = context("digest", language)["newsletter"]
    senders = ("lettre@example.ma", "bonjour@example.ma", "aide@example.ma")
    name, institution = newsletter["name"], newsletter["institution"]
    head = Letterhead("hebdo", name, institution, language, *senders, "lettre.example.ma", "hebdo.list-id.example.ma")
    return Sheet(7, head, tuple(newsletter.items()), date(2026, 11, 23), form)


def shown(number: int, language: str = "ar", **changes: Any) -> Shown:
    own = {
        "title": f"{number} {ARABIC * 4}",
        "url": f"https://news.example.ma/{language}/{number}/" + "m" * 60,
        "summary": ARABIC * 20,
        "date": date(2026, 11, 20),
        "image_url": "https://news.example.ma/a.png",
        "image_alt": ARABIC,
        "language": language,
        "direction": "rtl" if language == "ar" else "ltr",
        "language_name": "العربية",
    }
    return Shown(**own | changes)


def sent(letter: Letter, *, address: str = "lectrice@example.org") -> Message:
    """The mail as the first reader of the last delivery there can be gets it."""
    number = 2**47
    row = Claimed(number, 2**40, 1, number, 1, 0, "others")
    unsubscribe, manage, bounce = LINKS.digest_tokens(row.id, number, row.batch_id)
    return message_to(
        row,
        letter=letter,
        address=address,
        needs_smtputf8=False,
        bounce=bounce,
        blanks={"unsubscribe": unsubscribe, "manage": manage},
        date=encode_date(datetime(2026, 11, 23, 8, 0, tzinfo=UTC)),
    )


def parts_of(message: Message) -> tuple[str, str, str]:
    mail = BytesParser(policy=email.policy.default).parsebytes(message.data)
    assert not mail.defects
    assert mail.get_content_type() == "multipart/alternative"
    text, html = (part.get_payload(decode=True).decode() for part in mail.iter_parts())  # type: ignore[union-attr]
    return str(mail["Subject"]), text.replace("\r\n", "\n"), html.replace("\r\n", "\n")


@every_language
def test_twelve_long_arabic_articles_are_below_thirty_kilobytes_as_sent(language: str) -> None:
    letter = PRESS.letter(sheet(language), [("المراسيم", shown(number)) for number in range(12)], more=0)
    longest = sent(letter, address=f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example")
    assert len(longest.data) < LIMIT - 700, "with room for a signature"
    _, text, html = parts_of(longest)
    count = html.count("<h2")
    assert 8 <= count < 12
    assert len([line for line in text.splitlines() if "news.example.ma" in line]) == count
    rest = LINKS.archived_issue("hebdo", language, 7)
    assert html.count(rest) == text.count(rest) == 2, "the others are a link away"


def test_twelve_articles_as_they_usually_are_stand_in_it_all() -> None:
    usual = {"title": ARABIC[:70], "summary": ARABIC[:90], "url": "https://news.example.ma/ar/12345"}
    letter = PRESS.letter(
        sheet("ar"), [("المراسيم", shown(1, **usual | {"date": date(2026, 11, day)})) for day in range(1, 13)], more=0
    )
    message = sent(letter)
    assert parts_of(message)[2].count("<h2") == 12
    assert len(message.data) < LIMIT


def test_articles_that_no_mail_could_hold_shorten_it_and_never_refuse_it() -> None:
    endless = [("المراسيم", shown(n, url=f"https://news.example.ma/{n}/" + "x" * 2_000)) for n in range(40)]
    message = sent(PRESS.letter(sheet("ar"), endless[:12], more=28))
    count = parts_of(message)[2].count("<h2")
    assert len(message.data) < LIMIT
    assert 1 <= count < 6
    alone = sent(
        PRESS.letter(sheet("ar"), [("المراسيم", shown(1, url="https://news.example.ma/" + "x" * 40_000))], more=0)
    )
    assert parts_of(alone)[2].count("<h2") == 1


words = st.sampled_from(["", "l’été « 58\u202f% »", "a < b & c", ARABIC, ARABIC * 9, "mot " * 90, "\ufdd0x"])
placed_articles = st.builds(
    lambda number, language, title, summary: (
        "Santé" if number % 2 else "التعليم",
        shown(number, language, title=title, summary=summary),
    ),
    st.integers(1, 30),
    st.sampled_from(["fr", "ar", "en"]),
    words,
    words,
)


@every_language
@settings(max_examples=20, deadline=None)
@given(
    placed=st.lists(placed_articles, min_size=1, max_size=14, unique_by=lambda each: each[1]), more=st.integers(0, 3)
)
def test_it_is_below_thirty_kilobytes_and_its_bytes_are_what_the_slow_way_builds(
    language: str, placed: list[tuple[str, Shown]], more: int
) -> None:
    message = sent(PRESS.letter(sheet(language), placed, more=more))
    assert len(message.data) < LIMIT
    subject, text, html = parts_of(message)
    count = html.count("<h2")
    whole = rendered_at_once(language, placed[:count], more=more + len(placed) - count, message=message)
    assert subject == whole[0]
    assert [line.rstrip(" ") for line in text.split("\n")] == whole[1].split("\n")
    assert said(read(html).root) == said(read(whole[2]).root)
    assert in_order(text_links(text)) == in_order(read(html).links)
    mail = BytesParser().parsebytes(message.data)
    for part, content in zip(mail.get_payload(), (text, html), strict=True):  # type: ignore[arg-type]
        encoded = base64.encodebytes(content.replace("\n", "\r\n").encode()).decode()  # type: ignore[union-attr]
        assert part.get_payload().split() == encoded.split()  # type: ignore[union-attr]


def said(node: Node) -> list[object]:
    """What stands in a page and how, without the white space between."""
    return [
        (child.tag, child.attributes, said(child)) if isinstance(child, Node) else "".join(child.split())
        for child in node.children
        if isinstance(child, Node) or child.strip()
    ]


def rendered_at_once(
    language: str, placed: list[tuple[str, Shown]], *, more: int, message: Message
) -> tuple[str, str, str]:
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for topic, each in placed:
        by_topic.setdefault(topic, []).append({name: getattr(each, name) for name in Shown.__slots__})
    unsubscribe, manage, _ = LINKS.digest_tokens(message.key, message.key, 2**40)
    own = {
        "topics": [{"name": name, "articles": found} for name, found in by_topic.items()],
        "more": more,
        "unsubscribe_url": LINKS.unsubscribe(unsubscribe.decode()),
        "preferences_url": LINKS.manage(manage.decode()),
    }
    whole = templates().render("digest_light", language=language, context=context("digest", language) | own)
    return whole.subject, whole.text, whole.html


@every_language
def test_it_shows_the_digests_articles_without_pictures_or_tables(language: str) -> None:
    light, whole = render("digest_light", language), render("digest", language)
    page, model = read(light.html), read(whole.html)
    assert [each.text for each in page.root.all("h2")] == [each.text for each in model.root.all("h2")]
    assert page.links == model.links
    assert not list(page.root.all("img")) + list(page.root.all("table"))
    assert light.subject == whole.subject
    assert light.text == whole.text, "articles as short as these are told alike"
    assert len(light.html) < len(whole.html) / 2


@every_language
def test_its_footer_says_what_the_law_asks_in_the_digests_own_words(language: str) -> None:
    light, whole = render("digest_light", language).html, render("digest", language).html
    legal = [read(each).root.text.split()[-30:] for each in (light, whole)]
    assert legal[0] == legal[1]
    newsletter = context("digest", language)["newsletter"]
    for said in (newsletter["institution"], newsletter["cndp_reference"], "09-08"):
        assert said in read(light).root.text


def test_the_light_and_the_full_version_share_all_headers() -> None:
    placed = [("Santé", shown(1, "fr"))]
    mails = [
        BytesParser(policy=email.policy.default).parsebytes(sent(PRESS.letter(sheet("fr", form), placed, more=0)).data)
        for form in Form
    ]
    headers = [{name: value for name, value in mail.items() if name != "Content-Type"} for mail in mails]
    assert headers[0] == headers[1]
