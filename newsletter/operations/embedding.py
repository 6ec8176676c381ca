"""The sign-up form for another site: plain HTML that works without a script, or a frame with our own page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import SOURCE_LANGUAGE, direction_of, language, translations
from newsletter.base.resources import resource
from newsletter.newsletters.models import Frequency, Newsletter


@dataclass(frozen=True, slots=True)
class Said:
    """A text and the language it is in, which is not the form's where that has none."""

    text: str
    language: str

    @property
    def direction(self) -> str:
        return direction_of(self.language)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the form and its script lead."""

    page: str
    subscriptions: str
    challenge: str
    script: str


def snippet(
    newsletter: Newsletter,
    *,
    spoken: str,
    base_url: str,
    topics: Sequence[str] = (),
    frequency: Frequency | None = None,
    with_script: bool = True,
) -> str:
    """Return the form as HTML. Without topics it asks for all, without a frequency for the newsletter's first one.

    :raises InvalidInput: if the newsletter does not have the language, a topic or the frequency
    """
    _check(newsletter, spoken, topics, frequency)
    return _rendered(
        "snippet.html",
        spoken,
        newsletter=newsletter,
        name=_said(newsletter.names, spoken),
        promise=_said(newsletter.promises, spoken),
        institution=_said(newsletter.institution, spoken),
        topics=topics,
        frequency=frequency,
        urls=_addresses(base_url, spoken),
        with_script=with_script,
    )


def frame(newsletter: Newsletter, *, spoken: str, base_url: str) -> str:
    """Return a frame with our own form as HTML.

    :raises InvalidInput: if the newsletter does not come in the language
    """
    _check(newsletter, spoken, (), None)
    url = f"{base_url}/{spoken}/embed?newsletters={newsletter.slug}"
    return _rendered("frame.html", spoken, url=url, name=_said(newsletter.names, spoken))


def _check(newsletter: Newsletter, spoken: str, topics: Sequence[str], frequency: Frequency | None) -> None:
    _has(newsletter, "language", [language(spoken).code], newsletter.languages)
    _has(newsletter, "topic", topics, [topic.slug for topic in newsletter.topics])
    if frequency is not None:
        _has(newsletter, "frequency", [frequency], [rhythm.frequency for rhythm in newsletter.rhythms])


def _has(newsletter: Newsletter, what: str, wanted: Sequence[str], offered: Sequence[str]) -> None:
    for each in wanted:
        if each not in offered:
            raise InvalidInput(f"“{newsletter.slug}” has no {what} “{each}”: it has {', '.join(offered)}")


def _addresses(base_url: str, spoken: str) -> Addresses:
    return Addresses(
        page=f"{base_url}/{spoken}/subscriptions",
        subscriptions=f"{base_url}/api/v1/subscriptions",
        challenge=f"{base_url}/api/v1/challenge",
        script=f"{base_url}/static/embed.js",
    )


def _said(texts: Mapping[str, str], spoken: str) -> Said:
    """Pick the text in the form's language, else in any."""
    code = next((code for code in (spoken, SOURCE_LANGUAGE, *texts) if texts.get(code)), spoken)
    return Said(texts.get(code, ""), code)


def _rendered(template: str, spoken: str, **values: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(resource("templates") / "web" / "embed"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    told = translations(spoken)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        told.gettext, told.ngettext, newstyle=True
    )
    return environment.get_template(template).render(language=language(spoken), **values).strip()
