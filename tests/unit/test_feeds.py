"""What real RSS and Atom feeds say, in all the ways that real feeds say it."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.sax.saxutils import escape

import pytest

from newsletter.articles.feeds import Entry, Feed, parse_feed
from newsletter.base.errors import InvalidInput

URL = "https://news.example/dir/feed.xml"
W3 = "http://www.w3.org"
ATOM = f'xmlns="{W3}/2005/Atom"'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'


def rss(items: str, *, channel: str = "<title>News</title><link>https://news.example/</link>") -> str:
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{channel}{items}</channel></rss>'


def atom(entries: str, *, attributes: str = "") -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {attributes}><title>News</title>{entries}</feed>'


def html(markup: str) -> str:
    return f"<description>{escape(markup)}</description>"


def read(text: str, url: str = URL) -> Feed:
    return parse_feed(text.encode(), url=url)


def only(text: str, url: str = URL) -> Entry:
    (entry,) = read(text, url).entries
    return entry


def test_an_rss_item_is_read_with_all_it_says():
    feed = read(
        rss(
            """<item><title>Le conseil se réunit jeudi</title><link>https://news.example/a?x=1&amp;y=2</link>
            <guid isPermaLink="false">id-1</guid>
            <description>&lt;p&gt;Le conseil de gouvernement se réunit.&lt;/p&gt;</description>
            <pubDate>Sat, 07 Jan 2017 07:36:48 +0100</pubDate><category>Santé</category><category>Santé</category>
            <enclosure url="/i.jpg" type="image/jpeg" length="1"/></item>"""
        )
    )
    assert (feed.title, feed.language, feed.left_out) == ("News", "fr", 0)
    assert feed.entries == [
        Entry(
            external_id="id-1",
            link="https://news.example/a?x=1&y=2",
            title="Le conseil se réunit jeudi",
            summary="Le conseil de gouvernement se réunit.",
            published_at=datetime(2017, 1, 7, 6, 36, 48, tzinfo=UTC),
            language="fr",
            image_url="https://news.example/i.jpg",
            image_alt="",
            categories=("Santé",),
            translations=(),
        )
    ]


def test_an_atom_entry_is_read_with_all_it_says():
    entry = only(
        atom(
            """<entry xml:lang="en"><id>tag:news.example,2017:1</id>
            <title type="html">The &lt;b&gt;council&lt;/b&gt; meets</title>
            <published>2017-01-07T07:36:48+01:00</published><updated>2018-01-01T00:00:00Z</updated>
            <category term="health" label="Public health"/>
            <summary>The council of government meets on Thursday.</summary>
            <link rel="replies" type="text/html" href="/comments"/><link rel="edit" href="/edit"/>
            <link rel="alternate" type="application/json" href="/a.json"/>
            <link rel="alternate" hreflang="fr-FR" href="/fr/a"/><link rel="alternate" hreflang="ar" href="/ar/a"/>
            <link rel="alternate" hreflang="en" href="/en/a"/>
            <link rel="alternate" hreflang="x-default" href="/a"/></entry>"""
        )
    )
    assert entry.link == "https://news.example/en/a"
    assert entry.title == "The council meets"
    assert entry.summary == "The council of government meets on Thursday."
    assert entry.published_at == datetime(2017, 1, 7, 6, 36, 48, tzinfo=UTC)
    assert entry.categories == ("health", "Public health")
    assert sorted(entry.translations) == [("ar", "https://news.example/ar/a"), ("fr", "https://news.example/fr/a")]


def test_translations_are_told_by_rss_through_atom_links():
    entry = only(
        '<rss xmlns:atom="http://www.w3.org/2005/Atom"><channel><item><title>Le conseil se réunit jeudi</title>'
        '<link>/a</link><atom:link rel="alternate" hreflang="ar" href="/ar"/>'
        '<atom:link rel="self" href="/x"/></item></channel></rss>'
    )
    assert entry.link == "https://news.example/a"
    assert entry.translations == (("ar", "https://news.example/ar"),)


def test_the_page_in_the_entrys_own_language_is_its_link():
    entry = only(
        atom(
            '<entry><id>1</id><title>مجلس الحكومة يجتمع يوم الخميس</title><link hreflang="fr" href="/fr"/>'
            '<link hreflang="ar" href="/ar"/></entry>'
        )
    )
    assert entry.link == "https://news.example/ar"
    assert entry.translations == (("fr", "https://news.example/fr"),)


@pytest.mark.parametrize(
    "text",
    [
        '<rss version="0.91"><channel><title>News</title>ITEM</channel></rss>',
        "<rss>ITEM</rss>",
        '<rss version="2.0"><channel><title>News</title></channel>ITEM</rss>',
        f'<rdf:RDF {RDF} xmlns="http://purl.org/rss/1.0/"><channel><title>News</title></channel>ITEM</rdf:RDF>',
        f'<rdf:RDF {RDF} xmlns="http://my.netscape.com/rdf/simple/0.9/"><channel/>ITEM</rdf:RDF>',
        "<channel>ITEM</channel>",
        '<rss xmlns="http://backend.userland.com/rss2">ITEM</rss>',
        "\n\n  <?xml version='1.0'?><rss>ITEM</rss>",
        "\ufeff<?xml version='1.0'?><rss>ITEM</rss>",
        "<!-- c --><?xml version='1.0'?><?xml-stylesheet href='x'?><rss>ITEM</rss>",
        "<br />\n<b>Warning</b>: something in <b>/srv/x.php</b> on line 3<br />\n<?xml version='1.0'?><rss>ITEM</rss>",
        "<rss>ITEM</rss><script src='x'></script> and more",
        '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://x.invalid/rss.dtd"><rss>ITEM</rss>',
        "<RSS><CHANNEL>ITEM</CHANNEL></RSS>",
        "<rss><channel>ITEM",
        "<rss><channel>ITEM</item></rss>",
        "<rss><channel><title>a<b>c</title>ITEM</channel></rss>",
        "<rss><channel><foo:bar>x</foo:bar>ITEM</channel></rss>",
        "<rss><channel><title>AT&T &eacute; &unknown; \x01</title>ITEM</channel></rss>",
    ],
)
def test_all_kinds_of_rss_sound_and_broken_give_their_item(text):
    item = "<item><title>Un titre</title><link>/a</link></item>"
    entry = only(text.replace("ITEM", item))
    assert (entry.title, entry.link, entry.external_id) == (
        "Un titre",
        "https://news.example/a",
        "https://news.example/a",
    )


@pytest.mark.parametrize(
    "text",
    [
        f"<b:feed xmlns:b='{W3}/2005/Atom'><b:entry><b:title>T</b:title><b:link href='/a'/></b:entry></b:feed>",
        '<feed><entry><title>T</title><link href="/a"/></entry></feed>',
        '<feed version="0.3" xmlns="http://purl.org/atom/ns#"><entry><title>T</title><link href="/a"/></entry></feed>',
        '<feed xmlns="http://www.w3.org/2005/Atom/"><entry><title>T</title><link href="/a"></link></entry></feed>',
        f'<feed {ATOM} xml:base="https://news.example/x/"><entry><link href="../a"/><title>T</title></entry></feed>',
        f'<feed {ATOM} xml:base="/x/"><entry xml:base="/"><title>T</title><link href="/a"/></entry></feed>',
    ],
)
def test_all_kinds_of_atom_give_their_entry(text):
    entry = only(text)
    assert (entry.title, entry.link) == ("T", "https://news.example/a")


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("<![CDATA[AT&T <b>gagne</b> &amp; perd]]>", "AT&T gagne & perd"),
        ("Tom &amp; J&#233;r&#xF4;me", "Tom & Jérôme"),
        ("Tom &amp;amp; &amp;#8217;Jerry", "Tom & ’Jerry"),
        ("5 &lt; 6 &amp;amp; 7 &gt; 3", "5 < 6 & 7 > 3"),
        ("How to write &amp;lt;b&amp;gt;", "How to write <b>"),
        ("x &lt;y and z", "x <y and z"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;Bonjour", "Bonjour"),
        ("&lt;img src=x onerror=alert(1)&gt;Bonjour", "Bonjour"),
        ("<b>Inline</b> <i>markup</i>", "Inline markup"),
        ("two\n   lines\t here ", "two lines here"),
        ("a\u202eb\u2066c\u200fd\u200ce", "abcd\u200ce"),
        ("&#146;quote&#8217;", "’quote’"),
    ],
)
def test_a_title_is_plain_and_its_entities_are_resolved_once(written, title):
    assert only(rss(f"<item><title>{written}</title><link>/a</link></item>")).title == title


def test_an_atom_title_is_what_its_type_says():
    def title(markup: str) -> str:
        return only(atom(f"<entry>{markup}<link href='/a'/></entry>")).title

    assert title("<title>AT&amp;amp;T</title>") == "AT&amp;T"
    assert title("<title type='html'>AT&amp;amp;T</title>") == "AT&T"
    assert title("<title type='text'>1 &lt; 2</title>") == "1 < 2"
    assert title("<title type='html'>1 &amp;lt; 2 &lt;em&gt;x&lt;/em&gt;</title>") == "1 < 2 x"
    xhtml = "<title type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>1 &lt; <em>2</em> &amp;amp;</div></title>"
    assert title(xhtml) == "1 < 2 &amp;"


def test_the_titles_of_media_and_images_are_not_the_entrys():
    entry = only(
        f"<rss {MEDIA}><channel>"
        "<item><media:content url='/i.jpg' medium='image'><media:title>author</media:title></media:content>"
        "<itunes:title>other</itunes:title><title>Un titre</title><link>/a</link><media:title>media</media:title>"
        "<image><url>/i.png</url><title>image</title><link>/image</link></image></item></channel></rss>"
    )
    assert (entry.title, entry.link) == ("Un titre", "https://news.example/a")


def test_an_entry_without_title_is_called_by_its_first_words():
    text = "Les premiers mots d’un texte qui est assez long pour que la fin en soit coupée quelque part."
    entry = only(rss(f"<item><link>/a</link><description>{text}</description></item>"))
    assert entry.title.startswith("Les premiers mots d’un texte")
    assert entry.title.endswith("…")
    assert len(entry.title) <= 80
    assert only(rss("<item><link>/dir/a</link></item>")).title == "news.example/dir/a"


def test_a_summary_comes_from_the_description_else_from_the_content():
    namespace = 'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/"'
    content = "<content:encoded><![CDATA[<p>Le contenu</p><p>entier</p>]]></content:encoded>"

    def summary(inside: str) -> str:
        item = f"<item><title>T</title><link>/a</link>{inside}</item>"
        return only(f"<rss {namespace}><channel>{item}</channel></rss>").summary

    assert summary(content + "<description>La description</description>") == "La description"
    assert summary("<description>La description</description>" + content) == "La description"
    assert summary("<description></description>" + content) == "Le contenu entier"
    assert summary(content) == "Le contenu entier"
    assert summary("<media:group><media:description>Le film</media:description></media:group>") == "Le film"
    assert summary("<description><em>Un</em> texte <EM>en</EM> balises</description>") == "Un texte en balises"
    assert summary("<description>T</description>") == ""
    assert summary("<description>https://elsewhere.example/x</description>") == ""


def test_an_atom_summary_may_be_xhtml_text_or_content():
    def summary(inside: str) -> str:
        return only(atom(f"<entry><title>T</title><link href='/a'/>{inside}</entry>")).summary

    xhtml = "<div xmlns='http://www.w3.org/1999/xhtml'><p>Un <b>texte</b></p><p>1 &lt; 2</p></div>"
    assert summary(f"<content type='xhtml'>{xhtml}</content>") == "Un texte 1 < 2"
    assert summary("<content type='html'>&lt;p&gt;Un&amp;nbsp;texte&lt;/p&gt;</content>") == "Un\xa0texte"
    assert summary("<summary>Un &amp;lt; texte</summary><content>Autre</content>") == "Un &lt; texte"
    assert summary("<content type='image/png'>iVBORw0KGgo=</content>") == ""
    assert summary("<content src='https://x.example/' type='text/html'/>") == ""


def test_a_summary_is_cut_at_a_sentence():
    long = "Une phrase complète qui dit quelque chose. " * 6 + "Et une autre, plus longue que les premières. " * 20
    summary = only(rss(f"<item><title>T</title><link>/a</link><description>{long}</description></item>")).summary
    assert summary == ("Une phrase complète qui dit quelque chose. " * 6).strip()


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<link> https://x.example/a </link>", "https://x.example/a"),
        ("<link><![CDATA[https://x.example/a?b=1&c=2]]></link>", "https://x.example/a?b=1&c=2"),
        ("<link>https://x.example/a?b=1&c=2&copy=3</link>", "https://x.example/a?b=1&c=2&copy=3"),
        ("<link>../a b</link>", "https://news.example/a%20b"),
        ("<guid>https://x.example/a</guid>", "https://x.example/a"),
        ("<guid>https://x.example/g</guid><link>https://x.example/a</link>", "https://x.example/a"),
        ("<link>https://x.example/a</link><guid>https://x.example/g</guid>", "https://x.example/a"),
        ("<guid>12345</guid>", "https://news.example/"),
        ("<guid isPermaLink='false'>https://x.example/g</guid>", "https://news.example/"),
        ("<enclosure url='https://x.example/a.mp3' type='audio/mpeg'/>", "https://x.example/a.mp3"),
        (f"<a:link xmlns:a='{W3}/2005/Atom' type='application/pdf' href='/a.pdf'/>", "https://news.example/a.pdf"),
    ],
)
def test_a_link_is_absolute_and_falls_back_to_the_guid_the_recording_the_home_page(markup, expected):
    assert only(rss(f"<item><title>T</title>{markup}</item>")).link == expected


def test_the_link_counts_and_not_what_feedburner_remembers_of_it():
    namespace = 'xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"'
    original = "<feedburner:origLink>https://news.example/original</feedburner:origLink>"
    assert only(f"<rss {namespace}><item><title>T</title><link>/a</link>{original}</item></rss>").link.endswith("/a")
    assert only(f"<rss {namespace}><item><title>T</title>{original}</item></rss>").link.endswith("/original")


def test_relative_links_in_a_local_file_start_at_the_feeds_own_address():
    self_link = '<atom:link xmlns:atom="http://www.w3.org/2005/Atom" rel="self" href="https://other.example/dir/feed"/>'
    text = rss("<item><title>T</title><link>a</link></item>", channel=self_link)
    assert only(text, url="/srv/feed.xml").link == "https://other.example/dir/a"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "https://"])
def test_an_entry_whose_link_must_not_be_followed_is_left_out_and_counted(link):
    good = "<item><title>T</title><link>/a</link></item>"
    feed = read(rss(f"<item><title>X</title><link>{link}</link></item>{good}"))
    assert ([entry.title for entry in feed.entries], feed.left_out) == (["T"], 1)


def test_a_feed_of_which_no_entry_has_a_usable_link_is_refused():
    with pytest.raises(InvalidInput, match="none of its entries has a link"):
        read(rss("<item><title>X</title><link>javascript:alert(1)</link></item>"))


def test_an_empty_but_valid_channel_has_no_entries():
    feed = read(rss("", channel="<title>News</title><language>fr-FR</language>"))
    assert feed == Feed("News", "fr", [], 0)
    assert read(atom("")).entries == []


def test_a_broken_feed_without_entries_is_refused():
    with pytest.raises(InvalidInput, match="its XML is broken, and no entry can be read from it"):
        read("<rss><channel><title>Cut of")


def test_an_entry_in_which_the_feed_breaks_off_is_left_for_the_next_time():
    text = rss("<item><title>A</title><link>/a</link></item><item><title>B</title><link>/b</link><guid>b</guid></item>")
    for end in range(text.index("<title>B") + 5, text.index("</item></channel>") + 5, 7):
        assert [entry.title for entry in read(text[:end]).entries] == ["A"]


def test_the_identity_is_the_guid_else_the_link_else_title_and_date():
    def identity(markup: str) -> str:
        return only(rss(f"<item>{markup}</item>")).external_id

    assert identity("<title>T</title><link>/a</link><guid isPermaLink='false'> id 1 </guid>") == "id 1"
    assert identity("<title>T</title><link>/a</link><guid>12345</guid>") == "12345"
    assert identity("<title>T</title><link>/a</link>") == "https://news.example/a"
    dated = identity("<title>T</title><pubDate>Sat, 07 Jan 2017 07:36:48 +0100</pubDate>")
    assert dated.startswith("sha256:")
    assert dated == identity("<title>T</title><pubDate>Sat, 07 Jan 2017 06:36:48 GMT</pubDate>")
    assert dated != identity("<title>T</title><pubDate>Sun, 08 Jan 2017 07:36:48 +0100</pubDate>")
    assert identity("<title>T</title><link>https://news.example/</link>") == identity("<title>T</title>")
    assert len(identity(f"<title>T</title><guid>{'x' * 5_000}</guid>")) < 100


def test_of_several_entries_with_one_identity_the_first_in_the_file_is_kept():
    items = "".join(
        f"<item><title>T{n}</title><link>/{n}</link><guid isPermaLink='false'>same</guid></item>" for n in range(3)
    )
    feed = read(rss(items))
    assert ([entry.title for entry in feed.entries], feed.left_out) == (["T0"], 0)


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<pubDate>2017-01-07 10:00</pubDate><dc:date>2018-01-01</dc:date>", datetime(2017, 1, 7, 10, tzinfo=UTC)),
        ("<dc:date>2018-01-01T10:00:00+01:00</dc:date>", datetime(2018, 1, 1, 9, tzinfo=UTC)),
        ("<pubDate>31 Feb 2017 10:00:00</pubDate>", None),
        ("<pubDate>31 Feb 2017 10:00:00</pubDate><dc:date>2018-01-01</dc:date>", datetime(2018, 1, 1, tzinfo=UTC)),
        ("<pubDate>Fri, 13 Apr 2035 10:00:00 GMT</pubDate>", datetime(2035, 4, 13, 10, tzinfo=UTC)),
        ("<pubDate/>", None),
        ("", None),
    ],
)
def test_the_date_is_the_publication_else_the_update_else_none(markup, expected):
    item = f"<item><title>T</title><link>/a</link>{markup}</item>"
    text = f'<rss xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>{item}</channel></rss>'
    assert only(text).published_at == expected


@pytest.mark.parametrize(
    ("markup", "url", "alt"),
    [
        ("<enclosure url='/e.png' type='image/png'/>", "/e.png", ""),
        ("<enclosure url='/e.mp3' type='audio/mpeg'/>", None, ""),
        ("<enclosure url='/e.jpg?x=1'/>", "/e.jpg?x=1", ""),
        (
            "".join(f"<media:content url='/{w}.jpg' medium='image' width='{w}'/>" for w in (140, 700, 3000)),
            "/700.jpg",
            "",
        ),
        ("<media:group><media:content url='/v' type='video/mp4'/><media:thumbnail url='/t'/></media:group>", "/t", ""),
        ("<media:thumbnail url='/t.jpg' width='1' height='1'/>", None, ""),
        ("<itunes:image href='/p.jpg'/>", "/p.jpg", ""),
        ("<image><url>/i.jpg</url></image>", "/i.jpg", ""),
        (html("<img src='p.gif' width='1'><img src='d.jpg' alt='Un chat'>"), "/dir/d.jpg", "Un chat"),
        (html("<img src='/e.png' alt='Un chat'>") + "<enclosure url='/e.png' type='image/png'/>", "/e.png", "Un chat"),
        (html("<img src='javascript:x' alt='Un chat'>"), None, ""),
        ("<enclosure url='javascript:x' type='image/png'/><media:thumbnail url='/t.jpg'/>", "/t.jpg", ""),
    ],
)
def test_the_image_is_a_picture_to_look_at_with_its_words(markup, url, alt):
    entry = only(f"<rss {MEDIA}><channel><item><title>T</title><link>/a</link>{markup}</item></channel></rss>")
    assert entry.image_url == (url and f"https://news.example{url}")
    assert entry.image_alt == alt


def test_images_in_content_start_at_the_contents_own_base():
    content = "<content type='html' xml:base='/deep/er/'>&lt;img src='i.jpg'&gt;</content>"
    assert (
        only(atom(f"<entry><title>T</title><link href='/a'/>{content}</entry>")).image_url
        == "https://news.example/deep/er/i.jpg"
    )


def test_the_language_is_told_from_the_text_and_a_short_one_is_as_its_neighbours():
    items = "".join(
        f"<item><title>{title}</title><link>/{n}</link></item>"
        for n, title in enumerate(
            ["Le conseil de gouvernement se réunit jeudi à Rabat", "Forum", "مجلس الحكومة", "Forum"]
        )
    )
    feed = read(rss(items, channel="<language>en-us</language>"))
    assert [entry.language for entry in feed.entries] == ["fr", "fr", "ar", "fr"]
    assert feed.language == "fr"


def test_at_most_twenty_thousand_entries_are_kept_in_file_order(monkeypatch):
    for module in ("feeds", "soundness"):
        monkeypatch.setattr(f"newsletter.articles.{module}.MAXIMUM_ENTRIES", 20)
    for last in ("", "&"):
        feed = read(rss("".join(f"<item><title>T</title><link>/{n}</link></item>" for n in range(50)) + last))
        assert [entry.link for entry in feed.entries] == [f"https://news.example/{n}" for n in range(20)]
