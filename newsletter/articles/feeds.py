"""From the bytes of a feed (RSS, Atom, JSON Feed) to its entries, fit to be read. Pure."""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

import feedparser

from newsletter.articles.cleaning import (
    Image,
    clean_line,
    cut_at_sentence,
    first_image,
    is_tiny,
    plain_text,
    read_moment,
    safe_url,
)
from newsletter.articles.detection import detect_language, primary_language
from newsletter.articles.encodings import decoded, unpacked, without_prolog
from newsletter.articles.soundness import MAXIMUM_ENTRIES, from_root, sound
from newsletter.base.errors import InvalidInput

SUMMARY_LENGTH = 300
TITLE_LENGTH = 500
CATEGORIES_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of a feed. Texts are plain and on one line, addresses absolute http(s)."""

    external_id: str
    link: str
    title: str
    summary: str
    published_at: datetime | None
    language: str
    image_url: str | None
    image_alt: str
    categories: tuple[str, ...]
    translations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed says. `language` is that of most entries, or what an empty feed claims.

    `left_out` counts the entries that nobody could be sent to: without a usable link, or without anything at all.
    """

    title: str
    language: str | None
    entries: list[Entry]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """The feed as a whole: where its relative links start, and where an entry without a link leads."""

    base: str
    home: str | None
    title: str
    claimed: str | None


@dataclass(frozen=True, slots=True)
class _Raw:
    """An entry as its format tells it; of several values of a kind, the first usable one counts."""

    external_id: str = ""
    links: Sequence[tuple[str, str | None]] = ()  # as written, with their hreflang
    title: str = ""
    texts: Sequence[str] = ()
    moments: Sequence[str] = ()
    claimed: str | None = None
    pictures: Sequence[str] = ()
    pages: Sequence[tuple[str, str]] = ()  # HTML and its base, to look for pictures in
    categories: Sequence[str] = ()


def parse_feed(data: bytes, *, url: str, content_type: str | None = None) -> Feed:
    """Read the feed that was found at `url`: at most MAXIMUM_ENTRIES entries in file order, one for each external id.

    :raises InvalidInput: if it is no feed, or one so broken that no entry can be read; it names `url` and the cause
    """
    try:
        text = decoded(unpacked(data), content_type=content_type).lstrip("\ufeff \t\r\n")
        source, raws = _read_json(text, url) if text.startswith(("{", "[")) else _read_xml(text, url)
        return _feed(source, raws[:MAXIMUM_ENTRIES])
    except InvalidInput as error:
        raise InvalidInput(f"{clean_line(url)[:200]} cannot be read as a feed: {error.message}") from error


def _feed(source: _Source, raws: Sequence[_Raw]) -> Feed:
    sample = [source.title, *(words for raw in raws[:20] for words in (raw.title, *raw.texts[:1]))]
    spoken = detect_language(" ".join(words[:200] for words in sample), claimed=source.claimed)
    entries: dict[str, Entry] = {}
    left_out = 0
    for raw in raws:
        if entry := _entry(raw, source, spoken):
            entries.setdefault(entry.external_id, entry)
        else:
            left_out += 1
    if left_out and not entries:
        raise InvalidInput("none of its entries has a link that can be followed")
    languages = Counter(entry.language for entry in entries.values()).most_common(1)
    language = languages[0][0] if languages else primary_language(source.claimed)
    return Feed(source.title, language, list(entries.values()), left_out)


def _entry(raw: _Raw, source: _Source, spoken: str) -> Entry | None:
    text = next((text for text in raw.texts if text and not _ADDRESS_ONLY.fullmatch(text)), "")
    claimed = raw.claimed if raw.claimed != source.claimed else None  # what all entries claim was weighed once already
    language = detect_language(f"{raw.title} {text}"[:1_000], claimed=claimed or spoken)
    usable = [(url, of) for link, of in raw.links if (url := safe_url(link, base=source.base))]
    usable.sort(key=lambda link: (link[1] != language, link[1] is not None))
    link = usable[0][0] if usable else source.home
    if link is None or (raw.links and not usable) or not (raw.title or text or usable):
        return None
    moments = (moment for written in raw.moments if (moment := read_moment(written)))
    published_at = next(moments, None)
    image = _image(raw, source)
    own_link = link if usable and link != source.home else ""  # where all lead home, the link tells none from another
    title = raw.title or cut_at_sentence(text, limit=80) or re.sub("^https?://", "", link)
    summary = cut_at_sentence(text, limit=SUMMARY_LENGTH)
    return Entry(
        external_id=_identity(clean_line(raw.external_id) or own_link, title, published_at),
        link=link,
        title=cut_at_sentence(title, limit=TITLE_LENGTH),
        summary=summary if summary != title else "",
        published_at=published_at,
        language=language,
        image_url=image.url if image else None,
        image_alt=image.alt if image else "",
        categories=tuple(dict.fromkeys(filter(None, (clean_line(name)[:200] for name in raw.categories)))),
        translations=tuple({of: url for url, of in reversed(usable) if of and of != language and url != link}.items()),
    )


