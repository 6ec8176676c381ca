"""Reading a page as a browser does, pressing its button; looking at the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, TypeVar

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.schema import Table
from newsletter.newsletters.models import Frequency, Topic
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Choice, Request, Subscription
from newsletter.web import current

T = TypeVar("T", Request, Subscription)
FILLED_IN = timedelta(seconds=4)
VOID = {"meta", "link", "input", "img", "br", "hr", "base", "wbr"}


@dataclass(eq=False)
class Element:
    """A tag with its attributes and all the text in it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...]
    text: str = ""
    form: Element | None = None

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")


@dataclass
class Page:
    """What stands on a page."""

    elements: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def one(self, tag: str) -> Element:
        (found,) = self.all(tag)
        return found

    def by_id(self, name: str) -> Element:
        (found,) = [element for element in self.elements if element["id"] == name]
        return found

    @property
    def language(self) -> str:
        return self.one("html")["lang"]

    @property
    def links(self) -> list[str]:
        return [element["href"] for element in self.all("a")]

    def fields(self, form: Element | None = None) -> dict[str, list[str]]:
        """Return what this form (or all) sends if nobody touches it."""
        sent: dict[str, list[str]] = {}
        for element in self.all("input"):
            is_set = element["type"] not in {"checkbox", "radio"} or "checked" in element.attributes
            if is_set and form in (None, element.form):
                sent.setdefault(element["name"], []).append(element["value"])
        for option in self.all("option"):
            if "selected" in option.attributes and form in (None, option.form):
                sent.setdefault(option.parents[-1].partition("=")[2], []).append(option["value"])
        return sent


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        parents = tuple(f"{each.tag}={each['name']}" for each in self._open)
        around = [each for each in self._open if each.tag == "form"]
        element = Element(tag, attributes, parents, form=around[-1] if around else None)
        self.page.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"<{self._open[-1].tag}> is closed by </{tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


def read(answer: TestResponse | str) -> Page:
    """Read a page; its tags must be well nested."""
    reader = _Reader()
    reader.feed(answer if isinstance(answer, str) else answer.text)
    assert not reader._open
    return reader.page


def press(
    client: FlaskClient, page: Page, changes: Mapping[str, Any] | None = None, *, to: str | None = None
) -> TestResponse:
    """Send the page's first form, or the one `to` this path, as it stands but for these fields.

    A person takes a few seconds for that.
    """
    form = next(each for each in page.all("form") if to in (None, each["action"]))
    assert form["method"] == "post"
    clock = client.application.extensions[current.KEY].clock
    if isinstance(clock, SetClock):
        clock.advance(FILLED_IN)
    return client.post(form["action"], data={**page.fields(form), **(changes or {})})


def path(url: str) -> str:
    """Return what follows the site's address in a link of ours."""
    return url.removeprefix("http://lettre.test")


def newest(parts: Parts, table: type[T], address: str | None = None) -> T:
    """Return the last row, of the person with this address if one is named."""
    with parts.database.work() as work:
        wanted = select(table).order_by(table.id.desc()).limit(1)
        if address is not None:
            wanted = wanted.join(Subscriber).where(Subscriber.address == address)
        return work.session.scalars(wanted).one()


def subscriptions(parts: Parts) -> list[Subscription]:
    with parts.database.work() as work:
        return list(work.session.scalars(select(Subscription).order_by(Subscription.id)).unique())


def everything(parts: Parts) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with parts.database.work() as work:
        return {
            table.name: sorted(map(tuple, work.session.execute(select(table))), key=repr)
            for table in Table.metadata.sorted_tables
        }


def chosen(parts: Parts, position: int = 0) -> tuple[list[str], list[str], Frequency]:
    """Return topics, languages and frequency of a subscription."""
    subscription = subscriptions(parts)[position]
    with parts.database.work() as work:
        choice = work.session.get(Choice, subscription.choice_id)
        assert choice is not None
        names = {topic.id: topic.slug for topic in work.session.scalars(select(Topic))}
        return [names[each] for each in choice.topic_ids], choice.language_codes, subscription.frequency
