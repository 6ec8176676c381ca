"""Renders a page in its frame: whose letterhead, which theme, in which other languages it is to be had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flask import Response, make_response, render_template, url_for

from newsletter.base.addresses import masked
from newsletter.base.languages import LANGUAGES, Language
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Request
from newsletter.web.speech import Said, said, spoken

ABOUT_PERSONS = "public/"  # the pages that say who answers for what is kept


class Alternate(NamedTuple):
    """The same page in another language."""

    language: Language
    url: str


def page(
    template: str,
    *,
    status: int = 200,
    newsletters: Sequence[Newsletter] = (),
    alternates: Sequence[Alternate] = (),
    **context: object,
) -> Response:
    """Render a page about these newsletters."""
    html = render_template(
        template,
        letterhead=letterhead(newsletters),
        theme=_theme(newsletters),
        logo=_logo(newsletters),
        alternates=alternates,
        newsletters=newsletters,
        is_about_person=template.startswith(ABOUT_PERSONS),
        **context,
    )
    return make_response(html, status)


def letterhead(newsletters: Sequence[Newsletter]) -> Said | None:
    """Return the institution's name, if it is one and the same."""
    names = {said(newsletter.institution) for newsletter in newsletters}
    return names.pop() if len(names) == 1 else None


def shown_address(person: Subscriber) -> str:
    """Write a person's address so that nobody else learns it from the page."""
    return masked(person.address) if person.address else "…"


def mailed_address(request: Request) -> str:
    """Write the address that a request's mail went to, so that nobody else learns it from the page."""
    if request.address is not None:
        return masked(request.address)
    went_to_own = request.address_hash in (None, request.subscriber.address_hash)
    return shown_address(request.subscriber) if went_to_own else "…"


def home_in_other_languages() -> list[Alternate]:
    """Return the sign-up page in each other language."""
    return in_other_languages("signup.form")


def in_other_languages(endpoint: str) -> list[Alternate]:
    """Return a page that has no more in its path than its language, in each other language."""
    others = (language for language in LANGUAGES.values() if language is not spoken())
    return [Alternate(language, url_for(endpoint, lang=language.code)) for language in others]


def _logo(newsletters: Sequence[Newsletter]) -> str | None:
    """Return the address of the logo, where all newsletters are one institution's and one has a logo."""
    with_logo = [newsletter for newsletter in newsletters if newsletter.logo_type]
    if not with_logo or letterhead(newsletters) is None:
        return None
    return url_for("theme.picture", newsletter=with_logo[0].slug)


def _theme(newsletters: Sequence[Newsletter]) -> str | None:
    one_accent = len({newsletter.accent.upper() for newsletter in newsletters}) == 1
    return newsletters[0].slug if one_accent else None
