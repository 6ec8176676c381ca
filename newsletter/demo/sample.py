"""The bundled sample site: a fictional ministry's newsletter and its articles in three languages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic
from newsletter.newsletters.models import Frequency

FOLDER = Path(__file__).parent / "site"
PLACEHOLDER = "{{site}}"
LANGUAGES = ("fr", "ar", "en")
_ATOM = "{http://www.w3.org/2005/Atom}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class SampleArticle:
    """An article of the sample site; `versions` are the addresses of all its languages, its own included."""

    language: str
    url: str
    title: str
    content: str
    versions: Mapping[str, str]


def feed_bytes(language: str, *, site: str, week: int) -> bytes:
    """Return the feed that the sample site serves in a language, in the first or the second week."""
    name = "feed" if week == 1 else "later"
    return (FOLDER / f"{name}.{language}.xml").read_text(encoding="utf-8").replace(PLACEHOLDER, site).encode()


def articles(*, site: str, week: int) -> Sequence[SampleArticle]:
    """Return what the sample site publishes in a week."""
    return [
        article for language in LANGUAGES for article in _entries(feed_bytes(language, site=site, week=week), language)
    ]


def expected_urls(found: Sequence[SampleArticle], *, languages: Sequence[str]) -> set[str]:
    """Return the one version of each piece that a reader of these languages, in this order, is to be given."""
    pieces = {frozenset(article.versions.items()) for article in found}
    chosen = (next((dict(piece)[code] for code in languages if code in dict(piece)), None) for piece in pieces)
    return {url for url in chosen if url}


def newsletter() -> NewNewsletter:
    """Return the sample newsletter."""
    said: dict[str, Any] = json.loads((FOLDER / "newsletter.json").read_text(encoding="utf-8"))
    return NewNewsletter(
        slug=said["slug"],
        names=said["names"],
        promises=said["promise"],
        institution=said["institution"],
        postal_address=said["postal_address"],
        cndp_reference=said["cndp_reference"],
        languages=said["languages"],
        time_zone=said["time_zone"],
        mail_domain="lettre.ministere.example",
        topics=[NewTopic(each["slug"], each["names"]) for each in said["topics"]],
        rhythms=[
            NewRhythm(
                Frequency.WEEKLY, at=time.fromisoformat(said["weekly"]["time"]), weekday=said["weekly"]["weekday"]
            ),
            NewRhythm(Frequency.DAILY, at=time(7)),
        ],
    )


def _entries(feed: bytes, language: str) -> list[SampleArticle]:
    root = ET.fromstring(feed)  # noqa: S314 (our own file)
    return [_article(entry, root.get(_LANG, language)) for entry in root.iter(f"{_ATOM}entry")]


def _article(entry: ET.Element, language: str) -> SampleArticle:
    links = {
        str(link.get("hreflang")): str(link.get("href"))
        for link in entry.findall(f"{_ATOM}link")
        if link.get("rel") == "alternate"
    }
    return SampleArticle(
        language=language,
        url=links[language],
        title=entry.findtext(f"{_ATOM}title", ""),
        content=entry.findtext(f"{_ATOM}content", ""),
        versions=links,
    )
