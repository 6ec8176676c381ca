"""The sign-up page, and the answer that is the same for every address."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.addresses import masked, read_address
from newsletter.newsletters import queries
from newsletter.newsletters.models import Newsletter
from newsletter.web.asking import ask
from newsletter.web.consent import LAW, agreement, consent, rights
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.frame import home_in_other_languages, page
from newsletter.web.headers import allow
from newsletter.web.problems import Problem
from newsletter.web.rhythm import frequencies_offered
from newsletter.web.signup_form import (
    EMBEDDED,
    SignUpForm,
    blank_form,
    languages_of,
    problems_of,
    read_form,
    sign_up_of,
    token_of,
)
from newsletter.web.speech import spoken

ACCESS = "public"
blueprint = Blueprint("signup", __name__)


@blueprint.get("/")
def root() -> ResponseReturnValue:
    return redirect(url_for("signup.form", lang=spoken().code))


@blueprint.get("/<spoken:lang>/")
def form(lang: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        newsletters = queries.all_newsletters(work)
        chosen = request.args.getlist("newsletters")
        return form_page(newsletters, blank_form(newsletters, page_language=lang, chosen=chosen))


@blueprint.get("/<spoken:lang>/subscriptions")
def back_to_form(lang: str) -> ResponseReturnValue:
    return redirect(url_for("signup.form", lang=lang))


@blueprint.post("/<spoken:lang>/subscriptions")
@evenly
def subscribe(lang: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        newsletters = queries.all_newsletters(work)
    return taken(newsletters, lang=lang)


def taken(
    newsletters: Sequence[Newsletter],
    *,
    lang: str,
    again: str = "public/sign_up.html",
    answer: str = "public/look_in_your_mail.html",
    **context: object,
) -> ResponseReturnValue:
    """Take the form that was sent; the page `again` shows it with what is wrong, the page `answer` says what to do.

    Nobody waits for the database while a page is made.

    :raises NotFound: if there is no such newsletter
    """
    filled = read_form(request.form, newsletters, page_language=lang)
    problems = problems_of(filled, newsletters)
    if problems:
        return form_page(newsletters, filled, problems, template=again, **context)
    sign_up = sign_up_of(filled, page_language=lang, text_shown=consent(_spoken_of(filled, newsletters)))
    with parts().database.work() as work:
        ask(work, sign_up, proof=filled.proof, page_token=filled.page_token, trap=filled.trap)
    return page(
        answer,
        newsletters=newsletters,
        alternates=home_in_other_languages(),
        address=masked(read_address(filled.address).mailed),
    )


def form_page(
    newsletters: Sequence[Newsletter],
    filled: SignUpForm,
    problems: Sequence[Problem] = (),
    *,
    template: str = "public/sign_up.html",
    **context: object,
) -> ResponseReturnValue:
    """Show the form as it is filled in, with what is wrong."""
    allow(script_src="'self'", connect_src="'self'")  # sign_up.js, and the challenge it asks for
    return page(
        template,
        status=400 if problems else 200,
        newsletters=newsletters,
        alternates=home_in_other_languages(),
        form=filled,
        page_token=token_of(filled, links=parts().links, now=parts().clock.now()),
        problems=problems,
        languages=languages_of(newsletters),
        frequencies=frequencies_offered(newsletters),
        agreement=agreement(newsletters),
        rights=rights(newsletters),
        law=LAW,
        **context,
    )


def _spoken_of(filled: SignUpForm, newsletters: Sequence[Newsletter]) -> list[Newsletter]:
    """Return the newsletters of which the form spoke beside its button: our page of all, one elsewhere of its own."""
    return [each for each in newsletters if filled.version != EMBEDDED or each.slug in filled.newsletters]
