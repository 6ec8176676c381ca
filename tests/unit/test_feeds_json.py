"""JSON Feed 1 and 1.1."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.feeds import Entry, Feed, parse_feed
from newsletter.base.errors import InvalidInput

URL = "https://news.example/dir/feed.json"
VERSION = "https://jsonfeed.org/version/1.1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ("id", "url", "external_url", "title", "content_html", "content_text", "summary", "image", "date_published", "tags")
)


def document(*items: object, **more: Any) -> bytes:
    return json.dumps({"version": VERSION, "title": "News", "items": items, **more}).encode()


def read(*items: object, **more: Any) -> Feed:
    return parse_feed(document(*items, **more), url=URL)


def test_an_item_is_read_with_all_it_says():
    feed = read(
        {
            "id": 7,
            "url": "/a",
            "external_url": "https://elsewhere.example/",
            "title": "The council meets on Thursday",
            "content_html": "<p>The council of government meets.</p><img src='/i.jpg' alt='The council'>",
            "date_published": "2017-01-07T07:36:48+01:00",
            "tags": ["Health", "Health", 5],
            "image": "/i.jpg",
        },
        language="en",
    )
    assert (feed.title, feed.language, feed.left_out) == ("News", "en", 0)
    assert feed.entries == [
        Entry(
            external_id="7",
            link="https://news.example/a",
            title="The council meets on Thursday",
            summary="The council of government meets.",
            published_at=datetime(2017, 1, 7, 6, 36, 48, tzinfo=UTC),
            language="en",
            image_url="https://news.example/i.jpg",
            image_alt="The council",
            categories=("Health",),
            translations=(),
        )
    ]


def test_what_is_missing_is_taken_from_the_next_best():
    first, second, third = read(
        {"id": "1", "external_url": "https://x.example/", "content_text": "Text & more", "date_modified": "2020-01-01"},
        {"id": "https://x.example/2", "title": "Second", "summary": "S", "content_text": "T", "banner_image": "/b.png"},
        {"url": "/3", "title": "Third", "attachments": [{"url": "/a.jpg", "mime_type": "image/jpeg"}]},
        home_page_url="https://news.example/home",
    ).entries
    assert (first.link, first.title, first.summary) == ("https://x.example/", "Text & more", "")
    assert first.published_at == datetime(2020, 1, 1, tzinfo=UTC)
    assert (second.link, second.summary, second.image_url) == (
        "https://news.example/home",
        "S",
        "https://news.example/b.png",
    )
    assert (third.external_id, third.image_url) == ("https://news.example/3", "https://news.example/a.jpg")


def test_items_that_are_none_or_lead_nowhere_are_left_out_and_counted():
    feed = read({"id": "1", "url": "/a", "title": "A"}, None, 5, [], {"url": "javascript:x", "title": "B"}, {"id": "9"})
    assert ([entry.title for entry in feed.entries], feed.left_out) == (["A"], 5)


def test_texts_are_cleaned_and_plain_text_stays_as_it_is():
    (entry,) = read({"url": "/a", "title": "a\x00b\ud800\u202e\nc", "content_text": "1 < 2 &amp; <b>"}).entries
    assert (entry.title, entry.summary) == ("ab c", "1 < 2 &amp; <b>")


def test_an_empty_feed_is_fine():
    assert read().entries == []


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"{}", "no JSON Feed"),
        (b"[]", "no JSON Feed"),
        (b'{"version": "https://jsonfeed.org/version/1"}', "no JSON Feed"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": {}}', "no JSON Feed"),
        (b'{"version": 1, "items": []}', "no JSON Feed"),
        (b'{"version": "https://example.org/version/1", "items": []}', "no JSON Feed"),
        (b'{"version": ', "its JSON is broken"),
        (b"{]", "its JSON is broken"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "its JSON is broken"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (
            b'{"version": "https://jsonfeed.org/version/1", "items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "too deeply",
        ),
    ],
)
def test_json_that_is_no_feed_is_refused_with_the_cause(data, cause):
    with pytest.raises(InvalidInput, match=cause) as refused:
        parse_feed(data, url=URL)
    assert URL in refused.value.message
    assert "\n" not in refused.value.message


@given(
    st.lists(
        st.dictionaries(NAMES, JSON | st.sampled_from(["/a", "https://x.example/", "2020-01-01"])) | JSON, max_size=4
    )
)
def test_items_of_any_shape_are_read_or_refused(items):
    try:
        feed = read(*items)
    except InvalidInput as error:
        assert "none of its entries" in str(error)  # noqa: PT017
        return
    assert len(feed.entries) + feed.left_out <= len(items)
    assert all(entry.link.startswith("https://") for entry in feed.entries)
