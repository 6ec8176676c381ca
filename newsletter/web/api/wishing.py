"""Reads a sign-up out of a JSON object: held to its schema first, then to what the newsletters offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import request

from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscriptions.actions import SignUp
from newsletter.web.api.checking import Mistake, mistakes, pointer
from newsletter.web.api.problems import InvalidBody
from newsletter.web.api.schemas import schemas
from newsletter.web.signup_form import EMBEDDED, SignUpForm, problems_of
from newsletter.web.speech import gettext

FORM = "api-1"
PLACES = {"language": "languages"}  # what a field of the page is called in the body, where that differs


def sign_up_in(body: Mapping[str, Any], offered: Sequence[Newsletter]) -> SignUp:
    """Return the sign-up that a body asks for; what the newsletters must make of it is checked too.

    :raises InvalidBody: with all that is wrong in it
    """
    known = schemas()
    wrong = mistakes(body, known["SignUp"], known) or [*_unknown(body, offered)] or [*_unfit(body, offered)]
    if wrong:
        raise InvalidBody(mistakes=wrong)
    return SignUp(
        address=body["address"],
        newsletters=body["newsletters"],
        languages=_languages(body),
        frequency=Frequency(body["frequency"]) if "frequency" in body else None,
        page_language=body["page_language"],
        text_shown=body["consent_text"],
        topics=body.get("topics", {}),
        form_version=EMBEDDED if "Origin" in request.headers else FORM,
    )


def _unknown(body: Mapping[str, Any], offered: Sequence[Newsletter]) -> Iterator[Mistake]:
    """Tell what is named and does not exist."""
    topics = {newsletter.slug: {topic.slug for topic in newsletter.topics} for newsletter in offered}
    for position, slug in enumerate(body["newsletters"]):
        if slug not in topics:
            yield Mistake(gettext("There is no newsletter of this name."), pointer("newsletters", position))
    for slug, chosen in body.get("topics", {}).items():
        if slug not in body["newsletters"]:
            yield Mistake(gettext("This newsletter is not among those chosen."), pointer("topics", slug))
            continue
        for position, topic in enumerate(chosen):
            if topic not in topics.get(slug, ()):
                yield Mistake(gettext("The newsletter has no such topic."), pointer("topics", slug, position))


def _unfit(body: Mapping[str, Any], offered: Sequence[Newsletter]) -> Iterator[Mistake]:
    """Tell what the page would tell too, in its words."""
    language, *also = _languages(body)
    form = SignUpForm(
        address=body["address"],
        newsletters=body["newsletters"],
        topics={each.slug: [topic.slug for topic in each.topics] for each in offered} | body.get("topics", {}),
        language=language,
        also=also,
        frequency=body.get("frequency", ""),
    )
    for problem in problems_of(form, offered):
        yield Mistake(problem.message, pointer(PLACES.get(problem.field, problem.field)))


def _languages(body: Mapping[str, Any]) -> list[str]:
    return body.get("languages") or [body["page_language"]]
