"""Days and months are those of Morocco on every page and in every mail: غشت, 1er, and figures from 0 to 9."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import newsletter.web
from factories import html_of, make_newsletter, make_reader, parsed, text_of
from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock
from newsletter.base.resources import resource
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters import queries
from newsletter.operations.run_due import run_due
from newsletter.web.app import create_app

FEED = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{code}">
<id>t:{code}</id><title>.</title><updated>{day}T05:00:00Z</updated><entry><id>http://a.test/{code}</id><title>{title}</title>
<link rel="alternate" href="http://a.test/{code}"/><published>{day}T05:00:00Z</published>
<updated>{day}T05:00:00Z</updated><summary>{title}</summary></entry></feed>"""
TITLES = {"fr": "Le guichet unique ouvre ses portes", "ar": "حجز موعد بالجماعة عبر البوابة الإلكترونية"}


@pytest.mark.parametrize(
    ("monday", "days"),
    [
        (datetime(2026, 11, 23, 8, 5, tzinfo=UTC), ("lundi 23 novembre 2026", "الإثنين 23 نونبر 2026")),
        (datetime(2026, 12, 7, 8, 5, tzinfo=UTC), ("lundi 7 décembre 2026", "الإثنين 7 دجنبر 2026")),
        (datetime(2027, 2, 1, 8, 5, tzinfo=UTC), ("lundi 1er février 2027", "الإثنين فاتح فبراير 2027")),
        (datetime(2027, 8, 16, 8, 5, tzinfo=UTC), ("lundi 16 août 2027", "الإثنين 16 غشت 2027")),
    ],
)
def test_an_issue_says_its_day(
    parts: Parts, clock: SetClock, tmp_path: Path, monday: datetime, days: tuple[str, str]
) -> None:
    make_newsletter(parts)
    make_reader(parts, "salma@example.org", languages=["fr"])
    make_reader(parts, "youssef@example.org", languages=["ar"])
    clock.move_to(monday.replace(hour=6))
    with parts.database.work() as work:
        for code, title in TITLES.items():
            feed = tmp_path / f"{code}.xml"
            feed.write_text(FEED.format(code=code, title=title, day=monday.date()), encoding="utf-8")
            add_source(work, newsletter=queries.by_slug(work, "hebdo"), url=str(feed))
    run_due(parts.postroom)
    clock.move_to(monday)
    run_due(parts.postroom)
    assert isinstance(parts.backend, MemoryBackend)
    mails = {mail["Content-Language"]: mail for mail in map(parsed, (each.data for each in parts.backend.messages))}
    client = create_app(parts).test_client()
    for code, said in zip(("fr", "ar"), days, strict=True):
        page = client.get(f"/archive/hebdo/{code}/").text
        for text in (page, text_of(mails[code]), html_of(mails[code])):
            assert said in text or said.capitalize() in text
            assert not re.search("[٠-٩]", text)


def test_nobody_else_writes_a_date() -> None:
    web = resource("templates")
    files = [path for path in web.rglob("*") if path.is_file() and "demo" not in path.parts]
    files += Path(newsletter.web.__path__[0]).rglob("*.py")
    assert len(files) > 50
    for path in files:
        found = re.search(
            r"strftime|format_date|format_time|babel\.dates", path.read_text(encoding="utf-8", errors="replace")
        )
        assert found is None, path
