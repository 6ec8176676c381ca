"""The rules of HTML that survives mail clients, held mechanically, whatever the articles are."""

from __future__ import annotations

import colorsys
import re
from datetime import date
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rendering_samples import (
    LANGUAGES,
    MAILS,
    Context,
    Node,
    Page,
    arabic_article,
    article,
    context,
    english_article,
    in_order,
    read,
    render,
    templates,
    text_links,
)

from newsletter.base.languages import LANGUAGES as SPOKEN
from newsletter.mail.rendering import Rendered, contrast

LARGEST_HTML, LARGEST_STYLE = 90_000, 8_000
FORBIDDEN_CSS = re.compile(
    r"flex|grid|var\(|--|-inline|-block:|inset|float|position\s*:|url\(|@import|@font-face|gradient|shadow|rgb|hsl"
    r"|calc|\d(?:em|rem|vw|vh|pt)\b|text-align:\s*(?:start|end|justify|center)"
)
EVERY = [(mail, language) for mail in MAILS for language in LANGUAGES]
every_mail_and_language = pytest.mark.parametrize(("mail", "language"), EVERY)


@cache
def page_of(mail: str, language: str) -> Page:
    return read(render(mail, language).html)


def text_cells(page: Page) -> list[Node]:
    return [cell for cell in page.root.all("td") if not list(cell.all("table")) and cell.text.strip()]


def hold_the_rules(page: Page, rendered: Rendered, language: str) -> None:
    """What must be true of every mail, whatever it says."""
    direction = SPOKEN[language].direction
    hold_structure(page, rendered, language, direction)
    hold_tables_and_images(page)
    hold_directions(page, direction)
    hold_css(page, rendered, direction)
    for node in page.root.texts():
        for dark in (False, True):
            colour, behind = page.colours(node, dark=dark)
            assert contrast(colour, behind) >= 4.5, (node.tag, node.text, colour, behind)


def hold_structure(page: Page, rendered: Rendered, language: str, direction: str) -> None:
    html, body = page.root.one("html"), page.root.one("body")
    tops = [child for child in body.children if isinstance(child, Node)]
    assert len(tops) >= 2
    for node in (html, body, *tops):
        assert (node.attributes["lang"], node.attributes["dir"]) == (language, direction)
    assert page.root.one("title").text == rendered.subject
    assert len(list(page.root.all("h1"))) == 1
    assert {node.tag for node in page.root.all()}.isdisjoint({"script", "form", "svg", "video", "bdi", "h3", "link"})
    assert tops[0].is_hidden
    assert tops[0].text.strip()


def hold_tables_and_images(page: Page) -> None:
    for table in page.root.all("table"):
        assert table.attributes["role"] == "presentation"
        assert table.attributes["cellpadding"] == table.attributes["cellspacing"] == "0"
    for comment in page.comments:
        assert comment.count("<table") == comment.count('<table role="presentation"')
    for image in page.root.all("img"):
        assert "alt" in image.attributes
        assert image.attributes["width"].isdigit()
    for link in page.root.all("a"):
        assert link.text.strip(), link.attributes["href"]
        assert link.style["text-decoration"] == "underline" or "button" in (link.parent or link).classes


def hold_directions(page: Page, direction: str) -> None:
    for cell in page.root.all("td"):
        assert cell.style["direction"] in {"ltr", "rtl"}
        assert cell.style["text-align"] in {"left", "right"}
    for cell in text_cells(page):
        assert cell.attributes["dir"] == cell.style["direction"]
        natural = "left" if cell.attributes["dir"] == "ltr" else "right"
        mails_own = "left" if direction == "ltr" else "right"
        assert cell.style["text-align"] in ({natural, mails_own} if "written" in cell.classes else {natural})


def hold_css(page: Page, rendered: Rendered, direction: str) -> None:
    styles = [node.attributes["style"] for node in page.root.all() if "style" in node.attributes]
    for css in (*styles, page.kept_style):
        assert not FORBIDDEN_CSS.search(css), FORBIDDEN_CSS.search(css)
        assert direction == "ltr" or not re.search(r"italic|letter-spacing", css)
        for colour in re.findall(r"#\w+", css):
            assert re.fullmatch(r"#[0-9A-F]{6}", colour)
    assert len(page.kept_style.encode()) <= LARGEST_STYLE
    assert len(rendered.html.encode()) <= LARGEST_HTML


