"""From the bytes of a feed to sound text, and from that to sound XML.

Pure; every step takes time in proportion to the length.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from html.entities import html5
from itertools import pairwise

from newsletter.base.errors import InvalidInput

MAXIMUM_UNPACKED = 50_000_000
MAXIMUM_DEPTH = 200

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']\s*([A-Za-z0-9._:-]+)")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]+)", re.IGNORECASE)

_LATIN = {"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254"}  # what is declared so is sent as these
_EAST_ASIAN = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}
_EAST_ASIAN |= {name: name for name in ("gb18030", "cp932", "cp949", "big5", "euc_jp", "iso2022_jp")}
_ESCAPING = ("iso2022_jp",)
_KNOWN = re.compile(r"cp125\d|cp874|cp866|iso8859-\d+|koi8-[ru]|mac-roman|tis-620")

# Languages without Latin letters: nearly all of a text is written with these, if it is decoded rightly.
_ARABIC, _CYRILLIC, _GREEK, _HEBREW = (
    "ابةتجحدرسعفقكلمنهويأ",
    "аеиклнопрстдмвуыяь",
    "αειηκλμνοπρςστυόάίέ",
    "אבדהויכלמנערשת",
)
_DENSE = {
    "cp1256": _ARABIC,
    "iso8859-6": _ARABIC,
    "cp1251": _CYRILLIC,
    "koi8-r": _CYRILLIC,
    "cp866": _CYRILLIC,
    "iso8859-5": _CYRILLIC,
    "cp1253": _GREEK,
    "cp1255": _HEBREW,
}


def unpacked(data: bytes) -> bytes:
    """Return the bytes, gunzipped if they came as a gzip file that nobody unpacked.

    :raises InvalidInput: if it is broken, or larger than 50 MB
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(data, MAXIMUM_UNPACKED)
    except zlib.error as error:
        raise InvalidInput("its gzip packing is broken") from error
    if not inflate.eof and not inflate.unconsumed_tail:
        raise InvalidInput("its gzip packing breaks off")
    if inflate.unconsumed_tail:
        raise InvalidInput(f"it is larger than {MAXIMUM_UNPACKED // 1_000_000} MB when unpacked")
    return plain


