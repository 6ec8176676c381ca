"""Editions joined from blocks read like editions that were rendered at once."""

from __future__ import annotations

import email.policy
from collections.abc import Mapping, Sequence
from datetime import date
from email.parser import BytesParser
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_samples import context, templates

from newsletter.base.links import Links
from newsletter.deliveries.letters import Letter, Letterhead
from newsletter.issues.press import LARGEST_HTML, SHOWN_ARTICLES, Press, Sheet, Shown
from newsletter.mail.rendering import MailTemplates, Pieces, Rendered
from newsletter.mail.template import compile_block, compile_message, marker

LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
TOPICS = ("Santé", "التعليم", "Work")
WORDS = (
    "Guichet unique",
    "منحة برسم سنة 2027: المرسوم رقم 2-26-530",
    "a < b & c",
    "l’été « 58\u202f% »",
    "",
    "\ufdd0x",
)
every_language = pytest.mark.parametrize("language", ["fr", "ar", "en"])
Placed = Sequence[tuple[str, Shown]]


def shown(number: int, **changes: Any) -> Shown:
    own = {
        "title": f"Guichet unique : {number} démarches",
        "url": f"https://news.example.ma/{number}?a=1&b=2",
        "summary": "À partir du mardi 1er décembre.",
        "date": date(2026, 11, 20),
        "image_url": "https://news.example.ma/a.png" if number % 2 else "",
        "image_alt": "Un guichet",
        "language": "fr",
        "direction": "ltr",
        "language_name": "Français",
    }
    return Shown(**own | changes)


@st.composite
def articles(draw: st.DrawFn) -> tuple[str, Shown]:
    language = draw(st.sampled_from(["fr", "ar", "en"]))
    changes = {
        "title": draw(st.sampled_from(WORDS)),
        "summary": draw(st.sampled_from(WORDS)),
        "date": draw(st.sampled_from([None, date(2026, 11, 20), date(2025, 1, 1)])),
        "language": language,
        "direction": "rtl" if language == "ar" else "ltr",
    }
    return draw(st.sampled_from(TOPICS)), shown(draw(st.integers(1, 6)), **changes)


editions = st.lists(articles(), min_size=1, max_size=14, unique_by=lambda each: each[1])


def sheet(language: str) -> Sheet:
    newsletter = context("digest", language)["newsletter"]
    senders = ("lettre@example.ma", "bonjour@example.ma", "aide@example.ma")
    name, institution = newsletter["name"], newsletter["institution"]
    head = Letterhead("hebdo", name, institution, language, *senders, "lettre.example.ma", "hebdo.list-id.example.ma")
    return Sheet(7, head, tuple(newsletter.items()), date(2026, 11, 23))


@cache
def press() -> Press:
    return Press(links=LINKS, templates=templates())


def rendered_at_once(language: str, placed: Placed, *, more: int) -> Rendered:
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for topic, each in placed[:SHOWN_ARTICLES]:
        by_topic.setdefault(topic, []).append({name: getattr(each, name) for name in Shown.__slots__})
    own = {
        "topics": [{"name": name, "articles": found} for name, found in by_topic.items()],
        "more": more + max(len(placed) - SHOWN_ARTICLES, 0),
        "unsubscribe_url": LINKS.unsubscribe(marker("unsubscribe", LINKS.unsubscribe_width)),
        "preferences_url": LINKS.manage(marker("manage", LINKS.manage_width)),
    }
    return templates().render("digest", language=language, context=context("digest", language) | own)


def read_back(letter: Letter) -> Rendered:
    blanks = {name: marker(name, LINKS.unsubscribe_width).encode() for name in ("unsubscribe", "manage")}
    mail = BytesParser(policy=email.policy.default).parsebytes(b"".join(letter.message.fill(b"", blanks)))
    assert not mail.defects
    text, html = (part.get_payload(decode=True).decode() for part in mail.iter_parts())  # type: ignore[union-attr]
    return Rendered(str(mail["Subject"]), text.replace("\r\n", "\n"), html.replace("\r\n", "\n"))


