"""What others wrote, made fit for a mail: text, addresses, images, moments. Pure; the only way in for foreign text."""

from __future__ import annotations

import html as markup
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import nh3

MAXIMUM_ADDRESS = 2_000  # octets of UTF-8: what the columns and their indexes hold
MAXIMUM_ALT = 300
SMALLEST_IMAGE = 50  # pixels: tracking pixels and smileys are smaller

_READ_AT_MOST = 16_000  # characters of HTML; a summary needs less, and an HTML parser's time can grow with the square
_TAGS_AT_MOST = 1_000

# Controls, zero width (but not the joiners, which Arabic and Persian need), bidi controls, surrogates, non-characters
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u206f\ufeff\ufff9-\ufffc"
    "\ufffe\uffff\ufdd0-\ufdef\ud800-\udfff]"
)
_SPACES = re.compile(r"\s+")
_KEPT_SPACES = ("\xa0", "\u202f")  # French sets them before : ; ! ? and inside « »

_BREAKS = set(
    re.findall(
        r"\w+",
        "address article aside blockquote br dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre"
        " section table tbody td th thead tr ul",
    )
)
_UNREAD = set(
    re.findall(r"\w+", "button figcaption form iframe math noscript object script select style svg template title")
)
_TAG = re.compile(r"</?[a-z][a-z0-9]*>")
_IMAGE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
_ORNAMENT = re.compile(
    r"feedburner\.com/~|(?:icon|logo|avatar|emoji|badge|button|spacer|pixel|1x1)[^/]*$", re.IGNORECASE
)
_SOURCES = ("src", "data-src", "data-lazy-src", "data-original")

_SENTENCE_END = re.compile(
    r"(?<!\b[^\W\d_])(?<!\b[DM]r)(?<!\bMrs)(?<!\bMme)(?<!\bSt)(?<!\bNo)(?<!\bart)"
    r"(?:[.!?…؟۔]+(?:\s?[»”\"’')\]])*(?=\s|$)|[。！？]+[」』”]*)"
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_UNSAFE_IN_ADDRESS = re.compile(r"[\s\"<>`]")


class Image(NamedTuple):
    """A picture's absolute address, and the words that stand for it."""

    url: str
    alt: str


def clean_line(text: str) -> str:
    """Return the text on one line: whitespace folded, no controls, no bidi controls. Joiners and French spaces stay."""
    return _SPACES.sub(_folded, _UNWANTED.sub("", text)).strip()


def _folded(spaces: re.Match[str]) -> str:
    return spaces[0] if spaces[0] in _KEPT_SPACES else " "


def plain_text(html: str) -> str:
    """Return what a reader would read, on one line: without markup, scripts and captions, entities resolved once."""
    parsed = nh3.clean(_bounded(html), tags=_BREAKS, clean_content_tags=_UNREAD, attributes={}, link_rel=None)
    return clean_line(markup.unescape(_TAG.sub(" ", parsed)))


def first_image(html: str, *, base: str) -> Image | None:
    """Return the first image of a piece of HTML that is one to look at: no tracking pixel, no icon."""
    if "<img" not in html.lower():
        return None
    parsed = nh3.clean(
        _bounded(html),
        tags={"img"},
        clean_content_tags={"script", "style", "template"},
        attributes={"img": {*_SOURCES, "alt", "width", "height"}},
        link_rel=None,
    )
    for found in _IMAGE.finditer(parsed):
        attributes = {name: markup.unescape(value) for name, value in _ATTRIBUTE.findall(found[1])}
        if is_tiny(attributes.get("width")) or is_tiny(attributes.get("height")):
            continue
        for url in (safe_url(attributes[name], base=base) for name in _SOURCES if name in attributes):
            if url is not None and not _ORNAMENT.search(url):
                return Image(url, clean_line(attributes.get("alt", ""))[:MAXIMUM_ALT])
    return None


def is_tiny(pixels: object) -> bool:
    """Tell whether a width or height, as written, is too small for a picture. Unknown is not tiny."""
    digits = re.match(r"\s*(\d{1,6})(?:\.\d*)?\s*(?:px)?\s*$", str(pixels)) if pixels is not None else None
    return digits is not None and int(digits[1]) < SMALLEST_IMAGE


def _bounded(html: str) -> str:
    html = _UNWANTED.sub("", html[:_READ_AT_MOST])
    if html.count("<") <= _TAGS_AT_MOST:
        return html
    return "<".join(html.split("<", _TAGS_AT_MOST)[:_TAGS_AT_MOST])


def cut_at_sentence(text: str, *, limit: int) -> str:
    """Shorten to at most `limit` characters: after a sentence if one ends late enough, else after a word, with …"""
    if len(text) <= limit:
        return text
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, limit + 1) if found.end() <= limit]
    if ends and ends[-1] >= limit // 3:
        return text[: ends[-1]]
    words = text[:limit].rpartition(" ")[0]
    kept = words if len(words) >= limit // 2 else text[: limit - 1]
    return kept.rstrip(" \xa0\u202f,;:،؛.-–—([«“\u200c\u200d") + "…"