_ADDRESS_ONLY = re.compile(r"https?://\S*")


def _identity(given: str, title: str, published_at: datetime | None) -> str:
    if given and len(given.encode()) <= 500:
        return given
    return "sha256:" + hashlib.sha256((given or f"{title}\n{published_at}").encode()).hexdigest()


def _image(raw: _Raw, source: _Source) -> Image | None:
    shown = (first_image(page, base=urljoin(source.base, base)) for base, page in raw.pages)
    inside = next(filter(None, shown), None)
    for picture in raw.pictures:
        if url := safe_url(picture, base=source.base):
            return inside if inside and inside.url == url else Image(url, "")
    return inside


def _title(document: dict[str, Any]) -> str:
    return _read(_written(document, "title"), "", is_atom=True)


# JSON Feed: https://www.jsonfeed.org/version/1.1/


def _read_json(text: str, url: str) -> tuple[_Source, list[_Raw]]:
    try:
        document = json.loads(text)
    except RecursionError:
        raise InvalidInput("its JSON is nested too deeply") from None
    except ValueError as error:
        raise InvalidInput(f"its JSON is broken ({error})") from None
    if (
        not isinstance(document, dict)
        or not re.match(r"https?://(www\.)?jsonfeed\.org/version/1", _written(document, "version"))
        or not isinstance(document.get("items"), list)
    ):
        raise InvalidInput("it is JSON, but no JSON Feed")
    home = _written(document, "home_page_url")
    base = next(filter(None, (safe_url(link, base="") for link in (url, _written(document, "feed_url"), home))), "")
    source = _Source(base, safe_url(home, base=base), _title(document), _written(document, "language") or None)
    return source, [_from_json(item if isinstance(item, dict) else {}) for item in document["items"]]


def _from_json(item: dict[str, Any]) -> _Raw:
    page = _written(item, "content_html")
    attached = (part for part in _listed(item, "attachments") if _written(part, "mime_type").startswith("image/"))
    links = (_written(item, name) for name in ("url", "external_url"))
    tags = item.get("tags")
    return _Raw(
        external_id=_written(item, "id"),
        links=[(link, None) for link in links if link.strip()],
        title=_title(item),
        texts=[clean_line(_written(item, "summary")), plain_text(page), clean_line(_written(item, "content_text"))],
        moments=[_written(item, name) for name in ("date_published", "date_modified")],
        claimed=_written(item, "language") or None,
        pictures=[
            *(_written(item, name) for name in ("image", "banner_image")),
            *(_written(part, "url") for part in attached),
        ],
        pages=[("", page)],
        categories=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
    )


