"""The demo's sample articles hold together, so that a story that fails is never the samples' fault."""

from __future__ import annotations

import json
import re
import struct
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

SITE = Path(__file__).resolve().parents[2] / "newsletter" / "demo" / "site"
LANGUAGES = ("fr", "ar", "en")
FEEDS = [f"{name}.{language}.xml" for name in ("feed", "later") for language in LANGUAGES]
ATOM = "{http://www.w3.org/2005/Atom}"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
TEXTS = ("title", "summary", "content")


class Images(HTMLParser):
    """Gathers the attributes of the images in an entry's content."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


def feed(name: str) -> Element:
    return fromstring((SITE / name).read_bytes())


def entries(name: str) -> list[Element]:
    return feed(name).findall(f"{ATOM}entry")


def text(element: Element, child: str) -> str:
    found = element.findtext(f"{ATOM}{child}")
    assert found, f"{child} is missing or empty"
    return found.strip()


def moment(element: Element, child: str) -> datetime:
    written = text(element, child)
    assert written.endswith("+00:00"), "Morocco is at UTC+0 since 20 September 2026"
    return datetime.fromisoformat(written)


def versions(entry: Element) -> dict[str, str]:
    """The pages of an entry's translations and its own, by language."""
    links = [link for link in entry.findall(f"{ATOM}link") if link.get("rel") == "alternate"]
    by_language = {link.attrib["hreflang"]: link.attrib["href"] for link in links}
    assert len(by_language) == len(links), "RFC 4287 section 4.1.2: one alternate of each type and language"
    return by_language


def images(entry: Element) -> list[dict[str, str | None]]:
    parser = Images()
    parser.feed(text(entry, "content"))
    return parser.found


def newsletter() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SITE / "newsletter.json").read_text(encoding="utf-8"))
    return loaded


def all_entries(language: str) -> list[Element]:
    return entries(f"feed.{language}.xml") + entries(f"later.{language}.xml")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_enough_articles_and_two_more_in_the_second_week(language: str) -> None:
    assert len(entries(f"feed.{language}.xml")) >= 9
    assert len(entries(f"later.{language}.xml")) == 2


def test_stories_exist_in_three_two_and_one_language() -> None:
    counts = {language: [len(versions(entry)) for entry in entries(f"feed.{language}.xml")] for language in LANGUAGES}
    for language, sizes in counts.items():
        assert sizes.count(3) >= 6, language
        assert sizes.count(2) >= 1, language
        assert sizes.count(1) >= 2, language
    assert all(len(versions(entry)) == 3 for language in LANGUAGES for entry in entries(f"later.{language}.xml"))


@pytest.mark.parametrize("week", ["feed", "later"])
def test_translations_name_each_other_and_exist_in_the_same_week(week: str) -> None:
    told = {
        versions(entry)[language]: versions(entry)
        for language in LANGUAGES
        for entry in entries(f"{week}.{language}.xml")
    }
    for group in told.values():
        for page in group.values():
            assert told.get(page) == group, page


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_is_complete_atom_in_its_language(name: str) -> None:
    root, language = feed(name), name.split(".")[1]
    assert root.get(XML_LANG) == language
    assert text(root, "id") == f"tag:ministere.example,2026:{language}"
    assert text(root, "title")
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    assert moment(root, "updated") == max(moment(entry, "updated") for entry in entries(name))
    for entry in entries(name):
        own = versions(entry)[language]
        assert own.startswith(f"{{{{site}}}}/{language}/")
        assert text(entry, "id") == f"tag:ministere.example,2026:{language}/{own.rpartition('/')[2]}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_articles_share_an_id_or_a_page(language: str) -> None:
    found = all_entries(language)
    assert len({text(entry, "id") for entry in found}) == len(found)
    assert len({versions(entry)[language] for entry in found}) == len(found)


@pytest.mark.parametrize("name", FEEDS)
def test_every_article_has_a_summary_of_two_sentences_and_a_few_paragraphs(name: str) -> None:
    for entry in entries(name):
        sentences = re.findall(r"[.؟?](?:\s|$)", text(entry, "summary").replace("no.\u00a0", ""))
        assert len(sentences) == 2, text(entry, "summary")
        words = [part for part in text(entry, "content").split("<p>")[1:] if "<img" not in part]
        assert 3 <= len(words) <= 5, text(entry, "id")