@every_mail_and_language
def test_every_mail_holds_the_rules(mail: str, language: str) -> None:
    hold_the_rules(page_of(mail, language), render(mail, language), language)


@every_mail_and_language
def test_the_charset_is_told_within_the_first_1024_octets_and_styles_come_after(mail: str, language: str) -> None:
    html = render(mail, language).html
    assert 0 < html.index('<meta charset="utf-8">') < 1000
    assert html.index('<meta charset="utf-8">') < html.index("@media") < html.index("</head>")
    assert html.count("prefers-color-scheme: dark") == 1


@every_mail_and_language
def test_colours_survive_a_client_that_forces_its_own_dark(mail: str, language: str) -> None:
    page = page_of(mail, language)
    for node in page.root.texts():
        colour, behind = page.colours(node, dark=False)
        assert contrast(turned(colour), turned(behind)) >= 4.5, "all colours turned over"
        behind = turned(behind) if lightness(behind) > 0.5 else behind
        colour = turned(colour) if lightness(colour) < 0.5 else colour
        assert contrast(colour, behind) >= 4.5, "only light paper and dark letters turned over"


def lightness(colour: str) -> float:
    red, green, blue = (value / 255 for value in bytes.fromhex(colour[1:]))
    return colorsys.rgb_to_hls(red, green, blue)[1]


def turned(colour: str) -> str:
    red, green, blue = (value / 255 for value in bytes.fromhex(colour[1:]))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    return "#" + "".join(f"{round(part * 255):02X}" for part in colorsys.hls_to_rgb(hue, 1 - light, saturation))


