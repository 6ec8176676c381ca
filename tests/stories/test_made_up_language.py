"""A language that exists in two catalogues only is spoken everywhere, and nothing else is said on the way.

The catalogues put every message between ⟦ and ⟧: a letter outside escaped them. What names things is in figures here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from babel import Locale
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from factories import html_of, parsed, text_of
from made_up_language import said_outside, write_language
from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.base.errors import ConfigError
from newsletter.base.languages import LANGUAGES, language_name, learn
from newsletter.bootstrap import Parts, build
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters import queries
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.operations.run_due import run_due
from newsletter.web.app import create_app

FOREIGN = {
    "Marchés publics",
    "Travaux",
    "Fournitures",
    "Ministère de l’Exemple",
}  # has no other name: it is shown as such
SPOKEN_ATTRIBUTES = ("alt", "title", "aria-label", "placeholder", "data-checking", "label")
SITE = "http://lettre.test"
ADDRESS = "1@example.com"
NOT_WORDS = re.compile(r"\S+@\S+|https?://\S+|[\u200e\u200f\u2066-\u2069]")
ENTRY = """<entry><id>{link}</id><title>{title}</title><link rel="alternate" href="{link}"/>
<published>2026-11-1{day}T10:00:00Z</published><updated>2026-11-1{day}T10:00:00Z</updated>
<summary>{day}{day}</summary></entry>"""
FEED = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{code}">
<id>tag:1</id><title>.</title><updated>2026-11-16T08:00:00Z</updated>{entries}</feed>"""


class _Visible(HTMLParser):
    """Gathers what a person sees or hears: texts and spoken attributes, by the language they are marked as."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.directions: dict[str, set[str]] = {}
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        code = found.get("lang") or (self._open[-1][1] if self._open else "")
        if found.get("lang") and found.get("dir"):
            self.directions.setdefault(found["lang"], set()).add(found["dir"])
        self.texts += [(code, found[name]) for name in SPOKEN_ATTRIBUTES if found.get(name)]
        if tag == "input" and found.get("type") in {"submit", "button"}:
            self.texts.append((code, found.get("value", "")))
        if tag not in {"meta", "link", "input", "img", "br", "hr"}:
            self._open.append((tag, code))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] not in {"style", "script"}:
            self.texts.append((self._open[-1][1], data))


@dataclass
class Walk:
    """Somebody who walks through site and mails in one language, and minds every word."""

    client: FlaskClient
    parts: Parts
    clock: SetClock
    code: str
    allowed: set[str]
    seen: set[str] = field(default_factory=set)

    def get(self, url: str, *, status: int = 200) -> str:
        """Open a page and each page that it links to in this language."""
        path = url.removeprefix(SITE)
        answer = self.client.get(path, headers={"Accept-Language": self.code})
        assert answer.status_code == status, path
        self.seen.add(path)
        if "/u/" in path and "Marchés publics" in answer.text:
            return str(answer.text)  # a newsletter that comes in French only is left in French
        html = self.mind(answer)
        for link in re.findall(r'<a href="(/[^"#]*)"', html):
            if link not in self.seen and not set(link.split("/")) & {*LANGUAGES} - {self.code}:
                self.get(link.replace("&amp;", "&"))
        return html

    def press(self, page: str, status: int = 200, *, changes: dict[str, object] | None = None, to: str = "") -> str:
        """Send a page's form as it stands, after as long as a person takes."""
        forms = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', page, re.DOTALL)
        action, inner = next(each for each in forms if each[0].startswith(to))
        fields: dict[str, list[str]] = {}
        for tag in re.findall(r"<input[^>]*>", inner):
            found = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if found.get("type") not in {"checkbox", "radio"} or re.search(r"\schecked\b", tag):
                fields.setdefault(found["name"], []).append(found.get("value", ""))
        for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', inner, re.DOTALL):
            fields[name] = re.findall(r'value="([^"]*)"[^>]* selected', options)
        self.clock.advance(timedelta(seconds=20))
        answer = self.client.post(action, data=fields | (changes or {}), headers={"Accept-Language": self.code})
        assert answer.status_code == status, action
        return self.mind(answer)

    def mind(self, answer: TestResponse) -> str:
        """Hold a page to its language; return it."""
        self.mind_html(answer.text)
        return str(answer.text)

    def mind_html(self, html: str) -> None:
        language = LANGUAGES[self.code]
        assert f'lang="{self.code}" dir="{language.direction}"' in html
        visible = _Visible()
        visible.feed(html)
        own = "".join(f"{text}\n" if code == self.code else "" for code, text in visible.texts)
        self.mind_text(own)
        others = {text.strip() for code, text in visible.texts if code not in {self.code, ""}} - {""}
        assert others <= FOREIGN | {each.name for each in LANGUAGES.values()}
        assert visible.directions.get("fr", {"ltr"}) == {"ltr"}
        assert visible.directions.get("ar", {"rtl"}) == {"rtl"}

    def mind_text(self, text: str) -> None:
        outside = NOT_WORDS.sub(" ", said_outside(text))
        for name in sorted(self.allowed | FOREIGN, key=len, reverse=True):
            outside = outside.replace(name, " ")
        assert not re.search(r"[^\W\d_]+", outside), re.findall(r"[^\W\d_]+", outside)

    def mails(self) -> list[EmailMessage]:
        """Let everything leave that is due; hold each mail to its language and return them."""
        run_due(self.parts.postroom)
        backend = self.parts.backend
        assert isinstance(backend, MemoryBackend)
        mails = [parsed(message.data) for message in backend.messages]
        backend.messages.clear()
        for mail in mails:
            assert mail["Content-Language"] == self.code
            assert "⟦" in html_of(mail)
            assert "⟦" in text_of(mail)
            self.mind_text(mail["Subject"])
            self.mind_text(text_of(mail))
            self.mind_html(re.sub(r"<!--.*?-->|<!DOCTYPE html>", "", html_of(mail), flags=re.DOTALL))
        return mails


