"""From options and a file to a newsletter to be."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import LANGUAGES, language, translations
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic
from newsletter.newsletters.models import Frequency

ANY_LANGUAGE = ""  # the key of a text that was given without a language
UNSET_DOMAIN = "newsletter.example"  # RFC 2606: belongs to nobody
_LABELLED = re.compile(r"([a-z]{2,3})=(.*)", re.DOTALL)
_NEXT_LABEL = re.compile(r",(?=[a-z]{2,3}=)")
_MAIL_DOMAIN = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}")
_WEEKDAYS = (
    ("monday", "lundi"),
    ("tuesday", "mardi"),
    ("wednesday", "mercredi"),
    ("thursday", "jeudi"),
    ("friday", "vendredi"),
    ("saturday", "samedi"),
    ("sunday", "dimanche"),
)
_USUAL_RHYTHM = NewRhythm(Frequency.WEEKLY, weekday=0)

Texts = dict[str, str]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Topic(_Strict):
    slug: str
    names: Texts = {}


class _Daily(_Strict):
    time: dt.time = dt.time(8)


class _Weekly(_Daily):
    weekday: int = 0


class _Monthly(_Daily):
    day: int = 1


class Description(_Strict):
    """What a file may say of a newsletter; texts by language, or under "" for all of them."""

    slug: str
    names: Texts
    institution: Texts = {}
    promise: Texts = {}
    postal_address: Texts = {}
    cndp_reference: str = ""
    topics: list[_Topic] = []
    languages: list[str] = []
    time_zone: str = "Africa/Casablanca"
    weekly: _Weekly | None = None
    daily: _Daily | None = None
    monthly: _Monthly | None = None
    immediate: bool = False
    mail_domain: str = ""
    sender: str = ""
    confirmation_sender: str = ""
    owner: str = ""
    accent: str = "#0B5D3B"


def describe(file: Path | None, options: Mapping[str, Any], *, base_url: str) -> NewNewsletter:
    """Put together what a file says and what the options say over it; the rest gets sensible defaults.

    :raises InvalidInput: naming the file, the option or the field that cannot be used
    """
    given = {**(_read(file) if file else {}), **{name: value for name, value in options.items() if value}}
    for name, how in (("slug", "write SLUG"), ("names", "use --name")):
        if not given.get(name):
            raise InvalidInput(f"the newsletter's {name} is missing: {how}, or --from FILE.json")
    try:
        said = Description.model_validate(given)
    except ValidationError as error:
        cause = error.errors()[0]
        place = ".".join(map(str, cause["loc"]))
        raise InvalidInput(f"{place}: {cause['msg'].removeprefix('Value error, ')}") from None
    return _complete(said, base_url)


def read_texts(values: Sequence[str]) -> Texts:
    """Read texts such as `fr=Bonjour`; one without a language is for all of them.

    :raises InvalidInput: if we do not speak the language
    """
    texts: Texts = {}
    for value in values:
        labelled = _LABELLED.fullmatch(value)
        if labelled is None:
            texts[ANY_LANGUAGE] = value
        else:
            texts[language(labelled[1]).code] = labelled[2]
    return texts


def read_topic(value: str) -> dict[str, Any]:
    """Read a topic such as `sante:fr=Santé,ar=الصحة`, `sante:Santé` or `sante`.

    :raises InvalidInput: if we do not speak a language
    """
    slug, _, names = value.partition(":")
    return {"slug": slug, "names": read_texts(_NEXT_LABEL.split(names)) if names else {}}


def read_weekly(value: str) -> dict[str, Any]:
    """Read a weekly moment such as `monday@08:00` or `lundi`.

    :raises InvalidInput: if there is no such day
    """
    name, _, clock = value.partition("@")
    for number, names in enumerate(_WEEKDAYS):
        if any(name.lower() in {day, day[:3]} for day in names):
            return {"weekday": number} | _time(clock)
    raise InvalidInput(f"“{name}” is no weekday: write monday@08:00")


def read_monthly(value: str) -> dict[str, Any]:
    """Read a monthly moment such as `1@08:00`.

    :raises InvalidInput: if there is no such day
    """
    day, _, clock = value.partition("@")
    if not day.isdecimal():
        raise InvalidInput(f"“{day}” is no day of the month: write 1@08:00")
    return {"day": int(day)} | _time(clock)


def read_daily(value: str) -> dict[str, Any]:
    """Read a time of day such as `07:00`.

    :raises InvalidInput: if it is none
    """
    return _time(value)


def _time(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return {"time": dt.time.fromisoformat(text)}
    except ValueError:
        raise InvalidInput(f"“{text}” is no time of day such as 08:00") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} does not describe a newsletter: it is no object with names and values")
    return found


def _complete(said: Description, base_url: str) -> NewNewsletter:
    languages = said.languages or _languages_of(said.names)
    names = in_all(said.names, languages)
    return NewNewsletter(
        slug=said.slug,
        names=names,
        institution={**names, **in_all(said.institution, languages)},
        mail_domain=said.mail_domain or _domain_of(base_url),
        promises=in_all(said.promise, languages),
        postal_address=in_all(said.postal_address, languages),
        cndp_reference=said.cndp_reference,
        languages=languages,
        time_zone=said.time_zone,
        sender=said.sender,
        confirmation_sender=said.confirmation_sender,
        owner=said.owner,
        accent=said.accent,
        topics=[_topic(topic, languages) for topic in said.topics] or [_usual_topic(languages)],
        rhythms=_rhythms(said) or [_USUAL_RHYTHM],
    )


def _languages_of(names: Texts) -> list[str]:
    """Speak the languages of the newsletter's names; all of ours if a name is for all."""
    return list(LANGUAGES) if ANY_LANGUAGE in names else [code for code in LANGUAGES if code in names] or list(names)


def in_all(texts: Texts, languages: Sequence[str]) -> Texts:
    """Return the texts by language, one that was given without a language in each that has none of its own."""
    common = texts.get(ANY_LANGUAGE)
    found = {code: texts.get(code) or common for code in {**dict.fromkeys(languages), **texts} if code != ANY_LANGUAGE}
    return {code: text for code, text in found.items() if text}


def _usual_topic(languages: Sequence[str]) -> NewTopic:
    return NewTopic("news", {code: translations(code).gettext("News") for code in languages})


def _topic(topic: _Topic, languages: Sequence[str]) -> NewTopic:
    names = in_all(topic.names, languages)
    return NewTopic(topic.slug, names or dict.fromkeys(languages, topic.slug.replace("-", " ").capitalize()))


def _rhythms(said: Description) -> list[NewRhythm]:
    rhythms = []
    if said.immediate:
        rhythms.append(NewRhythm(Frequency.IMMEDIATE))
    if said.daily:
        rhythms.append(NewRhythm(Frequency.DAILY, at=said.daily.time))
    if said.weekly:
        rhythms.append(NewRhythm(Frequency.WEEKLY, at=said.weekly.time, weekday=said.weekly.weekday))
    if said.monthly:
        rhythms.append(NewRhythm(Frequency.MONTHLY, at=said.monthly.time, day=said.monthly.day))
    return rhythms


def _domain_of(base_url: str) -> str:
    host = (urlsplit(base_url).hostname or "").removeprefix("www.")
    return host if _MAIL_DOMAIN.fullmatch(host) else UNSET_DOMAIN
