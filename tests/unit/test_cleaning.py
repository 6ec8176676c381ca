"""Foreign text, addresses, images and dates, made fit for a mail."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.cleaning import (
    clean_line,
    cut_at_sentence,
    first_image,
    plain_text,
    read_moment,
    safe_url,
)

HTML_BITS = st.sampled_from(
    ["<p>", "</p>", "<b", "<br/>", "&amp;", "&lt;", "&#8217;", "<script>", "</script>", "é", " ", "\0", "<"]
)
HTML = st.lists(HTML_BITS | st.text(max_size=5), max_size=20).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a \r\n\t b  ", "a b"),
        ("a\x00b\x1bc\x9bd", "abcd"),
        ("\u202eabc\u202c \u2066d\u2069\u200e\u200f\u061c", "abc d"),
        ("می\u200cخواهم \u0644\u200d", "می\u200cخواهم \u0644\u200d"),
        ("Qui\u00a0? « oui\u202f»", "Qui\u00a0? « oui\u202f»"),
        ("a \u00a0 b\u2028c\u3000d", "a b c d"),
        ("a\ud800b\ufffe\ufeff", "ab"),
        ("👩\u200d⚕️", "👩\u200d⚕️"),
    ],
)
def test_a_clean_line_keeps_letters_and_joiners_and_nothing_that_steers(text, expected):
    assert clean_line(text) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Un</p><p>deux</p>", "Un deux"),
        ("un<br>deux<br/>trois", "un deux trois"),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("l’<em>eau</em>", "l’eau"),
        ("a<script>alert(1)</script>b<style>p{}</style>", "ab"),
        ("<!-- x -->a<iframe>b</iframe><svg><text>c</text></svg>", "a"),
        ("Caf&eacute; &amp; th&#233; &#x2019;&nbsp;!", "Café & thé ’\xa0!"),
        ("&amp;lt;b&amp;gt; and &amp;amp;", "&lt;b&gt; and &amp;"),
        ("1 &lt; 2 &gt; 0", "1 < 2 > 0"),
        ("&lt;script&gt;", "<script>"),
        ("<p>unclosed <b>tags", "unclosed tags"),
        ("<figure><img src=x><figcaption>Photo: AFP</figcaption></figure><p>Texte</p>", "Texte"),
        ("", ""),
    ],
)
def test_plain_text_is_what_a_reader_would_read(html, expected):
    assert plain_text(html) == expected


@given(HTML)
def test_plain_text_never_has_controls_or_line_ends(html):
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", plain_text(html))


@given(st.text())
def test_plain_text_gives_escaped_text_back(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    if len(escaped) < 1_000:
        assert plain_text(escaped) == clean_line(text)


@pytest.mark.parametrize(
    "evil", ["<div>" * 100_000, "".join(f"<b a={i}>" for i in range(50_000)), "<a" * 100_000, "<!--" * 100_000]
)
def test_plain_text_of_hostile_html_is_done_at_once(evil):
    began = time.perf_counter()
    plain_text(evil)
    first_image(evil + "<img src=x>", base="https://x.org/")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Court.", 20, "Court."),
        ("Une phrase. Une autre phrase plus longue.", 20, "Une phrase."),
        ("Est-ce vrai ? Oui, tout à fait vrai.", 20, "Est-ce vrai ?"),
        ("Il a dit « non ! » et il est parti loin.", 22, "Il a dit « non ! »"),
        ("وصل الوزير. ثم غادر المدينة في المساء.", 20, "وصل الوزير."),
        ("هل وصل الوزير؟ لا نعرف بعد متى يصل.", 20, "هل وصل الوزير؟"),
        ("Selon M. Dupont et Mme. Durand la mer est calme.", 31, "Selon M. Dupont et Mme. Durand…"),
        ("Version 3.11 is out and it is much faster now", 20, "Version 3.11 is out…"),
        ("东京的消息。今天天气很好，我们去公园。", 10, "东京的消息。"),
        ("un deux trois, quatre cinq", 15, "un deux trois…"),
        ("x" * 50, 10, "x" * 9 + "…"),
    ],
)
def test_a_text_is_cut_after_a_sentence_or_a_word(text, limit, expected):
    assert cut_at_sentence(text, limit=limit) == expected


@given(st.text(), st.integers(min_value=2, max_value=80))
def test_a_cut_text_is_never_longer_than_its_limit(text, limit):
    cut = cut_at_sentence(text, limit=limit)
    assert len(cut) <= limit
    assert text.startswith(cut.removesuffix("…"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.org/b?c=1&d=2#e", "https://a.org/b?c=1&d=2#e"),
        ("http://a.org//double/../x%2Fy", "http://a.org//double/../x%2Fy"),
        ("/rel", "https://base.org/rel"),
        ("rel?x=1", "https://base.org/dir/rel?x=1"),
        ("../up", "https://base.org/up"),
        ("?p=5", "https://base.org/dir/feed.xml?p=5"),
        ("//other.org/x", "https://other.org/x"),
        ("HTTPS://A.org/x", "https://A.org/x"),
        (" \n https://a.org/x\ty \n", "https://a.org/xy"),
        ('https://a.org/a b"c<d>', "https://a.org/a%20b%22c%3Cd%3E"),
        ("https://a.org/أخبار", "https://a.org/أخبار"),
        ("https://a.org/x\u202ey", "https://a.org/xy"),
        ("https://a.org\\@evil.org/x", "https://a.org/@evil.org/x"),
        ("https://[2001:db8::1]:8080/x", "https://[2001:db8::1]:8080/x"),
    ],
)
def test_a_safe_address_is_absolute_and_otherwise_as_it_was(url, expected):
    assert safe_url(url, base="https://base.org/dir/feed.xml") == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        " jAvA\nscript:alert(1)",
        "java\0script:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "mailto:a@b.c",
        "urn:uuid:1",
        "https://",
        "https:///path",
        "http:relative",
        "https://user:pass@a.org/",
        "https://a.org:port/",
        "https://[::1/",
        "https://a b.org/",
        "https://a.org/" + "x" * 2_000,
    ],
)
def test_an_address_that_is_none_to_follow_is_refused(url):
    assert safe_url(url, base="https://base.org/") is None


def test_a_relative_address_of_a_local_file_leads_nowhere():
    assert safe_url("/x", base="/srv/feed.xml") is None
    assert safe_url("//a.org/x", base="file:///srv/feed.xml") == "https://a.org/x"


@given(st.text(), st.sampled_from(["https://base.org/a/b", "/srv/feed.xml", "", "http://[::1", "javascript:x"]))
def test_a_safe_address_begins_with_http_and_holds_nothing_to_break_out_of_an_attribute(url, base):
    safe = safe_url(url, base=base)
    if safe is not None:
        assert safe.startswith(("http://", "https://"))
        assert not re.search(r"[\s\"<>\x00-\x1f]", safe)
        assert safe_url(safe, base="") == safe


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            '<p>x<IMG alt="Un &quot;chat&quot;\n noir" SRC="/a.jpg?x=1&amp;y=2">',
            ("https://x.org/a.jpg?x=1&y=2", 'Un "chat" noir'),
        ),
        ("<img src='a.jpg'><img src='b.jpg'>", ("https://x.org/d/a.jpg", "")),
        ("<img src='/pixel.gif' width=1 height=1><img src='b.jpg'>", ("https://x.org/d/b.jpg", "")),
        ("<img src='/s.png' width='16px'><img src='b.jpg' width=600>", ("https://x.org/d/b.jpg", "")),
        ("<img src='data:image/gif;base64,AAAA' data-src='b.jpg'>", ("https://x.org/d/b.jpg", "")),
        ("<img src='https://a.org/twitter_icon.png'><img src='b.jpg'>", ("https://x.org/d/b.jpg", "")),
        ("<img src='javascript:x'><img alt='no source'>", None),
        ("<script>'<img src=a.jpg>'</script>", None),
        ("no image", None),
    ],
)
def test_the_first_image_is_one_to_look_at(html, expected):
    assert first_image(html, base="https://x.org/d/") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Sat, 07 Jan 2017 07:36:48 +0100", "2017-01-07T06:36:48"),
        ("Mon, 07 Jan 2017 07:36:48 GMT", "2017-01-07T07:36:48"),  # it was a Saturday
        ("7 Jan 17 07:36 EST", "2017-01-07T12:36:00"),
        ("Thu, 07 Dec 17 10:00:29 -0800", "2017-12-07T18:00:29"),
        ("07 Jan 99 00:00:00 Z", "1999-01-07T00:00:00"),
        ("Sat, 07 Jul 2017 07:36:48 CEST", "2017-07-07T05:36:48"),
        ("Sat, 07 Jan 2017 07:36 GMT+1", "2017-01-07T06:36:00"),
        ("Sat, 07 Jan 2017 24:00:00 +0000", "2017-01-08T00:00:00"),
        ("Sat, 07 Jan 2017 07:36:60 +0000", "2017-01-07T07:36:59"),
        ("Sat, 07-Jan-2017 07:36:48 UTC", "2017-01-07T07:36:48"),
        ("Sat Jan  7 16:18:19 2017", "2017-01-07T16:18:19"),
        ("January 7, 2017 10:05 PM", "2017-01-07T22:05:00"),
        ("sam., 07 janv. 2017 07:36:48 +0100", "2017-01-07T06:36:48"),
        ("mar. 1er août 2017", "2017-08-01T00:00:00"),
        ("mer, 15 févr. 2023 10h30", "2023-02-15T10:30:00"),
        ("الاثنين 23 نونبر 2026 - 12:30", "2026-11-23T12:30:00"),
        ("20 غشت 2026", "2026-08-20T00:00:00"),
        ("الأحد، 7 يناير 2024 - 4:18 م", "2024-01-07T16:18:00"),
        ("Saturday, January 7, 2017 - 16:18", "2017-01-07T16:18:00"),
        ("7 janvier 2017 à 16h18", "2017-01-07T16:18:00"),
        ("2017-01-07T07:36:48.123+01:00", "2017-01-07T06:36:48"),
        ("2017-01-07T07:36:48Z", "2017-01-07T07:36:48"),
        ("2017-01-07 16:18", "2017-01-07T16:18:00"),
        ("2017-01-07 16:18:19 +0100", "2017-01-07T15:18:19"),
        ("2017-01-07 T 04:18 PM", "2017-01-07T16:18:00"),
        ("2017/01/07 16:18:19 CET", "2017-01-07T15:18:19"),
        ("2017-01-07", "2017-01-07T00:00:00"),
        ("20170107T161819Z", "2017-01-07T16:18:19"),
        ("2035-04-13T08:07:01Z", "2035-04-13T08:07:01"),
        ("  \n2017-01-07T07:36:48Z\n ", "2017-01-07T07:36:48"),
    ],
)
def test_a_date_is_the_moment_that_its_writer_meant(written, expected):
    assert read_moment(written) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "2017-02-30T10:00:00Z",
        "30 Feb 2017 10:00:00 GMT",
        "2017-13-01",
        "2017-01-07T25:00:00Z",
        "2017-01-07T10:61:00Z",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00Z",
        "-0001-11-30T00:00:00+00:00",
        "9999-12-31T23:59:59-12:00",
        "2017-01-07T10:00:00+99:00",
        "07/01/2017 16:18",
        "1483792608",
        "32 Jan 2017",
        "7 Foo 2017",
    ],
)
def test_an_impossible_date_is_none(written):
    assert read_moment(written) is None


@given(st.text(alphabet="0123456789-:+TZ /., JanFebMrpchGMTéنونبر", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_moment_in_utc_or_none(written):
    moment = read_moment(written)
    assert moment is None or moment.utcoffset() == UTC.utcoffset(None)


@given(st.integers(min_value=-2_000_000_000, max_value=200_000_000_000))
def test_a_moment_written_in_the_common_ways_is_read_back(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    assert read_moment(moment.isoformat()) == moment
    assert read_moment(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == moment
