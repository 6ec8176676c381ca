"""A citizen with a plain browser: opens a page, fills in its form, presses its button. No JavaScript, no shortcuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from newsletter.base.errors import Unavailable


@dataclass(slots=True)
class Form:
    """A form as the page offers it: where it goes, and what is filled in already."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    offered: set[tuple[str, str]] = field(default_factory=set)

    def filled(self, changes: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
        """Return the fields to send, with these changed; a list ticks several boxes of one name."""
        kept = [(name, value) for name, value in self.fields if name not in changes]
        return kept + [
            (name, each) for name, value in changes.items() for each in ([value] if isinstance(value, str) else value)
        ]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its status, where it stands, and the forms in it."""

    status: int
    url: str
    html: str
    forms: Sequence[Form]


class Citizen:
    """Somebody at a browser, who speaks a language."""

    def __init__(self, *, language: str) -> None:
        self._http = PoolManager(headers={"Accept-Language": language}, retries=Retry(0, redirect=3), timeout=10)

    def open(self, url: str) -> Page:
        """Look at a page; this changes nothing.

        :raises Unavailable: if the site does not answer
        """
        return self._page("GET", url)

    def press(self, page: Page, changes: Mapping[str, str | Sequence[str]] | None = None) -> Page:
        """Fill in the first form that posts, and press its button.

        :raises Unavailable: if the page has no such form
        """
        form = next((form for form in page.forms if form.method == "post"), None)
        if form is None:
            raise Unavailable(f"{page.url} has no form to send")
        return self.post(urljoin(page.url, form.action or page.url), form.filled(changes or {}))

    def post(self, url: str, fields: Sequence[tuple[str, str]]) -> Page:
        """Send fields as a form does."""
        return self._page("POST", url, urlencode(fields))

    def _page(self, method: str, url: str, body: str | None = None) -> Page:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            answer = self._http.request(method, url, body=body, headers={**self._http.headers, **headers})
        except HTTPError as error:
            raise Unavailable(f"{url} does not answer: {type(error).__name__}") from error
        html = answer.data.decode("utf-8", "replace")
        return Page(answer.status, urljoin(url, answer.url or url), html, _forms(html))


class _Forms(HTMLParser):
    """Collects the forms of a page with what a browser would send of them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select: str | None = None
        self._first_option = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(said.get("action", ""), said.get("method", "get").lower()))
        elif self.forms and tag == "input":
            self._input(said, checked="checked" in said)
        elif self.forms and tag == "select":
            self._select, self._first_option = said.get("name"), True
        elif self.forms and tag == "option" and self._select:
            self._option(self._select, said, selected="selected" in said)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None

    def _input(self, said: Mapping[str, str], *, checked: bool) -> None:
        kind, name, value = said.get("type", "text"), said.get("name"), said.get("value", "on")
        if not name or kind in {"submit", "button", "image", "reset"}:
            return
        if kind in {"checkbox", "radio"}:
            self.forms[-1].offered.add((name, value))
            if not checked:
                return
        self.forms[-1].fields.append((name, said.get("value", "") if kind not in {"checkbox", "radio"} else value))

    def _option(self, name: str, said: Mapping[str, str], *, selected: bool) -> None:
        form = self.forms[-1]
        if selected:
            form.fields = [pair for pair in form.fields if pair[0] != name]
        if selected or self._first_option:
            form.fields.append((name, said.get("value", "")))
        self._first_option = False


def _forms(html: str) -> list[Form]:
    parser = _Forms()
    parser.feed(html)
    return parser.forms
