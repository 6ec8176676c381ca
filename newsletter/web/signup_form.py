"""The sign-up form: as it is shown first, as it was typed, and what is missing in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from werkzeug.datastructures import MultiDict

from newsletter.base.errors import InvalidInput, InvalidToken, NotFound
from newsletter.base.languages import LANGUAGES, Language
from newsletter.base.links import Links
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscriptions.actions import SignUp
from newsletter.web.problems import Problem, address_problem
from newsletter.web.speech import gettext, said

PAGE, EMBEDDED = "page-1", "embedded-1"  # the versions of the form, as the register of consents names them
TRAP = "remarks"  # a name that tempts robots, and that no browser fills by itself


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """What stands in the form's fields; `topics` by newsletter, `also` are the further languages.

    `page_token` holds the moment at which our page was made, and is None for a form on another site; `trap` is what
    stood in the field that people do not see, `proof` what the page's script worked out.
    """

    address: str
    newsletters: Sequence[str]
    topics: Mapping[str, Sequence[str]]
    language: str
    also: Sequence[str]
    frequency: str
    version: str = PAGE
    page_token: str | None = None
    trap: str = ""
    proof: str = ""

    @property
    def languages(self) -> list[str]:
        """The reader's languages in order of preference."""
        return list(dict.fromkeys((self.language, *self.also)))


def blank_form(offered: Sequence[Newsletter], *, page_language: str, chosen: Sequence[str] = ()) -> SignUpForm:
    """Return the form as it is shown first: every topic, the page's language, the first rhythm."""
    codes = [language.code for language in languages_of(offered)]
    return SignUpForm(
        address="",
        newsletters=chosen if len(offered) > 1 else [newsletter.slug for newsletter in offered],
        topics={newsletter.slug: [topic.slug for topic in newsletter.topics] for newsletter in offered},
        language=page_language if page_language in codes else next(iter(codes), page_language),
        also=(),
        frequency=next((str(rhythm.frequency) for newsletter in offered for rhythm in newsletter.rhythms), ""),
    )


def read_form(values: MultiDict[str, str], offered: Sequence[Newsletter], *, page_language: str) -> SignUpForm:
    """Read what was sent. A field that the sender did not show keeps what it is first shown with.

    :raises NotFound: if there is no such newsletter
    """
    newsletters = values.getlist("newsletters")
    if not set(newsletters) <= {newsletter.slug for newsletter in offered}:
        raise NotFound("there is no such newsletter", code="unknown_newsletter")
    blank = blank_form(offered, page_language=page_language)
    shown = values.getlist("shown_topics")
    version = EMBEDDED if values.get("form") == EMBEDDED else PAGE
    return SignUpForm(
        address=values.get("address", ""),
        newsletters=newsletters,
        topics={
            slug: values.getlist(f"topics.{slug}") if slug in shown else topics for slug, topics in blank.topics.items()
        },
        language=values.get("language", blank.language),
        also=values.getlist("also"),
        frequency=values.get("frequency", blank.frequency),
        version=version,
        page_token=None if version == EMBEDDED else values.get("moment", ""),
        trap=values.get(TRAP, ""),
        proof=values.get("proof", ""),
    )


def token_of(form: SignUpForm, *, links: Links, now: datetime) -> str:
    """Return what tells when the page was first shown: a form sent back for mending keeps its moment."""
    try:
        links.read_page(form.page_token or "")
    except InvalidToken:
        return links.page_token(at=now)
    return form.page_token or ""


def problems_of(form: SignUpForm, offered: Sequence[Newsletter]) -> list[Problem]:
    """Return what keeps this form from being taken, in the order of its fields."""
    chosen = [newsletter for newsletter in offered if newsletter.slug in form.newsletters]
    wrong = address_problem(form.address)
    problems = [wrong] if wrong else []
    if not form.newsletters:
        problems.append(Problem("newsletters", gettext("Choose at least one newsletter.")))
    problems += [problem for newsletter in chosen for problem in _problems_with(newsletter, form)]
    frequencies = {rhythm.frequency for newsletter in chosen for rhythm in newsletter.rhythms}
    if chosen and form.frequency in set(Frequency) and form.frequency not in frequencies:
        problems.append(Problem("frequency", gettext("None of the newsletters chosen comes this often.")))
    return problems


def _problems_with(newsletter: Newsletter, form: SignUpForm) -> list[Problem]:
    name, problems = said(newsletter.names).text, []
    if not form.topics[newsletter.slug]:
        message = gettext("Choose at least one topic of “%(newsletter)s”.", newsletter=name)
        problems.append(Problem(f"topics-{newsletter.slug}", message))
    if set(form.languages) <= set(LANGUAGES) and not set(form.languages) & set(newsletter.languages):
        message = gettext("“%(newsletter)s” does not come in this language: choose another.", newsletter=name)
        problems.append(Problem("language", message))
    return problems


def sign_up_of(form: SignUpForm, *, page_language: str, text_shown: str) -> SignUp:
    """Return the wish that a form without problems holds.

    :raises InvalidInput: if the frequency is none of ours
    """
    if form.frequency not in set(Frequency):
        raise InvalidInput("no such frequency", code="unknown_frequency")
    return SignUp(
        address=form.address,
        newsletters=form.newsletters,
        languages=form.languages,
        frequency=Frequency(form.frequency),
        page_language=page_language,
        text_shown=text_shown,
        topics=form.topics,
        form_version=form.version,
    )


def languages_of(newsletters: Sequence[Newsletter]) -> list[Language]:
    """Return the languages that at least one of these newsletters speaks."""
    codes = {code for newsletter in newsletters for code in newsletter.languages}
    return [language for code, language in LANGUAGES.items() if code in codes]
