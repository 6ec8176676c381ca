from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pages import Page, path, read

from factories import make_newsletter, make_reader
from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.newsletters import queries
from newsletter.operations.run_due import run_due

FEED = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{language}"><id>tag:{language}</id><title>.</title>
<updated>2026-11-16T08:00:00Z</updated>{entries}</feed>"""
ENTRY = """<entry><id>{link}</id><title>{title}</title><link rel="alternate" href="{link}"/>
<link rel="enclosure" type="image/png" href="{image}"/>
<published>2026-11-{day}T10:00:00Z</published><updated>2026-11-{day}T10:00:00Z</updated>
<summary>{summary}</summary></entry>"""
SITE = "https://www.ministere.example"


@pytest.fixture
def issue(client: FlaskClient, parts: Parts, clock: SetClock, tmp_path: Path) -> None:
    """Two French articles and an Arabic one, mailed on Monday 23 November to a reader of each language."""
    make_reader(parts, "salma@example.org", languages=["fr"])
    make_reader(parts, "youssef@example.org", languages=["ar", "fr"])
    entries = {
        "fr": ENTRY.format(
            link=f"{SITE}/fr/a",
            title="Le guichet &lt;b&gt; unique",
            summary="Douze démarches.",
            day=16,
            image="http://lettre.test/media/a.png",
        )
        + ENTRY.format(
            link=f"{SITE}/fr/b", title="La bibliothèque", summary="Ouverte tard.", day=15, image=f"{SITE}/b.png"
        ),
        "ar": ENTRY.format(
            link=f"{SITE}/ar/c",
            title="حجز موعد بالجماعة",
            summary="مرسوم رقم 2-26-530 لسنة 2026.",
            day=16,
            image=f"{SITE}/c.png",
        ),
    }
    with parts.database.work() as work:
        newsletter = queries.by_slug(work, "hebdo")
        for language, text in entries.items():
            feed = tmp_path / f"{language}.xml"
            feed.write_text(FEED.format(language=language, entries=text), encoding="utf-8")
            add_source(work, newsletter=newsletter, url=str(feed))
    report = run_due(parts.postroom)
    assert not [each.error for each in report.fetched if each.error]
    clock.move_to(datetime(2026, 11, 23, 8, 5, tzinfo=UTC))
    run_due(parts.postroom)


def archive(client: FlaskClient, parts: Parts, language: str) -> Page:
    answer = client.get(path(parts.links.archive("hebdo", language)))
    assert answer.status_code == 200
    return read(answer)


def first_issue(client: FlaskClient, parts: Parts, language: str) -> str:
    return next(each for each in archive(client, parts, language).links if each.rpartition("/")[2].isdigit())


def test_before_the_first_issue_the_archive_says_when_it_comes(client: FlaskClient, parts: Parts) -> None:
    page = archive(client, parts, "ar")
    assert page.language == "ar"
    assert not page.all("ol")
    assert "/ar/?newsletters=hebdo" in page.links


@pytest.mark.usefixtures("issue")
def test_the_archive_lists_dates_and_titles(client: FlaskClient, parts: Parts) -> None:
    page = archive(client, parts, "fr")
    assert [each.text for each in page.all("time")] == ["Lundi 23 novembre 2026"]
    assert [each["datetime"] for each in page.all("time")] == ["2026-11-23"]
    assert "Le guichet <b> unique" in page.one("main").text


@pytest.mark.usefixtures("issue")
def test_an_issues_page_holds_its_articles(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get(first_issue(client, parts, "fr")))
    assert [each.text for each in page.all("h3")] == ["Le guichet <b> unique", "La bibliothèque"]
    assert {f"{SITE}/fr/a", f"{SITE}/fr/b"} <= set(page.links)
    assert [each.text for each in page.all("time")][:2] == ["Lundi 23 novembre 2026", "Lundi 16 novembre 2026"]


@pytest.mark.usefixtures("issue")
def test_a_fallback_is_labelled_and_keeps_its_language_and_direction(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get(first_issue(client, parts, "ar")))
    assert page.one("html")["dir"] == "rtl"
    foreign = [each for each in page.all("article") if each["lang"] == "fr"]
    assert [each["dir"] for each in foreign] == ["ltr", "ltr"]
    assert all("الفرنسية" in each.text for each in foreign)
    (own,) = [each for each in page.all("article") if each["lang"] == "ar"]
    assert own["dir"] == "rtl"
    assert "العربية" not in own.text


@pytest.mark.usefixtures("issue")
def test_only_pictures_of_this_site_are_shown(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get(first_issue(client, parts, "fr")))
    assert [each["src"] for each in page.all("img")] == ["http://lettre.test/media/a.png"]


@pytest.mark.usefixtures("issue")
def test_an_issue_is_found_only_where_it_was_sent(client: FlaskClient, parts: Parts) -> None:
    number = int(first_issue(client, parts, "fr").rpartition("/")[2])
    assert client.get(path(parts.links.archived_issue("hebdo", "en", number))).status_code == 404
    assert client.get(path(parts.links.archived_issue("hebdo", "fr", number + 999))).status_code == 404
    make_newsletter(parts, slug="second")
    assert client.get(path(parts.links.archived_issue("second", "fr", number))).status_code == 404


def test_an_unknown_newsletter_or_language_is_not_found(client: FlaskClient, parts: Parts) -> None:
    make_newsletter(parts, slug="french", languages=("fr",))
    answers = {each: client.get(f"/archive/{each}/") for each in ("none/ar", "french/ar", "hebdo/xx", "heb%00do/fr")}
    assert {each: answer.status_code for each, answer in answers.items()} == dict.fromkeys(answers, 404)
    assert read(answers["french/ar"]).language == "ar"
    huge = client.get(f"/archive/hebdo/fr/{10**30}")
    assert huge.status_code == 404


@pytest.mark.usefixtures("issue")
def test_references_in_arabic_are_not_torn_apart(client: FlaskClient, parts: Parts) -> None:
    page = read(client.get(first_issue(client, parts, "ar")))
    assert "2-26-530" in [each.text for each in page.all("span") if each["dir"] == "ltr"]
