"""Every given feed is read as its manifest says, or refused with a clear error."""

from __future__ import annotations

import csv
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from newsletter.articles.encodings import decoded, without_prolog
from newsletter.articles.feeds import Feed, parse_feed
from newsletter.base.errors import InvalidInput

GIVEN = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "given"
MANIFEST = GIVEN / "manifest.csv"


def rows() -> list[dict[str, str]]:
    if not MANIFEST.exists():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith("feeds/")]


def is_sound_xml(row: dict[str, str]) -> bool:
    return row["kind"] != "jsonfeed" and "MALFORMED" not in row["note"] and row["entries"] != "0"


def name_of(row: dict[str, str] | None) -> str:
    return row["file"].removeprefix("feeds/") if row else "absent"


@pytest.fixture(params=rows() or [None], ids=name_of)
def row(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param is None:
        pytest.skip("the given feeds are not on this machine")
    return request.param


def read(row: dict[str, str]) -> Feed | None:
    """Return the feed, or None if it was refused and may be."""
    data = (GIVEN / row["file"]).read_bytes()
    if "an error" not in row["entries"] and row["kind"] != "not-a-feed":
        return parse_feed(data, url=row["source_url"])
    try:
        return parse_feed(data, url=row["source_url"])
    except InvalidInput as error:
        message = error.message
    assert row["source_url"] in message
    assert "\n" not in message
    return None


def allowed_counts(rule: str) -> set[int]:
    """Read a count as it is spelled: “10”, “0-1 or an error”, “3 (tolerant) or an error”, “3 read, 1 kept”."""
    if kept := re.search(r"(\d+) kept", rule):
        return {int(kept[1])}
    found = re.match(r"(\d+)(?:-(\d+))?", rule)
    return set(range(int(found[1]), int(found[2] or found[1]) + 1)) if found else set()


def simple(text: str) -> str:
    return " ".join(text.replace("\xa0", " ").replace("\u202f", " ").split())


def test_a_given_feed_has_the_entries_that_its_manifest_names(row):
    feed = read(row)
    if feed is not None:
        assert len(feed.entries) in allowed_counts(row["entries"])


def test_the_first_entry_of_a_given_feed_has_the_title_link_date_and_language_that_its_manifest_names(row):
    feed = read(row)
    if feed is None or not feed.entries:
        return
    first = feed.entries[0]
    title, _, alternative = row["title"].partition(" (repaired) or ")
    assert simple(first.title) == simple(title) or (alternative and "Ã" in first.title)
    assert first.language == row["language"]
    if row["link"]:
        assert first.link == row["link"]
    if not row["date"]:
        assert first.published_at is None
    elif "T" in row["date"]:
        assert first.published_at == datetime.fromisoformat(row["date"]).astimezone(UTC)
    else:
        assert first.published_at is not None
        assert first.published_at.date() == date.fromisoformat(row["date"])


def test_every_entry_of_a_given_feed_is_fit_for_a_mail(row):
    feed = read(row)
    for entry in feed.entries if feed else []:
        assert entry.link.startswith(("https://", "http://"))
        assert entry.title == entry.title.strip() != ""
        assert len(entry.summary) <= 300
        for text in (entry.title, entry.summary, entry.image_alt):
            assert not re.search(
                "[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]|</|<br|&(amp|nbsp|#39);", text
            )
        assert entry.image_url is None or entry.image_url.startswith(("https://", "http://"))
        assert entry.published_at is None or entry.published_at.utcoffset() is not None


@pytest.mark.parametrize("row", [row for row in rows() if is_sound_xml(row)], ids=name_of)
def test_a_given_feed_says_the_same_when_its_last_end_tag_is_missing(row):
    """The mender must give back all entries that were whole."""
    data = (GIVEN / row["file"]).read_bytes()
    broken = re.sub(r"</(rss|rdf:RDF|feed)>\s*$", "", without_prolog(decoded(data))).encode()
    assert parse_feed(broken, url=row["source_url"]) == parse_feed(data, url=row["source_url"])