def test_every_category_is_a_topic_and_every_topic_has_articles_in_every_language() -> None:
    topics = {topic["slug"] for topic in newsletter()["topics"]}
    for language in LANGUAGES:
        used = [[c.get("term") for c in entry.findall(f"{ATOM}category")] for entry in all_entries(language)]
        assert all(len(terms) == 1 for terms in used)
        assert {terms[0] for terms in used} == topics


@pytest.mark.parametrize(
    ("week", "first", "after"),
    [
        ("feed", datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        ("later", datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
    ],
)
def test_articles_are_dated_inside_their_weeks(week: str, first: datetime, after: datetime) -> None:
    for language in LANGUAGES:
        for entry in entries(f"{week}.{language}.xml"):
            assert first <= moment(entry, "published") <= moment(entry, "updated") < after, text(entry, "id")


@pytest.mark.parametrize("name", FEEDS)
def test_every_image_is_there_and_described_in_the_articles_language(name: str) -> None:
    seen = 0
    for entry in entries(name):
        enclosed = [link for link in entry.findall(f"{ATOM}link") if link.get("rel") == "enclosure"]
        assert [image["src"] for image in images(entry)] == [link.get("href") for link in enclosed]
        for link, image in zip(enclosed, images(entry), strict=True):
            picture = SITE / link.attrib["href"].removeprefix("{{site}}/")
            assert link.get("type") == "image/png"
            assert struct.unpack(">II", picture.read_bytes()[16:24]) == (1200, 600)
            assert picture.stat().st_size < 60_000
            alt = image["alt"]
            assert alt
            assert bool(re.search(r"[\u0600-\u06ff]", alt)) == (".ar." in name)
            seen += 1
    assert seen >= 1


def test_no_picture_lies_about_unused() -> None:
    used = {
        link.attrib["href"].rpartition("/")[2]
        for language in LANGUAGES
        for entry in all_entries(language)
        for link in entry.findall(f"{ATOM}link")
        if link.get("rel") == "enclosure"
    }
    assert used == {picture.name for picture in (SITE / "media").iterdir()}


def test_arabic_articles_are_in_arabic_with_moroccan_months_and_western_digits() -> None:
    for entry in all_entries("ar"):
        for child in TEXTS:
            written = text(entry, child)
            assert len(re.findall(r"[\u0621-\u064a]", written)) > len(re.findall(r"[A-Za-z]", written)) / 4, child
            assert not re.search(r"[\u0660-\u0669]|نوفمبر|ديسمبر|كانون|تشرين", written), child
            assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", written), "foreign text brings no controls"


def test_arabic_articles_bring_the_difficulties_of_mixed_direction() -> None:
    whole = " ".join(text(entry, child) for entry in all_entries("ar") for child in TEXTS)
    for difficulty in ("2-26-530", "+20", "%", "Linux", "WCAG 2.2", "guichet.ministere.example", "080X", "@"):
        assert difficulty in whole, difficulty
    summaries = " ".join(text(entry, "summary") for entry in all_entries("ar"))
    for difficulty in ("2-26-530", "%", "WCAG 2.2", "stages.ministere.example"):
        assert difficulty in summaries, difficulty


@pytest.mark.parametrize("language", ["fr", "en"])
def test_french_and_english_articles_are_set_with_typographic_marks(language: str) -> None:
    for entry in all_entries(language):
        for child in TEXTS:
            words = re.sub(r"<[^>]*>", "", text(entry, child))
            assert "'" not in words, words
            assert '"' not in words, words
            if language == "fr":
                assert not re.search(r"[^\u00a0\u202f][;!?»%]|[^\u00a0]:|«[^\u00a0]|\d \d{3}\b", words), words


def test_nothing_in_the_texts_points_outside_the_sample_site() -> None:
    for name in FEEDS:
        links = re.findall(r'(?:href|src)="([^"]*)"', (SITE / name).read_text(encoding="utf-8"))
        assert links
        for link in links:
            assert re.match(r"\{\{site\}\}/|https://[a-z]+\.ministere\.example/$", link), link


def test_the_newsletter_is_named_in_every_language() -> None:
    described = newsletter()
    named = [described[key] for key in ("names", "promise", "institution", "postal_address")]
    for words in named + [topic["names"] for topic in described["topics"]]:
        assert set(words) == set(LANGUAGES)
        assert all(words.values())
    assert described["languages"] == list(LANGUAGES)
    assert described["time_zone"] == "Africa/Casablanca"
    assert described["weekly"] == {"weekday": 0, "time": "08:00"}
    assert described["slug"] == "hebdo"
    assert "exemple" in described["cndp_reference"]
