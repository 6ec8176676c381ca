"""A language that exists in two catalogues only is spoken everywhere, and nothing else is said on the way.

The catalogues put every message between ⟦ and ⟧: a letter outside escaped them. What names things is in figures here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from babel import Locale
from flask import template_rendered
from sqlalchemy import select

from factories import text_of
from made_up_language import write_language
from made_up_walk import SITE, Walk, newsletter
from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.base.errors import ConfigError
from newsletter.base.languages import LANGUAGES, language_name, learn
from newsletter.base.resources import resource
from newsletter.bootstrap import build
from newsletter.issues.models import Edition
from newsletter.newsletters import queries
from newsletter.newsletters.actions import add_newsletter
from newsletter.operations import embedding
from newsletter.operations.run_due import run_due
from newsletter.subscriptions.models import Form
from newsletter.web.app import create_app

PRINTED = {"embed/snippet.html", "embed/frame.html"}  # by the command line, on no page of ours
TOKENS = ("confirm", "u", "p", "preferences", "never", "undo", "topic", "address")
ADDRESS, OTHER, NEIGHBOUR = "1@example.com", "2@example.com", "4@example.com"
ENTRY = """<entry><id>{link}</id><title>{title}</title><link rel="alternate" href="{link}"/>
<published>2026-11-1{day}T10:00:00Z</published><updated>2026-11-1{day}T10:00:00Z</updated>
<summary>{day}{day}</summary></entry>"""
FEED = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{code}">
<id>tag:1</id><title>.</title><updated>2026-11-16T08:00:00Z</updated>{entries}</feed>"""


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