def safe_url(url: str, *, base: str) -> str | None:
    """Return the absolute http(s) address that `url` means on the page `base`, or None if it is none to follow.

    An address that is absolute already stays letter for letter, but for blanks and quotes, which are percent-encoded.
    """
    # as browsers read it: controls do not count, a backslash is a slash
    address = _UNWANTED.sub("", re.sub(r"[\t\r\n]", "", url)).strip().replace("\\", "/")
    scheme = _SCHEME.match(address)
    if not address or (scheme and scheme[1].lower() not in ("http", "https")):
        return None
    if address.startswith("//") and not base.startswith("http:"):
        address = "https:" + address
    try:
        absolute = address if scheme and "://" in address else urljoin(base, address)
        parts = urlsplit(absolute)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    absolute = _UNSAFE_IN_ADDRESS.sub(lambda unsafe: quote(unsafe[0]), parts.scheme + absolute[len(parts.scheme) :])
    return absolute if len(absolute.encode()) <= MAXIMUM_ADDRESS else None


# Moments. The library's own readers take 30 February for 2 March and CEST for UTC, so they are read here.

_ISO = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:(?:\s*T\s*|[\s,]+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\b\.?)?\s*(.*))?",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2})?(?:\.\d+)?()\s*(.*))?", re.IGNORECASE)
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:er|st|nd|rd|th)?[\s.-]+([^\W\d_]{3,})[\s.,-]+(?:de\s+)?(\d{2,4})(?!\d)(?!:)"
)
_MONTH_FIRST = re.compile(r"([^\W\d_]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?(?:,|\s)(?:.*[\s,])?(\d{4})(?!\d)")
_TIME = re.compile(
    r"(?<!\d)(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\b\.?|[صم](?!\w))?\s*(.*)", re.IGNORECASE
)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?\s*([+\u2212-])(\d{1,2}):?(\d{2})?(?!\d)", re.IGNORECASE)
_ZONES = {  # minutes east of Greenwich; a name not here is UTC
    name: int(minutes)
    for name, minutes in re.findall(
        r"(\w+)=(-?\d+)",
        "WEST=60 BST=60 CET=60 MEZ=60 CEST=120 MESZ=120 EET=120 CAT=120 SAST=120 EEST=180 MSK=180 EAT=180 GST=240"
        " PKT=300 IST=330 SGT=480 HKT=480 JST=540 KST=540 AEST=600 AEDT=660"
        " EST=-300 EDT=-240 CST=-360 CDT=-300 MST=-420 MDT=-360 PST=-480 PDT=-420",
    )
}
_MONTHS = [
    "jan gennaio ene يناير جانفي",
    "feb fév fev fvr فبراير فيفري",
    "mar مارس",
    "apr avr abr إبريل أبريل ابريل أفريل",
    "may mai mag ماي مايو",
    "jun juin giu يونيو جوان",
    "jul juil lug يوليو يوليوز جويلية",
    "aug aoû aou ago غشت أغسطس اغسطس أوت",
    "sep set سبتمبر شتنبر",
    "oct okt ott out أكتوبر اكتوبر",
    "nov نوفمبر نونبر",
    "dec déc dez dic دجنبر ديسمبر",
]


def read_moment(text: str) -> datetime | None:
    """Return the moment that a feed means, in UTC; a date without zone is UTC, an impossible one is None.

    Read are RFC 3339 and its loose kin, RFC 822 with wrong weekdays, two-digit years and zone names, and months in
    words of the languages that publishers here write in.
    """
    text = clean_line(text)[:100]
    if iso := _ISO.match(text) or _COMPACT.fullmatch(text):
        year, month, day, *clock = iso.groups()
        return _moment(int(year), int(month), int(day), tuple(clock))
    time = _TIME.search(text)
    timed = time.groups() if time else ()
    if found := _DAY_FIRST.search(text):
        return _moment(_year(found[3]), _month(found[2]), int(found[1]), timed)
    if found := _MONTH_FIRST.search(text):
        return _moment(int(found[3]), _month(found[1]), int(found[2]), timed)
    return None


def _moment(year: int, month: int, day: int, clock: tuple[str | None, ...]) -> datetime | None:
    hour, minute, second, half, zone = clock or (None,) * 5
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half[0] in "pPم" else 0)
    try:
        midnight = datetime(year, month, day, tzinfo=timezone(_offset(zone or "")))
        if year < 1900 or hours > 24 or int(minute or 0) > 59 or int(second or 0) > 60:
            return None
        time = timedelta(hours=hours, minutes=int(minute or 0), seconds=min(int(second or 0), 59))
        return (midnight + time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta:
    if found := _OFFSET.match(zone):
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return timedelta(minutes=-minutes if found[1] != "+" else minutes)
    name = re.match(r"[A-Za-z]+", zone)
    return timedelta(minutes=_ZONES.get(name[0].upper(), 0) if name else 0)


def _year(digits: str) -> int:
    """Two digits as RFC 5322 section 4.3 reads them, but turning at 70."""
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year < 70 else 1900)


def _month(name: str) -> int:
    """Return 1 to 12, or 0 for a word that is no month."""
    name = name.lower()
    for number, beginnings in enumerate(_MONTHS, start=1):
        if name.startswith(tuple(beginnings.split())):
            return number
    return 0
