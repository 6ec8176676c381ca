"""Whatever bytes come, they are read as a feed or refused in one clear line, and soon."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.articles.feeds import Feed, parse_feed
from newsletter.base.errors import InvalidInput

URL = "https://news.example/feed"
RSS = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE rss><rss version="2.0"
xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/"
xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Actualités</title><link>https://news.example/</link><language>fr</language>
<atom:link rel="self" href="/feed"/><image><url>/l.png</url><title>x</title></image>
<item><title><![CDATA[Été & <b>hiver</b>]]></title><link>/a?x=1&amp;y=2</link>
<guid isPermaLink="false">1</guid><pubDate>Sat, 07 Jan 2017 07:36:48 +0100</pubDate><dc:date>2017-01-07</dc:date>
<description>&lt;p&gt;Un &amp;eacute;t&#233;&lt;/p&gt;</description>
<content:encoded><![CDATA[<p>Un<img src="/i.jpg" alt="x"></p>]]></content:encoded>
<media:group><media:content url="/v.mp4"/><media:thumbnail url="/t.jpg" width="70"/></media:group>
<category>S</category><source url="/s">S</source><enclosure url="/e.jpg" type="image/jpeg"/></item>
<item><title>مجلس</title><link>/b</link></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr" xml:base="https://news.example/x/">
<title type="html">&lt;b&gt;N&lt;/b&gt;</title><link rel="alternate" href="/"/><updated>2017-01-07T07:36:48Z</updated>
<entry><id>urn:1</id><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Un <em>titre</em></div></title>
<link href="a"/><link rel="alternate" hreflang="ar" href="b"/><published>2017-01-07T07:36:48.5+01:00</published>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Un</p></div></content>
<author><name>N</name><uri>u</uri></author><source><title>S</title><id>2</id></source>
<category term="t" label="l"/></entry></feed>"""
JSON = """{"version": "https://jsonfeed.org/version/1.1", "title": "N", "items": [{"id": 1, "url": "/a",
"content_html": "<p>\\u00e9", "date_published": "2017-01-07T07:36:48Z", "tags": ["a"],
"attachments": [{"url": "/i.jpg", "mime_type": "image/jpeg"}]}]}"""
FEEDS = [RSS.encode(), ATOM.encode(), JSON.encode(), RSS.replace("utf-8", "utf-16").encode("utf-16")]
BITS = re.split(
    r"\s+",
    """< > & " ' / <item> </item> <entry> </entry> <title> </title> <link> </link> <![CDATA[ ]]> <!-- --> <? ?> &amp;
&eacute; &#0; &#xD800; &lt;script&gt; xmlns:a="" xmlns="u" a:b="c" <a:b> <source> <image> <content>
<media:content> <svg> <textinput> <tags> <link\u00a0href="x"/> <links\u00a0a="b"/>
<summary_detail\u00a0a="b"/>
<published_parsed\u00a0a="b"/>
<tags\u00a0a="b"/> <media_content\u00a0a="b"/> <entries\u00a0a="b"/> <guid> <id> <dcterms:valid>a=b</dcterms:valid>
<itunes:keywords/> <width>x</width> <media:rating/> <feed> <rss> <channel> <!DOCTYPE\u00a0a\u00a0[ <!ENTITY { } [ ]
, "items" null 1e999 \\ud800 javascript: \0 \u200f \u202e \ufffe é م 🎉""",
    flags=re.ASCII,
)
BITS = [bit.replace("\u00a0", " ") for bit in BITS]


def read(data: bytes) -> Feed | None:
    began = time.perf_counter()
    try:
        feed = parse_feed(data, url=URL)
    except InvalidInput as error:
        message = error.message
    else:
        message = URL
        check(feed)
    assert URL in message
    assert len(message) < 400
    assert not re.search("[\0-\x1f]", message)
    assert time.perf_counter() - began < 4
    return None


def check(feed: Feed) -> None:
    assert len({entry.external_id for entry in feed.entries}) == len(feed.entries)
    for entry in feed.entries:
        assert entry.external_id
        assert entry.title
        assert entry.link.startswith(("https://", "http://"))
        assert len(entry.summary) <= 300
        words = (entry.external_id, entry.link, entry.title, entry.summary, entry.image_alt, *entry.categories)
        for text in words:
            text.encode()
            assert not re.search("[\0-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", text)


@settings(max_examples=200)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(BITS), max_size=30).map(" ".join).map(str.encode))
@example(b"")
@example(b"\x1f\x8b")
@example(b"<")
@example(b"<rss")
@example(b"<rss>")
@example(b"<rss/>")
@example(b"<feed><entry/></feed>")
@example(b"<rdf:RDF>")
@example(b"\xff\xfe")
@example(b"\0\0\0<")
def test_any_bytes_are_read_as_a_feed_or_refused(data):
    read(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FEEDS), st.integers(min_value=0), st.integers(min_value=1, max_value=8))
