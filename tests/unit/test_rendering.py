"""The three parts of each mail: what they say, and what they refuse."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
from rendering_samples import (
    LANGUAGES,
    MAILS,
    MARKER,
    article,
    context,
    english_article,
    in_order,
    read,
    render,
    templates,
    text_links,
    tokens_of,
)

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import LRI, PDI, RLI
from newsletter.mail.rendering import RLM, columns

every_mail = pytest.mark.parametrize("mail", MAILS)
every_language = pytest.mark.parametrize("language", LANGUAGES)


@every_mail
@every_language
def test_every_mail_has_three_parts_in_every_language(mail: str, language: str) -> None:
    rendered = render(mail, language)
    assert rendered.subject.strip() == rendered.subject != ""
    assert len(rendered.subject.splitlines()) == 1
    assert rendered.text.endswith("\n")
    assert "\r" not in rendered.text
    assert rendered.html.startswith("<!DOCTYPE html>")
    for part in (rendered.subject, rendered.text, read(rendered.html).root.text):
        assert "%(" not in part
        assert "{{" not in part


@every_mail
@every_language
def test_no_line_of_a_text_part_is_wider_than_72_columns_but_an_address(mail: str, language: str) -> None:
    lines = render(mail, language).text.splitlines()
    assert [line for line in lines if columns(line) > 72 and "://" not in line] == []
    assert "\n\n\n" not in "\n".join(lines)


@every_mail
@every_language
def test_the_text_part_has_the_links_of_the_html_in_the_same_order(mail: str, language: str) -> None:
    rendered = render(mail, language)
    links = [link for link in read(rendered.html).links if not link.startswith("mailto:")]  # a text shows the mailbox
    assert in_order(text_links(rendered.text)) == in_order(links) != []


@every_mail
@every_language
def test_markers_come_out_byte_for_byte_in_both_parts(mail: str, language: str) -> None:
    rendered = render(mail, language)
    for url in tokens_of(mail, language):
        assert url in rendered.text
        assert f'href="{url}"' in rendered.html
    whole = len(re.findall(MARKER + r"\w", rendered.html))
    assert rendered.html.count(MARKER) == whole
    assert (whole > 0) == bool(tokens_of(mail, language))


def test_the_confirmation_link_is_also_written_out_in_full() -> None:
    page = read(render("confirmation", "ar").html)
    confirm = context("confirmation", "ar")["confirm_url"]
    assert [link.text for link in page.root.all("a") if link.attributes["href"] == confirm] == [
        "تأكيد الاشتراك",
        confirm,
    ]


def _keys(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _keys(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _keys(inner, (*path, place))


@every_mail
def test_a_missing_context_key_raises(mail: str) -> None:
    whole = context(mail, "fr")
    if mail == "digest":
        lead = english_article(image_url="https://news.example.ma/a.png", image_alt="A desk")
        whole["topics"] = [{"name": "Services", "articles": [lead]}]
    elif mail == "digest_light":
        lead = english_article()
        del lead["image_url"], lead["image_alt"]  # it shows no picture
        whole["topics"] = [{"name": "Services", "articles": [lead]}]
    else:
        del whole["newsletter"]["promise"]  # only digests repeat it
    for *around, key in _keys(whole):
        lacking = copy.deepcopy(whole)
        place: Any = lacking
        for step in around:
            place = place[step]
        if not isinstance(place, dict):
            continue
        del place[key]
        with pytest.raises(jinja2.UndefinedError, match=str(key)):
            templates().render(mail, language="fr", context=lacking)


def test_a_language_we_do_not_speak_and_a_colour_that_is_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown language"):
        templates().render("digest", language="xx", context=context("digest", "fr"))
    newsletter = context("digest", "fr")["newsletter"] | {"accent": "red;}</style>"}
    with pytest.raises(InvalidInput, match="no colour"):
        render("digest", "fr", newsletter=newsletter)


# Subjects


@pytest.mark.parametrize(
    ("language", "others", "ending"),
    [
        ("fr", 0, ""),
        ("fr", 1, " – et une autre nouvelle"),
        ("fr", 4, " – et 4\u00a0autres nouvelles"),
        ("en", 1, " – and one other story"),
        ("en", 4, " – and 4 other stories"),
        ("ar", 0, ""),
        ("ar", 1, " – وخبر آخر"),
        ("ar", 2, " – وخبران آخران"),
        ("ar", 4, f" – و{LRI}4{PDI} أخبار أخرى"),
        ("ar", 11, f" – و{LRI}11{PDI} خبراً آخر"),
        ("ar", 100, f" – و{LRI}100{PDI} خبر آخر"),
        ("ar", 103, f" – و{LRI}103{PDI} أخبار أخرى"),
    ],
)
def test_the_subject_leads_with_the_first_title_and_counts_the_rest(language: str, others: int, ending: str) -> None:
    title = "القافلة الرقمية" if language == "ar" else "Guichet unique"
    topics = [{"name": "Services", "articles": [article(title=title)]}]
    assert render("digest", language, topics=topics, more=others).subject == title + ending


def test_articles_shown_count_like_those_that_are_not() -> None:
    assert render("digest", "fr").subject.endswith("et 6\u00a0autres nouvelles")


@every_language
def test_a_long_title_is_cut_at_a_word_so_that_the_subject_stays_below_90(language: str) -> None:
    topics = [{"name": "Services", "articles": [article(title="Horaires équipements données " * 9)]}]
    subject = render("digest", language, topics=topics).subject
    assert 60 < columns(subject) <= 90
    assert re.search(r"(Horaires|équipements|données)…", subject)


def test_the_subject_leads_with_the_first_title_in_the_mails_own_language() -> None:
    assert render("digest", "ar").subject.startswith(f"{RLI}منحة برسم سنة 2027")


def test_a_latin_title_is_isolated_in_an_arabic_subject_and_the_arabic_decides_its_direction() -> None:
    subject = render("digest", "ar", topics=[{"name": "", "articles": [article(), article()]}]).subject
    assert subject.startswith(f"{LRI}{article()['title']}{PDI} – و")


def test_one_newsletter_is_named_and_several_are_counted() -> None:
    assert render("confirmation", "fr").subject == "Confirmez votre abonnement à «\u00a0L’hebdo\u00a0»"
    several = render("confirmation", "fr", newsletters=["L’hebdo", "Stages", "Marchés"])
    assert several.subject == "Confirmez votre abonnement à 3\u00a0lettres"
    assert re.search(r"Confirmer les 3\sabonnements\nhttps://", several.text)
    assert all(name in several.text and name in several.html for name in ("L’hebdo", "Stages", "Marchés"))


# Words


@pytest.mark.parametrize(
    ("language", "label"), [("fr", "en anglais"), ("ar", "بالإنجليزية"), ("ar", "بالفرنسية"), ("en", "in French")]
)
def test_an_article_in_another_language_says_so_in_the_readers(language: str, label: str) -> None:
    rendered = render("digest", language)
    assert label in rendered.text
    assert label in read(rendered.html).root.text


def test_an_article_in_the_readers_language_carries_no_label() -> None:
    rendered = render("digest", "fr", topics=[{"name": "Services", "articles": [article()]}])
    assert "en français" not in rendered.text + rendered.html


def test_the_hour_and_the_days_are_written_as_each_language_counts() -> None:
    assert "valable une heure" in render("preferences_link", "fr").text
    assert "لمدة ساعة واحدة" in render("preferences_link", "ar").text
    assert "لمدة ساعتين" in render("preferences_link", "ar", hours=2).text
    assert f"لمدة {LRI}7{PDI} أيام" in render("confirmation", "ar").text
    assert '<span dir="ltr">7</span> أيام' in render("confirmation", "ar").html


def test_a_date_of_another_year_shows_its_year() -> None:
    topics = [{"name": "Services", "articles": [article(date=article()["date"].replace(year=2025))]}]
    assert "jeudi 20 novembre 2025" in render("digest", "fr", topics=topics).text
    assert "vendredi 20 novembre\n" in render("digest", "fr").text


@every_mail
def test_the_cndp_reference_is_given_where_there_is_one(mail: str) -> None:
    whole = context(mail, "fr")
    assert "CNDP\u00a0: D-W-1/2026" in render(mail, "fr").text
    without = templates().render(
        mail, language="fr", context=whole | {"newsletter": whole["newsletter"] | {"cndp_reference": ""}}
    )
    assert "CNDP" not in without.text + without.html


def test_a_text_article_is_title_rule_summary_and_its_link_on_a_line_of_its_own() -> None:
    assert (
        "\nServices from abroad\n--------------------\nÀ partir du mardi 1er décembre, un seul dossier.\n"
        "vendredi 20 novembre · en anglais\nhttps://news.example.ma/abroad\n"
    ) in render("digest", "fr").text


def test_every_line_of_an_arabic_text_part_runs_from_right_to_left_but_addresses_and_foreign_articles() -> None:
    lines = render("digest", "ar", topics=[{"name": "3G", "articles": [article(language="ar", direction="rtl")]}]).text
    foreign = [
        line
        for line in lines.splitlines()
        if line and not line.startswith(("http", RLM)) and unicodedata.bidirectional(line.lstrip("—– ")[0]) != "AL"
    ]
    assert foreign == []


def test_bidi_controls_and_line_ends_of_foreign_text_go_no_further() -> None:
    nasty = "Titre \u202eretourné\u2066\r\nX-Header: 1\x00\ud800 fin"
    rendered = render("digest", "fr", topics=[{"name": "a\u2067", "articles": [article(title=nasty, summary=nasty)]}])
    for part in (rendered.subject, rendered.text, rendered.html):
        assert "Titre retourné X-Header: 1 fin" in part
        assert not set(part) & set("\u202e\u2066\u2067\r\x00\ud800")


def test_markup_in_foreign_text_stays_text() -> None:
    rendered = render("digest", "fr", topics=[{"name": "<b>", "articles": [article(title="<script>a & b</script>")]}])
    page = read(rendered.html)
    assert [node.text for node in page.root.all("h2")] == ["<script>a & b</script>"]
    assert not list(page.root.all("script"))
    assert not list(page.root.all("b"))
    assert "<script>a & b</script>" in rendered.text
