"""A catalogue: one .po file, what its headers say of its language, and which line of it is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from gettext import c2py
from pathlib import Path
from typing import NoReturn

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po

from newsletter.base.errors import ConfigError

SCAFFOLD = "scaffold"
FILE_NAME = re.compile(r"(?P<domain>[a-z]+)\.(?P<code>[a-z]{2,3})\.po")
PLACE = re.compile(r"%\((\w+)\)s")
USUAL_DATE = "EEEE d MMMM[ y]"

_LINE = re.compile(
    r'(#.*|((msgctxt|msgid|msgid_plural|msgstr|msgstr\[[0-5]\]) )?"([^"\\]|\\[nrt"\\])*")?', re.ASCII | re.DOTALL
)
_PLURALS = re.compile(r"nplurals=([1-6]);plural=([-n0-9()?:&|=!<>%+*/]+);?")
_DATE = re.compile(r"([^\[\]]*\bd\b[^\[\]]*)\[([^\[\]]*\by\b[^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a .po file says in its headers; `spoken` must be alike in all files of a language."""

    path: Path
    domain: str
    code: str
    spoken: tuple[tuple[str, str], ...]
    is_scaffold: bool

    def __getitem__(self, header: str) -> str:
        return dict(self.spoken)[header]


@dataclass(frozen=True, slots=True)
class _Header:
    value: str
    line: int


def wrong(path: Path, line: int, cause: str) -> NoReturn:
    """Refuse a catalogue.

    :raises ConfigError: naming file and line
    """
    raise ConfigError(f"{path}, line {line}: {cause}", code="bad_catalogue")


def read_catalogue(path: Path) -> Catalogue:
    """Read the headers of a .po file; docs/languages.md says what each is for.

    :raises ConfigError: naming file and line, if the file cannot be read or a header is missing or wrong
    """
    name = FILE_NAME.fullmatch(path.name)
    if name is None:
        wrong(path, 1, "a catalogue is called pages.CODE.po or mails.CODE.po, CODE as in ISO 639: two or three letters")
    headers = _headers(path)

    def header(key: str, usual: str | None = None) -> str:
        if key not in headers and usual is None:
            wrong(path, 1, f"the header {key} is missing")
        return headers[key].value if key in headers else str(usual)

    code = header("Language")
    if code != name["code"]:
        wrong(path, headers["Language"].line, f"Language is {code}, but the file is called {path.name}")
    spoken = {
        "name": header("X-Name"),
        "direction": header("X-Direction"),
        "locale": header("X-Locale", code),
        "date": header("X-Date", USUAL_DATE),
        "first_of_month": header("X-First-Of-Month", ""),
        "date_words": header("X-Date-Words", ""),
        "plurals": header("Plural-Forms").replace(" ", ""),
    }
    lines = {key: headers[key].line if key in headers else 1 for key in (*headers, "X-Locale", "X-Date")}
    for key, cause in _mistakes(spoken):
        wrong(path, lines.get(key, 1), cause)
    return Catalogue(path, name["domain"], code, tuple(spoken.items()), header("X-State", "") == SCAFFOLD)


def read_messages(path: Path) -> Catalog:
    """Read all messages of a .po file."""
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


def check_messages(catalogue: Catalogue) -> None:
    """Hold a catalogue that is not ours to what the pages and mails can use.

    :raises ConfigError: naming file and line, if a line cannot be read or a translation would break a page
    """
    path = catalogue.path
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not _LINE.fullmatch(line.strip()):
            wrong(path, number, "this is not a line of a .po file")
    try:
        messages = read_messages(path)
    except PoFileError as error:
        wrong(path, error.lineno + 1, str(error))
    except (ValueError, LookupError, TypeError, AttributeError):  # what Babel says of lines in an impossible order
        wrong(path, 1, "the lines of this file are in no order that can be read")
    for message in messages:
        if message.id and (cause := mistake_in(message, plurals=messages.num_plurals)):
            wrong(path, message.lineno or 1, cause)