def link_in(mail: EmailMessage, part: str) -> str:
    return re.search(rf"{SITE}/{part}/\S+", text_of(mail))[0]  # type: ignore[index]


@pytest.fixture(params=[("qps", "ltr", "en"), ("qpr", "rtl", "ar_MA")], ids=["left to right", "right to left"])
def walk(request: pytest.FixtureRequest, settings: Settings, clock: SetClock, tmp_path: Path) -> Iterator[Walk]:
    """The real application with the catalogues of one more language, and what speaks it."""
    code, direction, locale = request.param
    folder = tmp_path / "catalogues"
    write_language(folder, code, name="⟦1⟧", direction=direction, locale=locale)
    parts = build(settings.model_copy(update={"catalogues": folder}), clock=clock)
    assert list(LANGUAGES) == ["fr", "ar", "en", code]
    found = Locale.parse(locale)
    allowed = {*found.months["format"]["wide"].values(), *found.days["format"]["wide"].values()}
    allowed |= {language_name(each, spoken=code) for each in LANGUAGES}
    with parts.database.work() as work:
        add_newsletter(work, new=newsletter("first", "№ 1", ("№ 2", "№ 3"), list(LANGUAGES)))
        add_newsletter(work, new=newsletter("foreign", "Marchés publics", ("Travaux", "Fournitures"), ["fr"]))
    app = create_app(parts)
    yield Walk(app.test_client(), parts, clock, code, allowed)
    parts.database.close()
    learn()


def newsletter(slug: str, name: str, topics: tuple[str, str], languages: Sequence[str]) -> NewNewsletter:
    """A newsletter that is called the same in each of its languages."""
    owner = "Ministère de l’Exemple" if name in FOREIGN else "№ 4"
    return NewNewsletter(
        slug=slug,
        names=dict.fromkeys(languages, name),
        institution=dict.fromkeys(languages, owner),
        postal_address=dict.fromkeys(languages, "10000"),
        cndp_reference="1/2026",
        mail_domain="lettre.example.ma",
        languages=languages,
        topics=[NewTopic(f"{slug}-{number}", dict.fromkeys(languages, topic)) for number, topic in enumerate(topics)],
        rhythms=[
            NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0),
            NewRhythm(Frequency.DAILY, at=time(7, 30)),
            NewRhythm(Frequency.MONTHLY, at=time(7), day=1),
            NewRhythm(Frequency.IMMEDIATE),
        ],
    )


@pytest.fixture
def subscribed(walk: Walk) -> Walk:
    """Somebody signed up for both newsletters and confirmed."""
    form = walk.get(f"/{walk.code}/")
    walk.press(form, 400)
    walk.press(form, 400, changes={"address": "1@", "newsletters": ["first"], "topics.first": [], "frequency": "daily"})
    wish = {"address": ADDRESS, "newsletters": ["first", "foreign"], "language": walk.code, "also": "fr"}
    walk.press(form, changes=wish | {"frequency": "weekly"})
    (mail,) = walk.mails()
    confirm = link_in(mail, "confirm")
    page = walk.get(confirm)
    walk.press(page)
    walk.get(confirm)
    return walk


