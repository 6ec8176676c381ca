"""Contexts for each mail, and a reader of rendered HTML that resolves its colours and directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from html.parser import HTMLParser
from typing import Any

from newsletter.mail.rendering import MailTemplates, Rendered

MAILS = (
    "digest",
    "digest_light",
    "confirmation",
    "already_subscribed",
    "preferences_link",
    "change_address",
    "address_changed",
    "address_in_use",
)
LANGUAGES = ("fr", "ar", "en")
MARKER = "k3x9" * 10
SITE = "https://lettre.example.ma"
VOID = {"meta", "br", "img", "hr", "link", "input"}

Context = dict[str, Any]


@cache
def templates() -> MailTemplates:
    return MailTemplates()


def render(mail: str, language: str, **changes: object) -> Rendered:
    return templates().render(mail, language=language, context=context(mail, language) | changes)


def article(**changes: object) -> Context:
    return {
        "title": "Guichet unique : douze démarches",
        "url": "https://news.example.ma/guichet?a=1&copy=2",
        "summary": "À partir du mardi 1er décembre, un seul dossier.",
        "date": date(2026, 11, 20),
        "image_url": "https://news.example.ma/guichet.png",
        "image_alt": "Un guichet",
        "language": "fr",
        "direction": "ltr",
        "language_name": "Français",
    } | changes


def context(mail: str, language: str) -> Context:
    arabic = language == "ar"
    common: Context = {
        "newsletter": {
            "name": "النشرة الأسبوعية" if arabic else "L’hebdo",
            "institution": "وزارة المثال" if arabic else "Ministère de l’Exemple",
            "postal_address": "شارع المثال، 10000 الرباط" if arabic else "1, rue de l’Exemple, 10000 Rabat",
            "cndp_reference": "D-W-1/2026",
            "accent": "#0B5D3B",
            "promise": "كل يوم إثنين." if arabic else "Chaque lundi.",
        },
        "home_url": f"{SITE}/{language}/",
    }
    own: dict[str, Context] = {
        "digest": {
            "date": date(2026, 11, 23),
            "topics": [
                {"name": "Services", "articles": [article(), english_article()]},
                {"name": "التعليم", "articles": [arabic_article()]},
            ],
            "more": 4,
            "archive_url": f"{SITE}/archive/hebdo/{language}/7",
            "unsubscribe_url": f"{SITE}/u/{MARKER}u",
            "preferences_url": f"{SITE}/p/{MARKER}p",
        },
        "confirmation": {
            "newsletters": [common["newsletter"]["name"]],
            "confirm_url": f"{SITE}/confirm/{MARKER}c",
            "never_url": f"{SITE}/never/{MARKER}n",
            "days": 7,
        },
        "already_subscribed": {
            "newsletters": [common["newsletter"]["name"], "Weekly"],
            "preferences_url": f"{SITE}/preferences/{MARKER}p",
            "hours": 1,
        },
        "preferences_link": {
            "newsletters": [common["newsletter"]["name"]],
            "preferences_url": f"{SITE}/preferences/{MARKER}p",
            "hours": 1,
        },
        "change_address": {
            "address": "s…i@gmail.com",
            "change_address_url": f"{SITE}/address/{MARKER}a",
            "never_url": f"{SITE}/never/{MARKER}n",
            "hours": 24,
        },
        "address_changed": {
            "address": "s…a@menara.ma",
            "newsletters": [common["newsletter"]["name"], "Weekly"],
            "contact": "contact@lettre.example.ma",
        },
        "address_in_use": {
            "address": "s…i@gmail.com",
            "newsletters": [common["newsletter"]["name"]],
            "preferences_url": f"{SITE}/preferences/{MARKER}p",
            "hours": 1,
        },
    }
    own["digest_light"] = own["digest"]
    return common | own[mail]


def english_article(**changes: object) -> Context:
    told = {"title": "Services from abroad", "url": "https://news.example.ma/abroad", "language": "en"}
    return article(**told | {"language_name": "English", "image_url": "", "image_alt": ""} | changes)


def arabic_article(**changes: object) -> Context:
    told = {
        "title": "منحة برسم سنة 2027: المرسوم رقم 2-26-530 على portail.example",
        "url": "https://news.example.ma/ar/minha",
        "summary": "باب الترشيح مفتوح إلى غاية 18 دجنبر، 58\u202f% منهم نساء.",
        "language": "ar",
        "direction": "rtl",
        "language_name": "العربية",
    }
    return article(**told | {"image_url": "", "image_alt": ""} | changes)


def tokens_of(mail: str, language: str) -> list[str]:
    return [value for value in context(mail, language).values() if isinstance(value, str) and MARKER in value]


@dataclass(eq=False)
class Node:
    """An element, with what it says and where it stands."""

    tag: str
    attributes: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    def all(self, tag: str = "") -> Iterator[Node]:
        """All elements below, in their order."""
        for child in self.children:
            if isinstance(child, Node):
                if tag in {"", child.tag}:
                    yield child
                yield from child.all(tag)

    def one(self, tag: str) -> Node:
        (found,) = self.all(tag)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def style(self) -> dict[str, str]:
        pairs = (pair.split(":", 1) for pair in self.attributes.get("style", "").split(";") if pair.strip())
        return {name.strip(): value.strip() for name, value in pairs}

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def above(self) -> Iterator[Node]:
        """This element and those around it, outwards."""
        yield self
        if self.parent is not None:
            yield from self.parent.above()

    @property
    def is_hidden(self) -> bool:
        return any(node.style.get("display") == "none" or node.tag in {"head", "style"} for node in self.above())

    def texts(self) -> Iterator[Node]:
        """The elements that hold words of their own and are shown."""
        for node in self.all():
            if any(isinstance(child, str) and child.strip() for child in node.children) and not node.is_hidden:
                yield node


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.open = Node("", {})
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute stands twice in <{tag}>"
        node = Node(tag, {name: value or "" for name, value in attrs}, self.open)
        self.open.children.append(node)
        if tag not in VOID:
            self.open = node

    def handle_endtag(self, tag: str) -> None:
        assert self.open.tag == tag, f"</{tag}> closes <{self.open.tag}>"
        assert self.open.parent is not None
        self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.children.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@dataclass
class Page:
    """A rendered mail as a client reads it."""

    root: Node
    comments: list[str]

    @property
    def links(self) -> list[str]:
        return [link.attributes["href"] for link in self.root.all("a")]

    @property
    def kept_style(self) -> str:
        return "\n".join(style.text for style in self.root.all("style"))

    def colours(self, node: Node, *, dark: bool) -> tuple[str, str]:
        """The colour of a node's words and of what lies behind them."""
        return self._nearest(node, "color", dark=dark), self._nearest(node, "background-color", dark=dark)

    def _nearest(self, node: Node, name: str, *, dark: bool) -> str:
        for each in node.above():
            found = each.style | (self._dark(each) if dark else {})
            if name in found:
                return found[name]
        raise AssertionError(f"no {name} above <{node.tag}>")

    def _dark(self, node: Node) -> dict[str, str]:
        block = re.search(r"prefers-color-scheme: dark\)\s*\{(.*?\})\s*\}", self.kept_style, re.DOTALL)
        assert block is not None
        found: dict[str, str] = {}
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]+)\}", block[1]):
            if any(_matches(selector.split(), node) for selector in selectors.split(",")):
                pairs = (pair.split(":", 1) for pair in body.split(";") if pair.strip())
                found |= {key.strip(): value.replace("!important", "").strip() for key, value in pairs}
        return found


def _matches(selector: list[str], node: Node) -> bool:
    *around, last = selector
    here = last[1:] in node.classes if last.startswith(".") else last == node.tag
    return here and (not around or any(_matches(around, each) for each in list(node.above())[1:]))


def read(html: str) -> Page:
    """Parse a mail strictly: each element closed where it should be, no attribute twice."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open is reader.root, f"<{reader.open.tag}> is not closed"
    return Page(reader.root, reader.comments)


def text_links(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.fullmatch(r"https?://\S+", line)]


def in_order(links: list[str]) -> list[str]:
    """Each address once, where it is first met."""
    return list(dict.fromkeys(links))