class Words(HTMLParser):
    """What a page says and how, without the white space between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append("".join(data.split()))

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


def assert_reads_alike(joined: Rendered, at_once: Rendered) -> None:
    assert joined.subject == at_once.subject
    assert [line.rstrip(" ") for line in joined.text.split("\n")] == at_once.text.split("\n")
    assert Words(joined.html).found == Words(at_once.html).found


@every_language
@given(placed=editions, more=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_an_edition_joined_from_blocks_reads_like_one_rendered_at_once(
    language: str, placed: Placed, more: int
) -> None:
    at_once = rendered_at_once(language, placed, more=more)
    for _ in ("what is not known yet is rendered", "all of it is known"):
        assert_reads_alike(read_back(press().letter(sheet(language), placed, more=more)), at_once)


class Counted(MailTemplates):
    """Templates that count the mails rendered."""

    count = 0

    def render_pieces(self, mail: str, *, language: str, context: Mapping[str, object]) -> Pieces:
        self.count += 1
        return super().render_pieces(mail, language=language, context=context)


def test_articles_that_are_known_are_not_rendered_again() -> None:
    counted = Counted()
    fresh = Press(links=LINKS, templates=counted)
    one, two, three = (("Santé", shown(number)) for number in (1, 2, 3))
    for placed in ([one, two, three], [three, one, two], [two, three, one]):
        fresh.letter(sheet("fr"), placed, more=0)
    assert counted.count == 3
    for placed in ([one, three, two], [two, one, three], [three, two, one]):
        joined = read_back(fresh.letter(sheet("fr"), placed, more=0))
        assert_reads_alike(joined, rendered_at_once("fr", placed, more=0))
    assert counted.count == 3


def test_a_corrected_article_is_rendered_again() -> None:
    press().letter(sheet("fr"), [("Santé", shown(1))], more=0)
    joined = read_back(press().letter(sheet("fr"), [("Santé", shown(1, title="Rectificatif"))], more=0))
    assert joined.subject == "Rectificatif"
    assert "Rectificatif" in joined.html
    assert "Guichet unique" not in joined.html


def test_an_edition_is_shortened_until_it_fits_and_says_how_many_more_there_are() -> None:
    long = [("Santé", shown(n, url=f"https://news.example.ma/{n}/" + "x" * 9_000)) for n in range(12)]
    joined = read_back(press().letter(sheet("fr"), long, more=5))
    count = joined.html.count("<h2")
    assert 1 < count < 12
    assert len(joined.html.encode()) <= LARGEST_HTML
    assert f"Lire les {17 - count}" in joined.html.replace("&nbsp;", " ").replace("\u00a0", " ")
    longest = [("Santé", shown(1, url="https://news.example.ma/" + "x" * 100_000))]
    assert read_back(press().letter(sheet("fr"), longest, more=0)).html.count("<h2") == 1


def test_templates_that_do_not_say_where_to_cut_are_compiled_whole(tmp_path: Path) -> None:
    (tmp_path / "digest").mkdir()
    for name, content in {
        "subject.txt": "Hebdo",
        "body.txt": "{{ unsubscribe_url }}\n{{ preferences_url }}\n"
        "{% for topic in topics %}{{ topic.name }}{% endfor %}\n",
        "body.html": "<!doctype html><html><head></head><body>{{ topics|length }}</body></html>",
    }.items():
        (tmp_path / "digest" / name).write_text(content, encoding="utf-8")
    plain = Press(links=LINKS, templates=MailTemplates(tmp_path))
    joined = read_back(plain.letter(sheet("fr"), [("Santé", shown(1))], more=0))
    assert joined.text.endswith("Santé\n")


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_a_block_fills_whole_lines_with_spaces_at_its_end_and_nothing_else(body: str) -> None:
    block = compile_block(body, {}, whole_lines=True)
    assert block.octets % 57 == 0
    mail = BytesParser().parsebytes(b"".join(compile_message([], [block, block], "", {}).fill(b"", {})))
    found = mail.get_payload(0).get_payload(decode=True)  # type: ignore[union-attr, call-arg]
    alone = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
    half = found[: len(found) // 2]
    assert found == half * 2
    ending = b"\r\n" if alone.endswith(b"\r\n") else b""
    assert half.startswith(alone.removesuffix(ending))
    assert half.removeprefix(alone.removesuffix(ending)).removesuffix(ending).strip(b" ") == b""
    assert len(half) - len(alone) < 57