@pytest.mark.parametrize("accent", ["#0B5D3B", "#FFD400", "#000000", "#ffffff", "#9B2C1F", "#7f7f7f", "#C1272D"])
def test_any_accent_becomes_readable_on_both_papers(accent: str) -> None:
    for mail in ("digest", "confirmation"):
        newsletter = context(mail, "fr")["newsletter"] | {"accent": accent}
        rendered = render(mail, "fr", newsletter=newsletter)
        hold_the_rules(read(rendered.html), rendered, "fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_article_is_an_h2_whose_link_is_its_title(language: str) -> None:
    page = page_of("digest", language)
    told = [each for topic in context("digest", language)["topics"] for each in topic["articles"]]
    titles = list(page.root.all("h2"))
    assert [(title.one("a").text, title.one("a").attributes["href"]) for title in titles] == [
        (each["title"], each["url"]) for each in told
    ]
    assert all(title.text == title.one("a").text for title in titles)
    assert page.root.one("h1").text == context("digest", language)["newsletter"]["name"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_article_carries_its_own_language_and_direction(language: str) -> None:
    cells = [title.parent for title in page_of("digest", language).root.all("h2")]
    assert [(cell.attributes["lang"], cell.attributes["dir"]) for cell in cells if cell] == [
        ("fr", "ltr"),
        ("en", "ltr"),
        ("ar", "rtl"),
    ]
    dates = [cell for cell in page_of("digest", language).root.all("td") if "meta" in cell.classes]
    assert {cell.attributes["dir"] for cell in dates} == {SPOKEN[language].direction}


def test_what_a_right_to_left_line_would_tear_apart_is_isolated() -> None:
    summary = page_of("digest", "ar").root
    isolated = {span.text for span in summary.all("span") if span.attributes.get("dir") == "ltr"}
    assert {"2-26-530", "portail.example", "58\u202f%", "09-08", "D-W-1/2026"} <= isolated


def test_only_the_leading_article_shows_its_image() -> None:
    topics = [{"name": "Services", "articles": [article(), article(image_url="https://news.example.ma/second.png")]}]
    page = read(render("digest", "fr", topics=topics).html)
    assert [(image.attributes["src"], image.attributes["alt"]) for image in page.root.all("img")] == [
        ("https://news.example.ma/guichet.png", "Un guichet")
    ]


def test_arabic_is_set_larger_and_with_more_air_than_latin_letters() -> None:
    for language, expected in (("fr", ("17px", "26px")), ("ar", ("18px", "32px"))):
        lead = next(cell for cell in page_of("confirmation", language).root.all("td") if "say" in cell.classes)
        paragraph = next(lead.all("p"))
        assert (paragraph.style["font-size"], paragraph.style["line-height"]) == expected


def test_lines_that_hold_links_are_24_pixels_high_at_least() -> None:
    for mail, language in EVERY:
        for link in page_of(mail, language).root.all("a"):
            line = next(node.style["line-height"] for node in link.above() if "line-height" in node.style)
            assert int(line.removesuffix("px")) >= 24


def test_the_button_is_44_pixels_high_and_the_rest_of_the_articles_is_one_link_away() -> None:
    button = next(cell for cell in page_of("confirmation", "fr").root.all("td") if "button" in cell.classes).one("a")
    assert (button.style["padding"], button.style["line-height"]) == ("10px 24px", "24px")
    more = next(cell for cell in page_of("digest", "fr").root.all("td") if "more" in cell.classes).one("a")
    assert more.attributes["href"] == context("digest", "fr")["archive_url"]
    assert not [cell for cell in read(render("digest", "fr", more=0).html).root.all("td") if "more" in cell.classes]


def test_twelve_articles_as_long_as_they_come_stay_below_90_kilobytes() -> None:
    long = {"title": "<&\"'> " * 200, "summary": "وزارة & «الخدمات» " * 400, "image_alt": "<&>" * 900}
    topics = [{"name": "Services", "articles": [arabic_article(**long) for _ in range(12)]}]
    topics[0]["articles"][0] = article(**long, url="https://news.example.ma/" + "a" * 2000)
    rendered = render("digest", "ar", topics=topics)
    hold_the_rules(read(rendered.html), rendered, "ar")


# Whatever the articles are

SAMPLES = st.sampled_from(
    [
        *("", " ", "\u202e", "\u2067\u2066", "\x00\r\n", "\ud800", "\u200d" * 90, "\u0301", "e\u0301" * 400),
        *("<script>alert(1)</script>", "</td></table>", "</style></head><body>", "<!--[if mso]>", "--><b>"),
        *("&nbsp;&lt;", "%(x)s {{ y }} %", "“« ' \" »”", "x" * 3000, "mot " * 900),
        *("ⵜⴰⵎⴰⵣⵉⵖⵜ ⵜⴰⵏⴰⵡⴰⵢⵜ", "👩🏽\u200d🚒🎉", "نص عربي C++ (مع) 2-26-530 و58 %"),
    ]
)
words = st.one_of(SAMPLES, st.text(max_size=60), st.lists(SAMPLES, max_size=3).map(" ".join))
urls = st.from_regex(r"https?://[a-z]{1,9}\.example/[a-zA-Z0-9/?=&;%~.,_-]{0,80}", fullmatch=True)
made_articles: st.SearchStrategy[Context] = st.builds(
    lambda spoken, **told: spoken() | told,
    st.sampled_from([article, english_article, arabic_article]),
    title=words,
    summary=words,
    url=urls,
    image_alt=words,
    image_url=st.one_of(st.just(""), urls),
    date=st.one_of(st.none(), st.dates(date(1990, 1, 1), date(2040, 1, 1))),
)
made_topics = st.lists(
    st.builds(
        lambda name, articles: {"name": name, "articles": articles},
        words,
        st.lists(made_articles, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(topics=made_topics, language=st.sampled_from(LANGUAGES), more=st.integers(0, 200))
def test_no_article_breaks_the_rules(topics: list[Context], language: str, more: int) -> None:
    told = context("digest", language) | {"topics": topics, "more": more}
    rendered = templates().render("digest", language=language, context=told)
    page = read(rendered.html)
    hold_the_rules(page, rendered, language)
    count = sum(len(topic["articles"]) for topic in topics)
    assert [len(list(title.all("a"))) for title in page.root.all("h2")] == [1] * count
    assert in_order(text_links(rendered.text)) == in_order(page.links)
    assert len(rendered.subject.splitlines()) == 1
    rendered.text.encode()