def decoded(data: bytes, *, content_type: str | None = None) -> str:
    """Return the text of these bytes: what they are counts first, what they say they are only then."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _undoubled(data[len(mark) :].decode(encoding, "replace"))
    data = data.removeprefix(codecs.BOM_UTF8)
    if wide := _wide(data[:4]):
        return data.decode(wide, "replace")
    labels = list(_labels(data, content_type))
    if labels and labels[0] in _ESCAPING and b"\x1b" in data:
        return data.decode(labels[0], "replace")
    try:
        return _undoubled(data.decode())
    except UnicodeDecodeError:
        return _nearly_utf8(data) or _legacy(data, labels)


def _wide(beginning: bytes) -> str | None:
    """Feeds begin with an ASCII character, so the place of the zeros tells UTF-16 and UTF-32 without a mark."""
    zeros = "".join("0" if byte == 0 else "x" for byte in beginning)
    return {"000x": "utf-32-be", "x000": "utf-32-le", "0x0x": "utf-16-be", "x0x0": "utf-16-le"}.get(zeros)


def _labels(data: bytes, content_type: str | None) -> Iterator[str]:
    in_xml, in_header = _DECLARED.search(data, 0, 2_000), _CHARSET.search(content_type or "")
    for label in (in_xml and in_xml[1].decode(), in_header and in_header[1]):
        try:
            name = codecs.lookup(label or "").name
        except LookupError:
            continue
        if name in _EAST_ASIAN:
            yield _EAST_ASIAN[name]
        elif name in _LATIN or _KNOWN.fullmatch(name):
            yield _LATIN.get(name, name)


def _nearly_utf8(data: bytes) -> str | None:
    """Decode UTF-8 that has single letters of windows-1252 in it, or letters cut in half; None if it is no UTF-8."""
    text = data.decode(errors="surrogateescape")
    odd = len(re.findall("[\udc80-\udcff]", text))
    if odd >= len(re.findall("[^\0-\x7f\udc80-\udcff]", text)):
        return None
    return _undoubled(re.sub("[\udc80-\udcff]+", _odd_bytes, text))


def _odd_bytes(odd: re.Match[str]) -> str:
    raw = odd[0].encode(errors="surrogateescape")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        cut_in_half = error.reason == "unexpected end of data" and (len(raw) > 1 or raw in b"\xc2\xc3\xd8\xd9\xda\xdb")
        return "" if cut_in_half else raw.decode("cp1252", "replace")
    return ""


def _legacy(data: bytes, labels: list[str]) -> str:
    for label in labels:
        if label in _EAST_ASIAN:
            return data.decode(label, "replace")
    high = [place for place, byte in enumerate(data[:200_000]) if byte >= 0x80]
    neighbours = sum(after - before == 1 for before, after in pairwise(high))
    if neighbours <= len(high) * 0.5:  # in Latin languages, accented letters stand alone
        return data.decode(next((label for label in labels if label not in _DENSE), "cp1252"), "replace")
    sample = bytes(data[place] for place in high[:5_000])
    best = max([*(label for label in labels if label in _DENSE), *_DENSE], key=lambda label: _likeness(sample, label))
    if _likeness(sample, best) >= 0.6:
        return data.decode(best, "replace")
    return data.decode(labels[0] if labels else "cp1252", "replace")


def _likeness(sample: bytes, encoding: str) -> float:
    text = sample.decode(encoding, "replace").lower()
    return sum(map(text.count, _DENSE[encoding])) / len(text)


# Double encoding: UTF-8 that somebody took for windows-1252 and encoded once more.

_ABROAD = re.compile(r"[^\0-\x7f]+")
_LIKELY = re.compile(r"[\xa0-\u024f\u0600-\u06ff\u2010-\u203a\u20ac\u2122\u2d30-\u2d7f\U0001f300-\U0001faff]+")


def _undoubled(text: str) -> str:
    """Take back a double encoding if nearly all that is not ASCII has the form of one; else leave the text alone."""
    for _ in range(2):
        runs = set(_ABROAD.findall(text))
        repaired = {run: once for run in runs if (once := _encoded_once(run)) is not None}
        if len(repaired) < max(1, 0.9 * len(runs)):
            return text
        text = _ABROAD.sub(lambda run, repaired=repaired: repaired.get(run[0], run[0]), text)  # type: ignore[misc]
    return text


def _encoded_once(run: str) -> str | None:
    try:
        once = b"".join(_as_windows(letter) for letter in run).decode()
    except UnicodeError:
        return None
    return once if _LIKELY.fullmatch(once) else None


def _as_windows(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")  # five octets have no letter in windows-1252 and pass as they are


# Sound XML

_PROLOG = re.compile(
    r"(?P<kept><!\[CDATA\[.*?(?:\]\]>|\Z))|<!--.*?(?:-->|\Z)|<\?[^<]*?\?>|<\?[^<>]*>?"
    r"|(?P<type><!DOCTYPE[^<>\[]*(?:\[.*?(?:\]\s*|\Z))?>?)",
    re.DOTALL | re.IGNORECASE,
)
_TOKEN = re.compile(
    r"<!\[CDATA\[(?P<cdata>.*?)\]\]>"
    r"|<(?P<end>/?)(?P<name>[A-Za-z_][A-Za-z0-9_.:-]*+)"
    r"(?P<attributes>(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+(?=>)|[^<>]*+)>"
    r"|(?P<cut><!\[CDATA\[.*|<[A-Za-z/!?][^<>]*+)\Z",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([A-Za-z_][A-Za-z0-9_.:-]*+)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)'|([^\s\"'<>]+))")
_REFERENCE = re.compile(r"&(?:#(?:(\d{1,8})|[xX]([0-9A-Fa-f]{1,8}));|([A-Za-z][A-Za-z0-9]{1,31});)?")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREFIX = re.compile(r"[\s<](?:xmlns:)?([A-Za-z_][A-Za-z0-9_.-]*):[A-Za-z_]")
_WITHOUT_END = frozenset(("area", "br", "col", "embed", "hr", "img", "input", "param", "wbr"))
_ENTRIES = frozenset(("item", "entry"))
_NAMESPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "itunes": "http://www.itunes.com/DTDs/PodCast-1.0.dtd",
    "media": "http://search.yahoo.com/mrss/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}


def without_prolog(text: str) -> str:
    """Drop XML declaration, document type, comments and instructions, wherever they stand.

    :raises InvalidInput: if it declares entities: they can be made to grow without end
    """
    xml = _PROLOG.sub(lambda part: part["kept"] or "", text)
    declared = [part["type"] or "" for part in _PROLOG.finditer(text)]
    before = re.split(r"<[A-Za-z]", xml, maxsplit=1)[0]  # what a type with brackets in brackets leaves behind
    if "<!ENTITY" in "".join([*declared, before]).upper():
        raise InvalidInput("its document type declares entities, which is refused")
    return xml.lstrip("\ufeff \t\r\n")


def mended(xml: str, *, entries: int) -> str:
    """Return well-formed XML that says what this tag soup means, in at most so many entries.

    Open elements are closed, stray ends dropped, HTML's entities resolved, ampersands escaped, prefixes declared.
    An entry in which the text breaks off is left out: the next reading will have it whole.
    """
    soup = _Soup(entries)
    place = 0
    for token in _TOKEN.finditer(xml):
        soup.text(xml[place : token.start()])
        place = token.end()
        name = (token["name"] or "").lower()
        if token["cdata"] is not None:
            soup.cdata(token["cdata"])
        elif token["end"]:
            soup.end(name)
        elif name:
            soup.start(name, token["attributes"])
        if token["cut"] is not None or soup.entries < 0:
            break
    return _with_prefixes(soup.whole())


class _Soup:
    """The pieces of well-formed XML so far, and the elements that are still open."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.pieces: list[str] = []
        self.open: list[str] = []
        self.entry_at = 0

    def text(self, text: str) -> None:
        if self.open:
            self.pieces.append(_sound(text, ends="<"))

    def cdata(self, text: str) -> None:
        if self.open:
            self.pieces.append(f"<![CDATA[{_NOT_XML.sub('', text)}]]>")

    def start(self, name: str, attributes: str) -> None:
        if self.pieces and not self.open:
            return  # what follows the root's end is no part of it
        if name in _ENTRIES:
            self.end(name)
            self.entry_at = len(self.pieces) if _ENTRIES.isdisjoint(self.open) else self.entry_at
            self.entries -= 1
            if self.entries < 0:
                return
        empty = attributes.endswith("/") or name in _WITHOUT_END
        self.pieces.append(f"<{_qualified(name)}{_attributes(attributes)}{'/' if empty else ''}>")
        if not empty:
            self.open.append(name)
        if len(self.open) > MAXIMUM_DEPTH:
            raise InvalidInput(f"its elements are nested more than {MAXIMUM_DEPTH} deep")

    def end(self, name: str) -> None:
        """Close all up to the innermost element of this name; without one, the end tag is a stray."""
        if name in self.open:
            while self.close() != name:
                pass

    def close(self) -> str:
        name = self.open.pop()
        self.pieces.append(f"</{_qualified(name)}>")
        return name

    def whole(self) -> list[str]:
        if not _ENTRIES.isdisjoint(self.open):
            del self.pieces[self.entry_at :]
            del self.open[next(depth for depth, name in enumerate(self.open) if name in _ENTRIES) :]
        while self.open:
            self.close()
        return self.pieces


