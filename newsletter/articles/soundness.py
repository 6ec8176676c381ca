"""Makes sure that the XML of a feed is sound, bounded in depth and number, before anything is read from it."""

from __future__ import annotations

import re
from xml.parsers import expat

from newsletter.articles.encodings import MAXIMUM_DEPTH, mended
from newsletter.base.errors import InvalidInput

MAXIMUM_ENTRIES = 20_000
MAXIMUM_ELEMENTS = 600_000
_FIRST_TAG = re.compile(r"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?(?:rss|rdf|feed|channel)(?=[\s>/])", re.IGNORECASE)


def from_root(xml: str) -> str:
    """Drop what stands before the feed, such as the warnings of a server.

    :raises InvalidInput: if this is no feed
    """
    if not xml.strip("\0"):
        raise InvalidInput("it is empty")
    first = _FIRST_TAG.search(xml)
    name = first[2].lower() if first else ""
    root = _ROOT.search(xml, 0, 20_000)
    if first is None:
        odd = len(re.findall("[\0-\x08\x0e-\x1f\ufffd]", xml[:1_000]))
        raise InvalidInput("it is binary data" if odd > len(xml[:1_000]) / 20 else "it is plain text")
    if root is None or name in ("html", "head", "body"):
        raise InvalidInput(
            "it is an HTML page" if name in ("html", "head", "body") else f"it is XML of another kind, <{name}>"[:100]
        )
    return xml[root.start() :]


def sound(xml: str) -> tuple[str, str | None]:
    """Return well-formed XML of at most MAXIMUM_ENTRIES entries, and what was wrong with it before."""
    cause = _fault(xml)
    if cause is None:
        return xml, None
    xml = mended(xml, entries=MAXIMUM_ENTRIES)
    if _fault(xml) is not None:
        raise InvalidInput(f"its XML is broken ({cause})")
    return xml, cause


def _fault(xml: str) -> str | None:
    """Return what is wrong with this XML; too many entries are a fault as well."""
    depth = entries = elements = 0
    parser = expat.ParserCreate(namespace_separator=" ")

    def start(name: str, _: object) -> None:
        nonlocal depth, entries, elements
        depth += 1
        elements += 1
        entries += name.rpartition(" ")[2].lower() in ("item", "entry")
        if depth > MAXIMUM_DEPTH:
            raise InvalidInput(f"its elements are nested more than {MAXIMUM_DEPTH} deep")
        if elements > MAXIMUM_ELEMENTS:
            raise InvalidInput(f"it has more than {MAXIMUM_ELEMENTS} elements")
        if entries > MAXIMUM_ENTRIES:
            raise OverflowError(f"it has more than {MAXIMUM_ENTRIES} entries")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(xml.encode(), True)
    except (expat.ExpatError, OverflowError) as error:
        return str(error)
    return None
