"""Joining editions from blocks: what several editions share is rendered, inlined and encoded once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from threading import Lock

from newsletter.base.languages import direction_of
from newsletter.base.links import Links
from newsletter.deliveries.letters import Letter, Letterhead, digest_headers, digest_letter
from newsletter.mail.rendering import MailTemplates, Pieces, cleaned
from newsletter.mail.template import Block, Compiled, compile_block, compile_message, marker
from newsletter.subscriptions.models import Form

SHOWN_ARTICLES = 12
LARGEST_HTML = 90_000  # octets; Gmail clips near 102 kB
LARGEST_LIGHT = (
    28_000  # octets as sent, less the headers that are each reader's own and a signature: below 30 kB in all
)
_KEPT_SHEETS = 6
_KEPT_BLOCKS = 600  # of a sheet: some 3 MB

# The names of blocks: a word, a topic's name, an article, how many articles are not shown.
_Name = str | tuple[str, str] | tuple[str, int] | tuple["Shown", bool, bool] | tuple["Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """An article as a mail shows it."""

    title: str
    url: str
    summary: str
    date: date | None
    image_url: str
    image_alt: str
    language: str
    direction: str
    language_name: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What all editions of an issue in one language and form have in common."""

    issue_id: int
    head: Letterhead
    newsletter: tuple[tuple[str, str], ...]
    date: date
    form: Form = Form.DIGEST

    @property
    def mail(self) -> str:
        """The folder of its templates."""
        return _MAILS[self.form]


_MAILS = {Form.DIGEST: "digest", Form.LIGHT: "digest_light"}


@dataclass(frozen=True, slots=True)
class Page:
    """The articles that an edition shows, by topic and in order, and how many more it has."""

    topics: Sequence[tuple[str, Sequence[Shown]]]
    more: int


@dataclass(slots=True)
class _Forme:
    """What is ready of a sheet."""

    context: Mapping[str, object]
    headers: Sequence[tuple[str, str] | bytes]
    letter: Letter | None = None
    texts: dict[_Name, Block] = field(default_factory=dict)
    htmls: dict[_Name, Block] = field(default_factory=dict)
    articles: dict[Shown, Mapping[str, object]] = field(default_factory=dict)


