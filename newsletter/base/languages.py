"""The languages that readers are spoken to in: direction, locale, catalogues, dates.

A further language is a row here and a catalogue of each domain in catalogues/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from newsletter.base.errors import InvalidInput

CATALOGUES = Path(__file__).parent / "catalogues"
LRI, RLI, PDI = "\u2066", "\u2067", "\u2069"


@dataclass(frozen=True, slots=True)
class Language:
    """A language with its own name, its direction and its locale."""

    code: str
    name: str
    direction: Literal["ltr", "rtl"]
    locale: str

    @property
    def is_rtl(self) -> bool:
        return self.direction == "rtl"


LANGUAGES: Mapping[str, Language] = {
    language.code: language
    for language in (
        Language("fr", "Français", "ltr", "fr"),
        Language("ar", "العربية", "rtl", "ar_MA"),
        Language("en", "English", "ltr", "en_GB"),
    )
}
_FIRST_OF_MONTH = {"fr": "'1er'", "ar": "'فاتح'"}
SOURCE_LANGUAGE = "en"  # the msgids of the catalogues are English


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
    for path in sorted(CATALOGUES.glob(f"*.{code}.po")):
        buffer = BytesIO()
        with path.open("rb") as file:
            write_mo(buffer, read_po(file, locale=language(code).locale))
        buffer.seek(0)
        catalogue = Translations(buffer)
        merged.merge(catalogue)
        merged.plural = catalogue.plural  # merging takes the messages and leaves the rule of their plurals behind
    return merged


def direction_of(code: str) -> Literal["ltr", "rtl"]:
    """Return the direction of any ISO 639 code, also of languages that we do not speak ourselves."""
    if code in LANGUAGES:
        return LANGUAGES[code].direction
    try:
        return "rtl" if Locale.parse(code.replace("-", "_")).text_direction == "rtl" else "ltr"
    except (ValueError, LookupError):
        return "ltr"


def spoken_date(moment: date | datetime, code: str, *, with_year: bool = False) -> str:
    """Write a day as people say it: lundi 23 novembre, mardi 1er décembre; الإثنين 23 نونبر, الثلاثاء فاتح دجنبر."""
    day = _FIRST_OF_MONTH.get(code, "d") if moment.day == 1 else "d"
    pattern = f"EEEE {day} MMMM" + (" y" if with_year else "")
    written = str(format_date(moment, pattern, locale=language(code).locale))
    return written.replace("الاثنين", "الإثنين")  # CLDR leaves the hamza out


def named(names: Mapping[str, str], preference: Sequence[str]) -> str:
    """Pick the name in the first preferred language that has one, else any."""
    for code in (*preference, SOURCE_LANGUAGE):
        if names.get(code):
            return names[code]
    return next(iter(names.values()), "")