def _qualified(name: str) -> str:
    prefix, colon, local = name.strip(":").partition(":")
    return prefix + colon + local.replace(":", "_") if re.match("[a-z_]", local) else prefix


def _attributes(text: str) -> str:
    values = {name.lower(): quoted or single or bare for name, quoted, single, bare in _ATTRIBUTE.findall(text)}
    return "".join(
        f' {_qualified(name)}="{_sound(value, ends=chr(34))}"'
        for name, value in values.items()
        if value or ":" not in name
    )


def _sound(text: str, *, ends: str) -> str:
    """Escape what XML cannot hold, and `ends`, which would end the text."""
    escaped = _REFERENCE.sub(_resolved, _NOT_XML.sub("", text)) if "&" in text else _NOT_XML.sub("", text)
    return escaped.replace("]]>", "]]&gt;").replace(ends, "&lt;" if ends == "<" else "&quot;")


def _resolved(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name is not None:
        if name in ("amp", "lt", "gt", "quot", "apos"):
            return reference[0]
        letters = html5.get(name + ";")
    elif decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        letters = chr(code) if code <= 0x10FFFF else ""
    else:
        letters = "&"
    if letters is None:
        return "&amp;" + reference[0][1:]
    return _NOT_XML.sub("", letters).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _with_prefixes(pieces: list[str]) -> str:
    if not pieces:
        return ""
    tags = (piece for piece in pieces if piece.startswith("<") and ":" in piece and not piece.startswith("<!"))
    used = {prefix for tag in tags for prefix in _PREFIX.findall(tag)} - {"xml", "xmlns"}
    missing = sorted(prefix for prefix in used if f" xmlns:{prefix}=" not in pieces[0])
    declared = "".join(f' xmlns:{prefix}="{_NAMESPACES.get(prefix, f"urn:prefix:{prefix}")}"' for prefix in missing)
    head = re.match(r"<[^\s/>]+", pieces[0])
    return pieces[0][: head.end()] + declared + pieces[0][head.end() :] + "".join(pieces[1:]) if head else ""