def _written(item: dict[str, Any], name: str) -> str:
    """Return what is written under this name if it is text or a whole number, else nothing: feeds hold anything."""
    value = dict.get(item, name)  # not the library's own get, which warns
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _listed(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = dict.get(item, name)  # not the library's own get, which warns
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


# RSS and Atom

_MARKUP = re.compile(r"</[a-z][a-z0-9]*\s*>|<[a-z][a-z0-9]*\s+[a-z-]+\s*=|<(?:br|hr|p|li)\s*/?>|<!--", re.IGNORECASE)
_HTML = ("text/html", "application/xhtml+xml")
_PICTURE = re.compile(r"\.(?:jpe?g|png|gif|webp)(?:$|[?#])", re.IGNORECASE)


def _read_xml(text: str, url: str) -> tuple[_Source, list[_Raw]]:
    xml, fault = sound(from_root(without_prolog(text)))
    # sanitizing and resolving are ours: the library's take their time, and know neither joiners nor bidi controls
    try:
        parsed = feedparser.parse(
            io.BytesIO(xml.encode()),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # its state machine trips over elements at places where no feed has them
        raise InvalidInput("its elements make no sense where they stand") from error
    raws = [_from_xml(entry, is_atom=parsed.version.startswith("atom")) for entry in parsed.entries]
    if fault and not raws:
        raise InvalidInput(f"its XML is broken, and no entry can be read from it ({fault})")
    return _xml_source(parsed.feed, url), raws


def _xml_source(feed: dict[str, Any], url: str) -> _Source:
    links = _listed(feed, "links")
    own = [_written(link, "href") for link in links if _written(link, "rel") == "self"]
    homes = [_written(link, "href") for link in links if _written(link, "rel") == "alternate"] + [
        _written(feed, "link")
    ]
    base = next(filter(None, (safe_url(link, base="") for link in (url, *own, *homes))), "")
    home = next(filter(None, (safe_url(link, base=base) for link in homes)), None)
    title = _read(_written(feed, "title"), _written(_detail(feed, "title"), "type"), is_atom=False)
    return _Source(base, home, title, _written(feed, "language") or None)


def _from_xml(entry: dict[str, Any], *, is_atom: bool) -> _Raw:
    contents = [_detail(entry, "summary"), *_listed(entry, "content")]
    readable = [part for part in contents if _written(part, "type") in (*_HTML, "text/plain", "")]
    texts = [_read(_written(part, "value"), _written(part, "type"), is_atom=is_atom) for part in readable]
    title = _detail(entry, "title")
    kind = _written(title, "type") if _written(title, "value") == _written(entry, "title") else ""
    tags = [(_written(tag, "term"), _written(tag, "label")) for tag in _listed(entry, "tags")]
    return _Raw(
        external_id=_written(entry, "id"),
        links=list(_links(entry)),
        title=_read(_written(entry, "title"), kind, is_atom=is_atom),
        texts=texts,
        moments=[_written(entry, name) for name in ("published", "updated", "created")],
        claimed=_written(entry, "language") or _written(title, "language") or None,
        pictures=list(_pictures(entry)),
        pages=[(_written(part, "base"), _written(part, "value")) for part in reversed(readable)],
        categories=[name for tag in tags for name in tag if not name.startswith("http")][:CATEGORIES_AT_MOST],
    )


def _detail(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = dict.get(holder, f"{name}_detail")
    return value if isinstance(value, dict) else {}


def _read(value: str, kind: str, *, is_atom: bool) -> str:
    """Return the plain text of a value. Atom says what is HTML; the others do not, so the text has to tell."""
    if _MARKUP.search(value) or (is_atom and kind in _HTML):
        return plain_text(value)
    return clean_line(value if is_atom else html.unescape(value))


def _links(entry: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Where the entry can be read, best first: its pages, its link, its guid if that is an address, its recording."""
    links = [link for link in _listed(entry, "links") if _written(link, "href").strip()]
    pages = [link for link in links if _written(link, "rel") == "alternate" and _written(link, "type") in _HTML]
    yield from ((_written(link, "href"), primary_language(_written(link, "hreflang"))) for link in pages)
    address, guid = _written(entry, "link").strip(), _written(entry, "id").strip()
    # the library calls the last page the entry's link, whatever language that page is in
    is_known = address in [_written(link, "href").strip() for link in pages]
    if address and not is_known and (address != guid or re.match("https?://", guid)):
        yield address, None
    if original := _written(entry, "feedburner_origlink").strip():
        yield original, None
    for rel in ("alternate", "enclosure", "related"):
        yield from (
            (_written(link, "href"), None) for link in links if _written(link, "rel") == rel and link not in pages
        )


def _pictures(entry: dict[str, Any]) -> Iterator[str]:
    for link in _listed(entry, "links"):
        if _written(link, "rel") == "enclosure" and _is_picture(link, "href"):
            yield _written(link, "href")
    media = [part for part in _listed(entry, "media_content") if _is_picture(part, "url")]
    yield from (_written(part, "url") for part in sorted(media, key=_by_fitness))
    yield from (_written(part, "url") for part in _listed(entry, "media_thumbnail") if not is_tiny(part.get("width")))
    image = dict.get(entry, "image")
    yield _written(image, "href") if isinstance(image, dict) else ""
    yield _written(entry, "href")


def _is_picture(part: dict[str, Any], address: str) -> bool:
    if is_tiny(part.get("width")) or "gravatar.com/avatar" in _written(part, address):
        return False
    kind = _written(part, "type") or _written(part, "medium")
    return kind.startswith("image") if kind else bool(_PICTURE.search(_written(part, address)))


def _by_fitness(part: dict[str, Any]) -> tuple[bool, int]:
    """The smallest picture of those that fill a mail's width comes first, then the largest of the others."""
    digits = re.match(r"\d{1,6}", _written(part, "width"))
    width = int(digits[0]) if digits else 0
    return (False, width) if width >= 600 else (True, -width)
