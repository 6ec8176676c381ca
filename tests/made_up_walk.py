"""Somebody who walks through site and mails in one language, and minds every word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time, timedelta
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from factories import html_of, parsed, text_of
from made_up_language import said_outside
from newsletter.base.clock import SetClock
from newsletter.base.languages import LANGUAGES
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic
from newsletter.newsletters.models import Frequency
from newsletter.operations.run_due import run_due

FOREIGN = {
    "Marchés publics",
    "Travaux",
    "Fournitures",
    "Ministère de l’Exemple",
}  # has no other name: it is shown as such
SPOKEN_ATTRIBUTES = ("alt", "title", "aria-label", "placeholder", "data-checking", "label")
SITE = "http://lettre.test"
NOT_WORDS = re.compile(r"\S+@\S+|https?://\S+|[\u200e\u200f\u2066-\u2069]")


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
        if tag not in {"meta", "link", "input", "img", "br", "hr", "base"}:
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
    kinds: set[str] = field(default_factory=set)

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
                self.get(unescape(link))
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
        answer = self.client.post(
            unescape(action), data=fields | (changes or {}), headers={"Accept-Language": self.code}
        )
        assert answer.status_code == status, (action, answer.text)
        return self.mind(answer)

    def mind(self, answer: TestResponse) -> str:
        """Hold a page to its language; return it."""
        self.mind_html(answer.text)
        return str(answer.text)

    def mind_html(self, html: str) -> None:
        language = LANGUAGES[self.code]
        assert re.search(f'<html lang="{self.code}" dir="{language.direction}"', html), html
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
            kind, _, lane, _ = mail["Feedback-ID"].split(":")
            self.kinds.add(lane if lane == "digest" else kind)
            assert "⟦" in html_of(mail)
            assert "⟦" in text_of(mail)
            self.mind_text(mail["Subject"])
            self.mind_text(text_of(mail))
            self.mind_html(re.sub(r"<!--.*?-->|<!DOCTYPE html>", "", html_of(mail), flags=re.DOTALL))
        return mails


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
