"""The languages that readers are spoken to in: what their catalogues say of them, messages, dates.

A further language is a catalogue of each domain, here in catalogues/ or in the folder of the settings; nothing else.
English has none: it is what the messages are written in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from gettext import c2py
from io import BytesIO
from pathlib import Path
from typing import Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.support import Translations

from newsletter.base.catalogue import USUAL_DATE, Catalogue, check_messages, read_catalogue, read_messages, wrong
from newsletter.base.errors import ConfigError, InvalidInput

CATALOGUES = Path(__file__).parent / "catalogues"
DOMAINS = ("pages", "mails")
SOURCE_LANGUAGE = "en"  # the msgids of the catalogues are English
LRI, RLI, PDI = "\u2066", "\u2067", "\u2069"

_DAY = re.compile(r"('[^']*')|\bd\b")  # what is quoted is no day
_FIRST = ("fr", "ar", "en")  # the order in which they are offered; others follow by their codes


@dataclass(frozen=True, slots=True)
class Language:
    """A language with its own name, its direction, its locale and how its dates are said."""

    code: str
    name: str
    direction: Literal["ltr", "rtl"]
    locale: str
    date: str = USUAL_DATE
    first_of_month: str = ""
    date_words: tuple[tuple[str, str], ...] = ()

    @property
    def is_rtl(self) -> bool:
        return self.direction == "rtl"


_learned: dict[str, Language] = {}
_paths: dict[str, list[Path]] = {}
LANGUAGES: Mapping[str, Language] = _learned  # what `learn` found last


def learn(folder: Path | None = None) -> None:
    """Offer the languages of our catalogues and of this folder's; what was learned before from another is forgotten.

    A catalogue of a language that we have already comes on top of ours. Safe to repeat.

    :raises ConfigError: naming the file and the line of it that cannot be used
    """
    ours = _catalogues(CATALOGUES)
    theirs = _catalogues(folder) if folder else {}
    for catalogue in theirs.values():
        check_messages(catalogue)
    languages = {SOURCE_LANGUAGE: Language(SOURCE_LANGUAGE, "English", "ltr", "en_GB")}
    for code in sorted({code for code, _ in (*ours, *theirs)}):
        effective = [theirs.get((code, domain)) or ours.get((code, domain)) for domain in DOMAINS]
        catalogues = _agreeing(code, effective, folder or CATALOGUES)
        if not catalogues[0].is_scaffold:
            languages[code] = _language(catalogues[0])
    order = [*(code for code in _FIRST if code in languages), *(code for code in languages if code not in _FIRST)]
    paths = {
        code: [files[code, domain].path for domain in DOMAINS for files in (ours, theirs) if (code, domain) in files]
        for code in order
    }
    if (paths, languages) != (_paths, _learned):  # else nothing is taken away from threads that answer just now
        _paths.clear()
        _paths.update(paths)
        _learned.clear()
        _learned.update({code: languages[code] for code in order})
        translations.cache_clear()


def language(code: str) -> Language:
    """Return the language of this code.

    :raises InvalidInput: if we do not speak it
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise InvalidInput(f"unknown language “{code}”: known are {', '.join(LANGUAGES)}") from None


@cache
def translations(code: str) -> Translations:
    """Return all messages of a language, every domain together, read from the .po files."""
    merged = Translations()
    for path in _paths[language(code).code]:
        buffer, messages = BytesIO(), read_messages(path)
        write_mo(buffer, messages)
        buffer.seek(0)
        merged.merge(Translations(buffer))
        # Babel writes no rule where it knows no such language.
        merged.plural = c2py(messages.plural_expr)  # type: ignore[assignment]
    return merged


def direction_of(code: str) -> Literal["ltr", "rtl"]:
    """Return the direction of any ISO 639 code, also of languages that we do not speak ourselves."""
    if code in LANGUAGES:
        return LANGUAGES[code].direction
    try:
        return "rtl" if Locale.parse(code.replace("-", "_")).text_direction == "rtl" else "ltr"
    except (UnknownLocaleError, ValueError, LookupError):
        return "ltr"


def language_name(code: str, *, spoken: str) -> str:
    """Name a language in the spoken one (anglais, الإنجليزية); in itself where CLDR has no name for it."""
    names = Locale.parse(language(spoken).locale).languages
    return str(names.get(code) or (LANGUAGES[code].name if code in LANGUAGES else code))


def spoken_date(moment: date | datetime, code: str, *, with_year: bool = False) -> str:
    """Write a day as people say it: lundi 23 novembre, mardi 1er décembre; الإثنين 23 نونبر, الثلاثاء فاتح دجنبر."""
    spoken = language(code)
    start, _, year = spoken.date.rstrip("]").partition("[")
    if moment.day == 1 and spoken.first_of_month:
        first = "'" + spoken.first_of_month.replace("'", "''") + "'"
        start = _DAY.sub(lambda found: found[1] or first, start)
    written = str(format_date(moment, start + (year if with_year else ""), locale=spoken.locale))
    for word, ours in spoken.date_words:
        written = written.replace(word, ours)
    return written


def named(names: Mapping[str, str], preference: Sequence[str]) -> str:
    """Pick the name in the first preferred language that has one, else any."""
    for code in (*preference, SOURCE_LANGUAGE):
        if names.get(code):
            return names[code]
    return next(iter(names.values()), "")


def _catalogues(folder: Path) -> dict[tuple[str, str], Catalogue]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".po")
    except OSError as error:
        raise ConfigError(f"the folder of catalogues {folder} cannot be read: {error.strerror}") from None
    found = [read_catalogue(path) for path in paths]
    for catalogue in found:
        if catalogue.domain not in DOMAINS:
            wrong(catalogue.path, 1, f"we have no messages called {catalogue.domain}: only {', '.join(DOMAINS)}")
        if catalogue.code == SOURCE_LANGUAGE:
            wrong(catalogue.path, 1, "English needs no catalogue: the messages are written in it")
    return {(catalogue.code, catalogue.domain): catalogue for catalogue in found}


def _agreeing(code: str, catalogues: Iterable[Catalogue | None], folder: Path) -> list[Catalogue]:
    found = []
    for domain, catalogue in zip(DOMAINS, catalogues, strict=True):
        if catalogue is None:
            raise ConfigError(f"{folder / f'{domain}.{code}.po'} is missing: a language needs {' and '.join(DOMAINS)}")
        found.append(catalogue)
    first = found[0]
    for other in found[1:]:
        if other.spoken != first.spoken:
            names = ", ".join(key for key, value in first.spoken if other[key] != value)
            wrong(other.path, 1, f"the headers say something else than those of {first.path.name}: {names}")
        if other.is_scaffold != first.is_scaffold:
            wrong((other if other.is_scaffold else first).path, 1, "this is a scaffold still: both are, or none")
    return found


def _language(catalogue: Catalogue) -> Language:
    pairs = (pair.partition("=") for pair in catalogue["date_words"].split(",") if pair)
    return Language(
        catalogue.code,
        catalogue["name"],
        "rtl" if catalogue["direction"] == "rtl" else "ltr",
        catalogue["locale"],
        catalogue["date"],
        catalogue["first_of_month"],
        tuple((word.strip(), ours.strip()) for word, _, ours in pairs),
    )


learn()