class Press:
    """Makes the bytes of editions; keeps a bounded number of blocks."""

    def __init__(self, *, links: Links, templates: MailTemplates) -> None:
        self._links = links
        self._templates = templates
        self._blanks = {"unsubscribe": links.unsubscribe_width, "manage": links.manage_width}
        self._formes: dict[Sheet, _Forme] = {}
        self._lock = Lock()

    def letter(self, sheet: Sheet, articles: Sequence[tuple[str, Shown]], *, more: int) -> Letter:
        """Make an edition of these articles, each under its topic's name, and `more` that stand in the archive alone.

        It is shortened until it fits, never refused for its length.
        """
        with self._lock:
            return self._letter(sheet, articles, more)

    def _letter(self, sheet: Sheet, articles: Sequence[tuple[str, Shown]], more: int) -> Letter:
        forme = self._formes.get(sheet) or self._start(sheet)
        shown = min(len(articles), SHOWN_ARTICLES)
        while True:
            page = _page(articles[:shown], more=more + len(articles) - shown)
            subject, text, html = self._parts(sheet, forme, page)
            message = compile_message([("Subject", subject), *forme.headers], text, html, self._blanks)
            if shown <= 1 or _fits(sheet.form, message, html):
                break
            shown -= 1
        forme.letter = forme.letter or digest_letter(sheet.head, self._links, message)
        return replace(forme.letter, message=message)

    def _start(self, sheet: Sheet) -> _Forme:
        if len(self._formes) >= _KEPT_SHEETS:
            self._formes.pop(next(iter(self._formes)))
        head, links = sheet.head, self._links
        context = {
            "language": head.language,
            "direction": direction_of(head.language),
            "newsletter": dict(sheet.newsletter),
            "home_url": links.home(head.language),
            "date": sheet.date,
            "archive_url": links.archived_issue(head.slug, head.language, sheet.issue_id),
            "unsubscribe_url": links.unsubscribe(marker("unsubscribe", links.unsubscribe_width)),
            "preferences_url": links.manage(marker("manage", links.manage_width)),
        }
        forme = _Forme(cleaned(context), digest_headers(head, links, issue_id=sheet.issue_id))
        self._formes[sheet] = forme
        return forme

    def _parts(
        self, sheet: Sheet, forme: _Forme, page: Page
    ) -> tuple[str, Sequence[Block] | str, Sequence[Block] | str]:
        """Return subject, text and HTML: blocks, or whole parts if the templates say nothing of where to cut."""
        context = self._context(forme, page)
        texts, htmls = list(_texts(page)), list(_htmls(page))
        if any(name not in forme.texts for name in texts) or any(name not in forme.htmls for name in htmls):
            pieces = self._templates.render_pieces(sheet.mail, language=sheet.head.language, context=context)
            if (len(pieces.text), len(pieces.html)) != (len(texts), len(htmls)):
                return pieces.subject, "".join(pieces.text), "".join(pieces.html)
            self._keep(forme, pieces, texts, htmls)
        subject = self._templates.subject(sheet.mail, language=sheet.head.language, context=context)
        own: dict[_Name, str] = {
            "title": self._templates.part("_base/title.html", context | {"subject": subject}),
            "preheader": self._templates.part("digest/preheader.html", context),
        }
        return (
            subject,
            [forme.texts[name] for name in texts],
            [self._block(name, own[name]) if name in own else forme.htmls[name] for name in htmls],
        )

    def _keep(self, forme: _Forme, pieces: Pieces, texts: Sequence[_Name], htmls: Sequence[_Name]) -> None:
        if len(forme.htmls) >= _KEPT_BLOCKS:
            forme.texts.clear()
            forme.htmls.clear()
            forme.articles.clear()
        forme.texts |= {name: self._block(name, each) for name, each in zip(texts, pieces.text, strict=True)}
        forme.htmls |= {name: self._block(name, each) for name, each in zip(htmls, pieces.html, strict=True)}

    def _block(self, name: _Name, piece: str) -> Block:
        return compile_block(piece, self._blanks, whole_lines=name != _LAST)

    def _context(self, forme: _Forme, page: Page) -> dict[str, object]:
        topics = [
            {"name": name, "articles": [self._article(forme, shown) for shown in articles]}
            for name, articles in page.topics
        ]
        return {**forme.context, "topics": topics, "more": page.more}

    def _article(self, forme: _Forme, shown: Shown) -> Mapping[str, object]:
        if shown not in forme.articles:
            forme.articles[shown] = cleaned({name: getattr(shown, name) for name in Shown.__slots__})
        return forme.articles[shown]


def _fits(form: Form, message: Compiled, html: Sequence[Block] | str) -> bool:
    if form is Form.LIGHT:
        return message.size <= LARGEST_LIGHT
    octets = len(html.encode()) if isinstance(html, str) else sum(block.octets for block in html)
    return octets <= LARGEST_HTML


def _page(articles: Sequence[tuple[str, Shown]], *, more: int) -> Page:
    by_topic: dict[str, list[Shown]] = {}
    for topic, shown in articles:
        by_topic.setdefault(topic, []).append(shown)
    return Page(list(by_topic.items()), more)


_LAST = "foot"


def _texts(page: Page) -> Iterator[_Name]:
    """Name the pieces of a text part, as the templates of a digest are cut."""
    yield "top"
    for topic, articles in page.topics:
        yield ("topic", topic)
        yield from ((shown,) for shown in articles)
    yield ("more", page.more)
    yield _LAST


def _htmls(page: Page) -> Iterator[_Name]:
    """Name the pieces of an HTML part; an article looks otherwise where it leads and where its topic ends."""
    yield from ("top", "title", "sheet", "preheader", "masthead")
    leads = True
    for topic, articles in page.topics:
        yield ("topic", topic)
        for shown in articles:
            yield (shown, leads, shown is articles[-1])
            leads = False
    yield ("more", page.more)
    yield _LAST