def test_form_mail_and_confirmation_speak_it(subscribed: Walk) -> None:
    walk = subscribed
    form = walk.get(f"/{walk.code}/")
    walk.press(form, changes={"address": ADDRESS, "newsletters": ["first"], "language": walk.code})
    walk.clock.advance(timedelta(days=2))
    form = walk.get(f"/{walk.code}/")
    walk.press(form, changes={"address": ADDRESS, "newsletters": ["first"], "language": walk.code})
    walk.press(form, changes={"address": "2@example.com", "newsletters": ["first"], "language": walk.code})
    mails = walk.mails()
    assert {mail["To"].addresses[0].username for mail in mails} >= {"2"}
    (mail,) = [each for each in mails if each["To"].addresses[0].username == "2"]
    never = link_in(mail, "never")
    walk.press(walk.get(never))
    walk.get(link_in(mail, "confirm"), status=410)


def test_errors_speak_it(walk: Walk) -> None:
    walk.get("/nothing", status=404)
    walk.get(f"/{walk.code}/nothing", status=404)
    for kind in ("confirm", "u", "p", "preferences", "never", "undo", "topic"):
        walk.get(f"/{kind}/{'a' * 40}", status=404)
    walk.mind(walk.client.post("/healthz", headers={"Accept-Language": walk.code}))
    for data in ({"address": ADDRESS, "newsletters": "none"}, {"address": "1" * 70_000}, {"frequency": "never"}):
        answer = walk.client.post(f"/{walk.code}/subscriptions", data=data)
        assert answer.status_code in {400, 404, 413}
        walk.mind(answer)


def test_preferences_speak_it(subscribed: Walk) -> None:
    walk = subscribed
    with walk.parts.database.reading() as work:
        newest = queries.by_slug(work, "first").id
    links = walk.parts.links
    page = walk.get(links.manage(links.manage_token(newest, 0)))
    walk.press(page)
    (mail,) = walk.mails()
    link = link_in(mail, "preferences")
    page = walk.get(link)
    save = f"/preferences/{link.rpartition('/')[2]}"
    stale = page
    page = walk.press(page, changes={"frequency.first": "daily", "topics.first": ["first-0"]}, to=save)
    page = walk.press(page, changes={"frequency.first": "immediate"}, to=save)
    page = walk.press(page, 400, changes={"topics.first": [], "language.first.1": ""}, to=save)
    walk.press(stale, 409, to=save)
    walk.clock.advance(timedelta(hours=2))
    walk.get(link, status=410)


def test_issues_their_pages_and_leaving_speak_it(subscribed: Walk, tmp_path: Path) -> None:
    walk = subscribed
    entries = "".join(ENTRY.format(link=f"{SITE}/{n}", title=n * 11, day=n) for n in range(1, 7))
    entries += ENTRY.format(link=f"{SITE}/7", title=7 * 11, day=0)
    feed = tmp_path / "feed.xml"
    feed.write_text(FEED.format(code=walk.code, entries=entries), encoding="utf-8")
    with walk.parts.database.work() as work:
        add_source(work, newsletter=queries.by_slug(work, "first"), url=str(feed))
    walk.mails()
    walk.clock.move_to(datetime(2026, 11, 23, 8, 5, tzinfo=UTC))
    (mail,) = walk.mails()
    assert text_of(mail).count("66") >= 1
    for link in set(re.findall(rf"{SITE}/[a-z]\S*", text_of(mail))):
        walk.get(link)
    one_click = re.search(r"<(https?://[^>]+)>", mail["List-Unsubscribe"])[1]  # type: ignore[index]
    page = walk.get(one_click)
    left = walk.press(page)
    undo = re.search(r'action="(/undo/[^"]+)"', left)
    if undo:
        walk.get(undo[1])
        walk.press(left, to="/undo")
        walk.clock.advance(timedelta(days=2))
        walk.get(undo[1], status=200)
    answer = walk.client.post(urlsplit(one_click).path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    walk.mind(answer)


def test_a_newsletter_without_a_name_in_it_is_named_in_its_own_language(walk: Walk) -> None:
    html = walk.get(f"/{walk.code}/")
    assert '<span lang="fr" dir="ltr">Marchés publics</span>' in html
    assert "<bdi>№ 1</bdi>" in html


def test_the_walk_stumbles_over_a_word_of_no_catalogue(walk: Walk) -> None:
    page = f'<html lang="{walk.code}" dir="{LANGUAGES[walk.code].direction}"><p>⟦1⟧ {{}}</p></html>'
    walk.mind_html(page.format("<b>12 · № 3</b>"))
    for escaped in (
        "Hello",
        '<img alt="Hello">',
        '<button aria-label="Hello"></button>',
        '<span lang="en">Hello</span>',
    ):
        with pytest.raises(AssertionError):
            walk.mind_html(page.format(escaped))


def test_a_bad_catalogue_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "catalogues"
    write_language(folder, "qps", name="P", direction="up", locale="en")
    with pytest.raises(ConfigError, match=r"mails\.qps\.po, line 5: X-Direction is ltr or rtl"):
        build(settings.model_copy(update={"catalogues": folder}))
