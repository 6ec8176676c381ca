"""A bad source is one clear line, and the others go on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from factories import make_newsletter, make_reader
from newsletter.articles import actions as articles
from newsletter.articles.models import Article, Availability, Source
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.newsletters.queries import current_sequence
from newsletter.operations.fetching import fetch_all
from newsletter.operations.run_due import run_due

GOOD = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Bonnes nouvelles</title>
<item><guid>1</guid><link>https://site.example/1</link><title>Une bonne nouvelle pour les régions du royaume</title>
<description>Le ministère annonce une mesure attendue.</description></item></channel></rss>"""

BAD = {
    "a page": b"<!doctype html><html><head><title>Accueil</title></head><body><p>Bonjour</p></body></html>",
    "nothing": b"",
    "entities": b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b"<rss version='2.0'><channel><title>&b;</title><item><title>&b;</title><link>https://x.example/</link></item></channel></rss>",
    "noise": bytes(range(256)) * 20,
    "other JSON": b'{"articles": [1, 2, 3]}',
}


@pytest.mark.parametrize("cause", BAD)
def test_a_source_that_is_no_feed_is_named_with_its_cause_and_the_others_go_on(
    parts: Parts, tmp_path: Path, cause: str
) -> None:
    hebdo = make_newsletter(parts)
    bad, good = tmp_path / "bad.xml", tmp_path / "good.xml"
    bad.write_bytes(BAD[cause])
    good.write_text(GOOD, encoding="utf-8")
    with parts.database.work() as work:
        for path in (bad, tmp_path / "missing.xml", good):
            articles.add_source(work, newsletter=hebdo, url=str(path))

    refused, missing, taken = list(fetch_all(parts.database))

    assert refused.error is not None
    assert missing.error is not None
    assert "bad.xml" in refused.error
    assert "missing.xml" in missing.error
    assert "\n" not in refused.error + missing.error
    assert (taken.new, taken.error) == (1, None)
    with parts.database.reading() as work:
        assert work.session.scalar(select(func.count()).select_from(Article)) == 1
        assert work.session.scalars(select(Source.last_error).order_by(Source.id)).all() == [
            refused.error,
            missing.error,
            None,
        ]


def test_taking_a_feed_in_twice_makes_nothing_new_and_a_changed_title_is_a_correction(
    parts: Parts, tmp_path: Path
) -> None:
    hebdo = make_newsletter(parts)
    feed = tmp_path / "feed.xml"
    feed.write_text(GOOD, encoding="utf-8")
    with parts.database.work() as work:
        articles.add_source(work, newsletter=hebdo, url=str(feed))
    (first,), (second,) = list(fetch_all(parts.database)), list(fetch_all(parts.database))
    feed.write_text(GOOD.replace("Une bonne", "Une très bonne"), encoding="utf-8")
    (third,) = list(fetch_all(parts.database))

    assert [(each.new, each.corrected) for each in (first, second, third)] == [(1, 0), (0, 0), (0, 1)]
    with parts.database.reading() as work:
        assert current_sequence(work) == work.session.scalar(select(func.count()).select_from(Availability)) == 1
        article = work.session.scalars(select(Article)).one()
        assert (article.version, article.title.startswith("Une très bonne")) == (2, True)


@pytest.mark.slow
def test_ten_thousand_entries_are_one_mail_that_shows_twelve(parts: Parts, clock: SetClock, tmp_path: Path) -> None:
    hebdo = make_newsletter(parts)
    make_reader(parts, "lectrice@example.com")
    items = "".join(
        f"<item><guid>{n}</guid><link>https://site.example/{n}</link>"
        f"<title>Le ministère publie la nouvelle numéro {n} de la semaine</title>"
        f"<description>&lt;script&gt;alert({n})&lt;/script&gt;Un résumé.</description></item>"
        for n in range(10_000)
    )
    feed = tmp_path / "large.xml"
    feed.write_text(
        f"<rss version='2.0'><channel><title>Tout</title><language>fr</language>{items}</channel></rss>",
        encoding="utf-8",
    )
    with parts.database.work() as work:
        articles.add_source(work, newsletter=hebdo, url=str(feed))
    clock.advance(timedelta(days=7) - timedelta(minutes=50))

    report = run_due(parts.postroom)

    assert [each.new for each in report.fetched] == [10_000]
    (weekly,) = [issue for issue in report.issues if issue.frequency == "weekly"]
    assert (weekly.books.accepted, weekly.books.balance) == (1, True)
    (message,) = parts.backend.messages  # type: ignore[attr-defined]
    assert len(message.data) < 100_000
    assert b"alert(" not in message.data