def test_every_page_and_every_mail_speaks_it(walk: Walk, tmp_path: Path) -> None:
    rendered: set[str] = set()

    def note(_app: object, template: object, **_: object) -> None:
        rendered.add(str(getattr(template, "name", "")))

    print_forms(walk)
    with template_rendered.connected_to(note):
        sign_up(walk)
        sign_up_in_a_frame(walk)
        sign_up_again(walk)
        refuse(walk)
        sign_up(walk, NEIGHBOUR)
        link = choose(walk)
        move(walk, link)
        erase(walk)
        read_issues_and_leave(walk, tmp_path)
    folder = resource("templates") / "web"
    pages = {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.html") if path.parent.name != "demo"}
    assert pages - rendered == PRINTED
    mails = {path.parent.name for path in (folder.parent / "emails").glob("*/subject.txt")}
    assert mails - walk.kinds == set()


def print_forms(walk: Walk) -> None:
    """Print what the institution's own site embeds."""
    with walk.parts.database.reading() as work:
        found = queries.by_slug(work, "first")
        for html in (
            embedding.snippet(found, spoken=walk.code, base_url=SITE),
            embedding.frame(found, spoken=walk.code, base_url=SITE),
        ):
            walk.mind_html(f'<html lang="{walk.code}" dir="{LANGUAGES[walk.code].direction}">{html}</html>')


def sign_up(walk: Walk, address: str = ADDRESS) -> None:
    """Sign up for both newsletters and confirm."""
    form = walk.get(f"/{walk.code}/")
    walk.press(form, 400)
    walk.press(form, 400, changes={"address": "1@", "newsletters": ["first"], "topics.first": [], "frequency": "daily"})
    wish = {"address": address, "newsletters": ["first", "foreign"], "language": walk.code, "also": "fr"}
    walk.press(form, changes=wish | {"frequency": "weekly"})
    (mail,) = walk.mails()
    confirm = link_in(mail, "confirm")
    walk.press(walk.get(confirm))
    walk.get(confirm)


def sign_up_in_a_frame(walk: Walk) -> None:
    """Sign up on the institution's own site."""
    framed = walk.get(f"/{walk.code}/embed")
    walk.press(framed, 400)
    walk.press(framed, changes={"address": "8@example.com", "newsletters": ["first"], "language": walk.code})
    walk.mails()


def sign_up_again(walk: Walk) -> None:
    """Sign up once more, and in somebody else's name."""
    walk.clock.advance(timedelta(days=2))
    form = walk.get(f"/{walk.code}/")
    for address in (ADDRESS, OTHER):
        walk.press(form, changes={"address": address, "newsletters": ["first"], "language": walk.code})
    mails = {mail["To"].addresses[0].addr_spec: mail for mail in walk.mails()}
    assert mails.keys() == {ADDRESS, OTHER}
    walk.press(walk.get(link_in(mails[OTHER], "never")))
    walk.get(link_in(mails[OTHER], "confirm"), status=410)


def refuse(walk: Walk) -> None:
    """Meet every kind of error."""
    for path in ("nothing", f"{walk.code}/nothing", *(f"{kind}/{'a' * 40}" for kind in TOKENS)):
        walk.get(f"/{path}", status=404)
    walk.mind(walk.client.post("/healthz", headers={"Accept-Language": walk.code}))
    for data in ({"address": ADDRESS, "newsletters": "none"}, {"address": "1" * 70_000}, {"frequency": "never"}):
        answer = walk.client.post(f"/{walk.code}/subscriptions", data=data)
        assert answer.status_code in {400, 404, 413}
        walk.mind(answer)


def choose(walk: Walk) -> str:
    """Ask for the preferences in both ways, change them, and return the link to them."""
    links = walk.parts.links
    walk.press(walk.get(links.manage(links.manage_token(1, 0))))
    (mail,) = walk.mails()
    walk.clock.advance(timedelta(hours=2))
    walk.get(link_in(mail, "preferences"), status=410)
    link = preferences_of(walk, ADDRESS)
    stale = page = walk.get(link)
    page = walk.press(page, changes={"frequency.first": "daily", "topics.first": ["first-0"]}, to=link)
    page = walk.press(page, changes={"form.first": "light", "topics.first": ["first-0", "first-1"]}, to=link)
    walk.press(page, 400, changes={"topics.first": [], "language.first.1": ""}, to=link)
    walk.press(stale, 409, to=link)
    return link


def preferences_of(walk: Walk, address: str) -> str:
    """Ask for the link to the preferences by address."""
    walk.press(walk.get(f"/{walk.code}/preferences"), changes={"address": address})
    (mail,) = walk.mails()
    return link_in(mail, "preferences").removeprefix(SITE)


def move(walk: Walk, link: str) -> None:
    """Ask for another address and for one that is in use, and take the first."""
    form = walk.get(f"{link}/address")
    walk.press(form, 400, changes={"address": "3@"})
    walk.press(form, changes={"address": NEIGHBOUR})
    walk.mails()
    first, second = (moved_to(walk, form, f"{number}@example.com") for number in (6, 3))
    walk.get(first, status=410)
    walk.press(walk.get(second))
    walk.get(second)
    walk.mails()


def moved_to(walk: Walk, form: str, address: str) -> str:
    """Return the link that a new address gets."""
    walk.press(form, changes={"address": address})
    return link_in(next(mail for mail in walk.mails() if mail["To"].addresses[0].addr_spec == address), "address")


def provide(walk: Walk, folder: Path) -> None:
    """Give the first newsletter something to tell."""
    entries = "".join(ENTRY.format(link=f"{SITE}/{n}", title=n * 11, day=n % 7) for n in range(1, 8))
    (folder / "feed.xml").write_text(FEED.format(code=walk.code, entries=entries), encoding="utf-8")
    with walk.parts.database.work() as work:
        add_source(work, newsletter=queries.by_slug(work, "first"), url=str(folder / "feed.xml"))


def read_issues_and_leave(walk: Walk, folder: Path) -> None:
    """Get issues in both forms, follow each link of them, leave a topic, everything, and take it back."""
    provide(walk, folder)
    walk.mails()
    walk.clock.move_to(datetime(2026, 11, 23, 8, 5, tzinfo=UTC))
    mails = walk.mails()
    with walk.parts.database.reading() as work:
        walk.kinds |= {"digest_light" for form in work.session.scalars(select(Edition.form)) if form is Form.LIGHT}
    for mail in mails:
        for link in set(re.findall(rf"{SITE}/[a-z]\S*", text_of(mail))):
            walk.get(link)
        leave(walk, re.search(r"<(https?://[^>]+)>", mail["List-Unsubscribe"])[1])  # type: ignore[index]


def undo_in(page: str) -> str:
    return re.search(r'action="(/undo/[^"]+)"', page)[1]  # type: ignore[index]


def leave(walk: Walk, link: str) -> None:
    page = walk.get(link)
    for topic in re.findall(r'href="(/topic/[^"]+)"', page):
        about = walk.get(topic)
        if "<form" in about:  # the last one is not left alone
            walk.press(about)
    walk.press(walk.get(undo_in(walk.press(page, changes={"all": "yes"}))))
    undo = undo_in(walk.press(walk.get(link)))
    walk.clock.advance(timedelta(hours=1))
    walk.get(undo, status=410)
    answer = walk.client.post(urlsplit(link).path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    walk.mind(answer)


def erase(walk: Walk) -> None:
    """Have everything erased, and use a link of before."""
    sign_up(walk, "5@example.com")
    moved = moved_to(walk, walk.get(f"{preferences_of(walk, '5@example.com')}/address"), "7@example.com")
    walk.clock.advance(timedelta(days=2))
    walk.get(moved, status=410)
    walk.press(walk.get(f"{preferences_of(walk, '5@example.com')}/erase"))
    links = walk.parts.links
    walk.get(links.manage(links.manage_token(9_999, 0)))


def test_a_newsletter_without_a_name_in_it_is_named_in_its_own_language(walk: Walk) -> None:
    html = walk.get(f"/{walk.code}/")
    assert '<span lang="fr" dir="ltr">Marchés publics</span>' in html
    assert "<bdi>№ 1</bdi>" in html


def test_a_language_that_was_taken_away_closes_no_page(walk: Walk, tmp_path: Path) -> None:
    sign_up(walk)
    link = preferences_of(walk, ADDRESS)
    provide(walk, tmp_path)
    learn()
    for path in ("/fr/", link, f"{link}/data", "/archive/first/fr/"):
        answer = walk.client.get(path)
        assert answer.status_code == 200, path
        assert '<html lang="fr" dir="ltr"' in answer.text
    walk.clock.move_to(datetime(2026, 11, 23, 8, 5, tzinfo=UTC))
    run_due(walk.parts.postroom)


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
