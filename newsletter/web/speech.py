"""In which language an answer is given, and the words for it: messages, names, dates, lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, cast

from flask import g, has_request_context, request
from markupsafe import Markup, escape

from newsletter.base.languages import LANGUAGES, SOURCE_LANGUAGE, Language, direction_of, spoken_date, translations
from newsletter.base.languages import language_name as name_of


def N_(message: str) -> str:  # noqa: N802 (gettext's own name)
    """Mark a message for the catalogues; it is translated where it is used."""
    return message


def speak(code: str) -> None:
    """Answer in this language from here on, if it is one of ours."""
    if code in LANGUAGES:
        g.language = LANGUAGES[code]


def spoken() -> Language:
    """Return the language of this answer: what a view said, else the path's, else the browser's."""
    if "language" not in g:
        g.language = _from_path() or _from_header()
    return cast("Language", g.language)


def depends_on_header() -> bool:
    """Say whether the browser's languages decided this answer's."""
    return bool(g.get("negotiated", False))


def gettext(message: str, **values: object) -> str:
    """Translate a message and fill it."""
    return translate(message) % values


def translate(message: str) -> str:
    """Translate a message."""
    return str(translations(spoken().code).gettext(message))


def translate_number(singular: str, plural: str, number: int) -> str:
    """Translate a message that counts."""
    return str(translations(spoken().code).ngettext(singular, plural, number))


_JOINED = {
    ("and", False): N_("%(start)s, %(next)s"),
    ("and", True): N_("%(start)s and %(next)s"),
    ("or", False): N_("%(start)s, %(other)s"),
    ("or", True): N_("%(start)s or %(other)s"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A name and the language it is in, which is not the page's where that has none."""

    text: str
    language: str

    @property
    def direction(self) -> str:
        return direction_of(self.language)

    @property
    def is_foreign(self) -> bool:
        return self.language != spoken().code


def said(names: Mapping[str, str]) -> Said:
    """Pick the name in the page's language, else in any."""
    for code in (spoken().code, SOURCE_LANGUAGE, *names):
        if names.get(code):
            return Said(names[code], code)
    return Said("", spoken().code)


def language_name(code: str) -> str:
    """Write a language's name in the page's language."""
    return name_of(code, spoken=spoken().code)


def listed(items: Iterable[str], word: Literal["and", "or"] = "and") -> Markup:
    """Join as a sentence does: A, B and C. What is not markup is escaped."""
    first, *rest = [escape(item) for item in items] or [Markup("")]
    so_far = first
    for position, item in enumerate(rest, 1):
        message = _JOINED[word, position == len(rest)]
        so_far = Markup(translate(message)) % {"start": so_far, "next": item, "other": item}  # noqa: S704 (a catalogue's, not a reader's)
    return so_far


def day(moment: date | datetime) -> str:
    """Write a day with its year as people say it."""
    return spoken_date(moment, spoken().code, with_year=True)


def _from_path() -> Language | None:
    if not has_request_context():
        return None
    return next((LANGUAGES[part] for part in request.path.split("/") if part in LANGUAGES), None)


def _from_header() -> Language:
    g.negotiated = True
    first = next(iter(LANGUAGES))
    return LANGUAGES[request.accept_languages.best_match(list(LANGUAGES), default=first) or first]
