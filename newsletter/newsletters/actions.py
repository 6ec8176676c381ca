"""Adding newsletters, and changing what they say of themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time

from sqlalchemy import select

from newsletter.base.addresses import read_address
from newsletter.base.clock import zone
from newsletter.base.errors import Conflict, InvalidInput
from newsletter.base.languages import LANGUAGES, language
from newsletter.db.database import Work
from newsletter.newsletters.models import Frequency, Newsletter, Rhythm, Topic

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_ACCENT = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to be."""

    slug: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewRhythm:
    """A rhythm to be: `weekday` 0 is Monday; `day` is the day of the month."""

    frequency: Frequency
    at: time = time(8)
    weekday: int | None = None
    day: int | None = None


@dataclass(frozen=True, slots=True)
class NewNewsletter:
    """A newsletter to be; texts by language."""

    slug: str
    names: Mapping[str, str]
    institution: Mapping[str, str]
    mail_domain: str
    promises: Mapping[str, str] = field(default_factory=dict)
    postal_address: Mapping[str, str] = field(default_factory=dict)
    cndp_reference: str = ""
    languages: Sequence[str] = field(default_factory=lambda: tuple(LANGUAGES))
    time_zone: str = "Africa/Casablanca"
    sender: str = ""
    confirmation_sender: str = ""
    owner: str = ""
    accent: str = "#0B5D3B"
    topics: Sequence[NewTopic] = ()
    rhythms: Sequence[NewRhythm] = ()


def add_newsletter(work: Work, *, new: NewNewsletter) -> Newsletter:
    """Add a newsletter with its topics and rhythms; slots before this moment are never opened.

    :raises InvalidInput: naming the field that cannot be used
    :raises Conflict: if there is one of that name
    """
    _check(new)
    if work.session.scalar(select(Newsletter.id).where(Newsletter.slug == new.slug)):
        raise Conflict(f"there is a newsletter “{new.slug}” already")
    newsletter = Newsletter(
        slug=new.slug,
        names=dict(new.names),
        promises=dict(new.promises),
        institution=dict(new.institution),
        postal_address=dict(new.postal_address),
        cndp_reference=new.cndp_reference,
        languages=list(new.languages),
        time_zone=new.time_zone,
        sender=new.sender or f"{new.slug}@{new.mail_domain}",
        confirmation_sender=new.confirmation_sender or f"confirmation@{new.mail_domain}",
        owner=new.owner or f"contact@{new.mail_domain}",
        mail_domain=new.mail_domain,
        accent=new.accent,
        created_at=work.now,
        topics=[Topic(slug=t.slug, names=dict(t.names), position=i) for i, t in enumerate(new.topics, 1)],
        rhythms=[
            Rhythm(frequency=r.frequency, weekday=r.weekday, day=r.day, at=r.at, since=work.now) for r in new.rhythms
        ],
    )
    work.session.add(newsletter)
    work.session.flush()
    return newsletter


@dataclass(frozen=True, slots=True)
class Changes:
    """What a newsletter is to say of itself from now on; None leaves it as it is, a text by language adds to those."""

    names: Mapping[str, str] = field(default_factory=dict)
    institution: Mapping[str, str] = field(default_factory=dict)
    promises: Mapping[str, str] = field(default_factory=dict)
    postal_address: Mapping[str, str] = field(default_factory=dict)
    cndp_reference: str | None = None
    owner: str | None = None
    accent: str | None = None


def edit_newsletter(work: Work, *, newsletter: Newsletter, changes: Changes) -> None:
    """Change what a newsletter says of itself; its slug, domain and languages stay for ever. Safe to repeat.

    :raises InvalidInput: naming what cannot be used
    """
    for name in ("names", "institution", "promises", "postal_address"):
        texts: Mapping[str, str] = getattr(changes, name)
        for code in texts:
            if code not in newsletter.languages:
                raise InvalidInput(f"“{newsletter.slug}” does not come in “{code}”")
        if texts:
            setattr(newsletter, name, {**getattr(newsletter, name), **texts})
    if changes.cndp_reference is not None:
        newsletter.cndp_reference = changes.cndp_reference
    if changes.owner is not None:
        newsletter.owner = read_address(changes.owner).mailed
    if changes.accent is not None:
        _check_accent(changes.accent)
        newsletter.accent = changes.accent
    work.session.flush()


def _check_accent(accent: str) -> None:
    if not _ACCENT.fullmatch(accent):
        raise InvalidInput(f"“{accent}” is no colour such as #0B5D3B")


def _check(new: NewNewsletter) -> None:
    for slug in (new.slug, *(topic.slug for topic in new.topics)):
        if not _SLUG.fullmatch(slug):
            raise InvalidInput(f"“{slug}” is no usable name: 2 to 40 of a–z, 0–9 and -, a letter first")
    _check_languages(new)
    if not _DOMAIN.fullmatch(new.mail_domain):
        raise InvalidInput(f"“{new.mail_domain}” is no mail domain (ASCII, lower case)")
    _check_accent(new.accent)
    for address in filter(None, (new.sender, new.confirmation_sender, new.owner)):
        read_address(address)
    if not new.topics:
        raise InvalidInput("a newsletter needs at least one topic")
    _check_rhythms(new)


def _check_languages(new: NewNewsletter) -> None:
    if not new.languages:
        raise InvalidInput("a newsletter needs at least one language")
    for code in new.languages:
        language(code)
        if not new.names.get(code) or not new.institution.get(code):
            raise InvalidInput(f"the newsletter and its institution need a name in “{code}”")


def _check_rhythms(new: NewNewsletter) -> None:
    try:
        zone(new.time_zone)
    except KeyError:
        raise InvalidInput(f"there is no time zone “{new.time_zone}”") from None
    if not new.rhythms:
        raise InvalidInput("a newsletter needs at least one frequency")
    if len({rhythm.frequency for rhythm in new.rhythms}) < len(new.rhythms):
        raise InvalidInput("a newsletter has at most one rhythm of each frequency")
    for rhythm in new.rhythms:
        if rhythm.frequency is Frequency.WEEKLY and rhythm.weekday not in range(7):
            raise InvalidInput("a weekly rhythm needs a weekday, 0 (Monday) to 6")
        if rhythm.frequency is Frequency.MONTHLY and rhythm.day not in range(1, 32):
            raise InvalidInput("a monthly rhythm needs a day, 1 to 31")