def test_a_feed_changed_at_random_is_read_or_refused(data, seed, changes):
    rng = random.Random(seed)
    for _ in range(changes):
        place, length = rng.randrange(len(data)), rng.choice([0, 0, 1, 2, 20])
        data = data[:place] + rng.choice([b"", rng.choice(BITS).encode(), rng.randbytes(2)]) + data[place + length :]
    read(data)


@settings(max_examples=200)
@given(st.sampled_from(FEEDS), st.integers(min_value=0))
def test_a_feed_whose_pieces_were_shuffled_is_read_or_refused(data, seed):
    pieces = re.findall(rb"<[^>]*>|[^<]+", data)
    random.Random(seed).shuffle(pieces)
    read(b"<rss>" + b"".join(pieces))


@pytest.mark.parametrize("feed", FEEDS, ids=["rss", "atom", "json", "utf-16"])
def test_a_feed_that_breaks_off_anywhere_is_read_or_refused(feed):
    for end in range(0, len(feed), 13):
        read(feed[:end])


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "it is empty"),
        (b" \r\n\t ", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"\0" * 100, "it is empty"),
        (b"<!DOCTYPE html><html><head><title>x</title></head></html>", "an HTML page"),
        (b"<html><body><rss/></body></html>", "an HTML page"),
        (b"\n<!-- x --><HTML>", "an HTML page"),
        (b"Not found", "plain text"),
        (b"a < b", "plain text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "binary data"),
        (b"%PDF-1.7\n" + bytes(range(1, 128)) * 3, "binary data"),
        (
            b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url/></urlset>',
            "XML of another kind, <urlset>",
        ),
        (b"<opml><body/></opml>", "XML of another kind, <opml>"),
        (b"<rss><channel>" + b"<a>" * 300, "nested more than 200 deep"),
        (b"<rss><channel>" + b"<a>" * 300 + b"</a>" * 300 + b"</channel></rss>", "nested more than 200 deep"),
    ],
)
def test_what_is_no_feed_is_refused_with_the_cause(data, cause):
    with pytest.raises(InvalidInput, match=cause) as refused:
        parse_feed(data, url=URL)
    assert refused.value.message.startswith(URL)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
        '<!doctype rss [ <!entity a SYSTEM "file:///etc/passwd"> ]>',
        '<!DOCTYPE rss [<!ENTITY % a SYSTEM "http://127.0.0.1/x.dtd">%a;]>',
        '<!DOCTYPE rss [<!-- ] --><!ENTITY a "]>">]>',
        '<!DOCTYPE rss [<!ATTLIST a b CDATA "]"><!ENTITY a "b">]>',
        '<!-- x --><?x y?><!DOCTYPE rss SYSTEM "x.dtd" [\n<!ENTITY\na "b">',
    ],
)
def test_a_document_that_declares_entities_is_refused(declaration, encoding):
    text = f'<?xml version="1.0"?>{declaration}<rss><item><title>&a;&b;</title><link>/a</link></item></rss>'
    with pytest.raises(InvalidInput, match="declares entities"):
        parse_feed(text.encode(encoding), url=URL)


def test_text_about_entities_declares_none():
    item = (
        "<item><title>x</title><link>/a</link><description><![CDATA[Write <!ENTITY a 'b'> here]]></description></item>"
    )
    assert len(parse_feed(f"<!-- <!ENTITY -->\n<rss>{item}</rss>".encode(), url=URL).entries) == 1


def test_ten_thousand_items_are_read_in_bounded_time():
    item = "<item><title>مجلس {0}</title><link>/{0}</link><description>&lt;p&gt;نص&lt;/p&gt;</description></item>"
    items = "".join(item.format(number) for number in range(10_000))
    began = time.perf_counter()
    assert len(parse_feed(f"<rss><channel>{items}</channel></rss>".encode(), url=URL).entries) == 10_000
    assert time.perf_counter() - began < 20


REPEATED = """<!-- <![CDATA[ <!DOCTYPE_a_[ <!DOCTYPE <? < <a_ <a_b=" & &amp ]]> <item> <item/> </a> <a/> <!--_-->_
<item><title> <br> a:b='' <a:b> &# \\ " é Ã <![CDATA[]]> <a><!----></a> _"""


@pytest.mark.parametrize("bit", [bit.replace("_", "\n") for bit in REPEATED.split()])
def test_megabytes_of_the_same_are_dealt_with_soon(bit):
    for beginning in ("", "<rss><channel>", "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='xhtml'>"):
        read((beginning + bit * (300_000 // len(bit))).encode())
        read((beginning + bit * 100 + "</content></entry></feed>").encode())