def forms(message: Message) -> tuple[str, ...]:
    """Return the translations of a message: one, or one for each plural form."""
    return tuple(message.string) if isinstance(message.string, list | tuple) else (str(message.string or ""),)


def ids(message: Message) -> tuple[str, ...]:
    """Return the message itself, and its plural if it has one."""
    return tuple(message.id) if isinstance(message.id, list | tuple) else (str(message.id),)


def mistake_in(message: Message, *, plurals: int) -> str:
    """Say what would break the page that shows this translation; nothing if it is sound or not yet translated."""
    known, texts = set(PLACE.findall(" ".join(ids(message)))), forms(message)
    is_plural = len(ids(message)) > 1
    if not any(texts):
        return ""
    if len(texts) != (plurals if is_plural else 1) or not all(text.strip() for text in texts):
        return f"a message that counts needs its {plurals} forms"
    for text in texts:
        named = set(PLACE.findall(text))
        if named - known or (named != known and not is_plural):
            places = ", ".join(f"%({each})s" for each in sorted(known)) or "no place"
            return f"a translation fills the same places as its message: {places}"
        if "%" in PLACE.sub("", text).replace("%%", ""):
            return "a % is written %% in a translation"
        if any(sign in text and sign not in "".join(ids(message)) for sign in "<>&"):
            return "a translation holds no markup: no <, > or &"
    return ""


def _mistakes(spoken: dict[str, str]) -> Iterator[tuple[str, str]]:
    if not spoken["name"]:
        yield "X-Name", "X-Name is empty: write the language's name in itself"
    if spoken["direction"] not in {"ltr", "rtl"}:
        yield "X-Direction", "X-Direction is ltr or rtl"
    if not _is_known(spoken["locale"]):
        yield "X-Locale", f"nothing is known of the locale “{spoken['locale']}”: name a related one in X-Locale"
    if not _DATE.fullmatch(spoken["date"]):
        yield "X-Date", "X-Date is written like EEEE d MMMM[ y], in the brackets what is said with a year"
    if any("=" not in pair for pair in spoken["date_words"].split(",") if pair):
        yield "X-Date-Words", "X-Date-Words is written like ours=yours, theirs=yours"
    plurals = _PLURALS.fullmatch(spoken["plurals"])
    if plurals is None or not _counts(plurals[2], int(plurals[1])):
        yield "Plural-Forms", "Plural-Forms is written like nplurals=2; plural=(n != 1);"


def _is_known(locale: str) -> bool:
    try:
        return bool(Locale.parse(locale))
    except (UnknownLocaleError, ValueError):
        return False


def _counts(rule: str, plurals: int) -> bool:
    try:
        chosen = c2py(rule)
        return all(0 <= chosen(number) < plurals for number in range(200))
    except (ValueError, OverflowError, RecursionError, ZeroDivisionError):
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        wrong(path, error.object[: error.start].count(b"\n") + 1, "this is not UTF-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", code="bad_catalogue") from None


def _headers(path: Path) -> dict[str, _Header]:
    found, joined, begun = {}, "", 1
    for number, line in _header_lines(_text(path).split("\n")):
        begun = begun if joined else number
        joined += line[1:-1]
        while "\\n" in joined:
            header, _, joined = joined.partition("\\n")
            key, _, value = header.partition(":")
            found[key.strip()] = _Header(value.strip().replace('\\"', '"'), begun)
            begun = number
    if not found:
        wrong(path, 1, "a catalogue begins with its headers, as the translation of an empty message")
    return found


def _header_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    is_header = False
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if line == 'msgstr ""':
            is_header = True
        elif is_header and not (line.startswith('"') and line.endswith('"')):
            return
        elif is_header:
            yield number, line
        elif line and not line.startswith(("#", 'msgid ""')):
            return
