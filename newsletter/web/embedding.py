"""The sign-up form in a frame on the institution's site: the only pages that another site may show, if allowed."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.newsletters import queries
from newsletter.newsletters.models import Newsletter
from newsletter.web import signup
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.headers import allow
from newsletter.web.signup_form import blank_form

ACCESS = "public"
FORM, ANSWER = "embed/framed_form.html", "embed/framed_answer.html"
blueprint = Blueprint("embedding", __name__)


@blueprint.get("/<spoken:lang>/embed")
def form(lang: str) -> ResponseReturnValue:
    _let_be_framed()
    with parts().database.reading() as work:
        offered = _asked(work)
        blank = blank_form(offered, page_language=lang, chosen=[newsletter.slug for newsletter in offered])
        return signup.form_page(offered, blank, template=FORM, action=_here(lang, offered))


@blueprint.post("/<spoken:lang>/embed")
@evenly
def subscribe(lang: str) -> ResponseReturnValue:
    _let_be_framed()
    with parts().database.reading() as work:
        offered = _asked(work)
    return signup.taken(offered, lang=lang, again=FORM, answer=ANSWER, action=_here(lang, offered))


def _let_be_framed() -> None:
    """Let the allowed sites show what is answered, errors included."""
    allow(frame_ancestors=" ".join(parts().settings.embed_origins) or "'none'")


def _asked(work: Work) -> Sequence[Newsletter]:
    """Return the newsletters that the address names, or all.

    :raises NotFound: if there is none of a name
    """
    offered = queries.all_newsletters(work)
    named = request.args.getlist("newsletters")
    if not set(named) <= {newsletter.slug for newsletter in offered}:
        raise NotFound("there is no such newsletter", code="unknown_newsletter")
    return [newsletter for newsletter in offered if newsletter.slug in named] if named else offered


def _here(lang: str, offered: Sequence[Newsletter]) -> str:
    return url_for("embedding.subscribe", lang=lang, newsletters=[newsletter.slug for newsletter in offered])
