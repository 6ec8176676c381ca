"""Each newsletter's accent as a small style sheet, so that no page needs a style of its own; and its logo."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template
from flask.typing import ResponseReturnValue

from newsletter.base.errors import NotFound
from newsletter.mail.rendering import palette
from newsletter.newsletters import queries
from newsletter.newsletters.logos import logo
from newsletter.web.current import parts

ACCESS = "public"
blueprint = Blueprint("theme", __name__, url_prefix="/theme")


@blueprint.get("/<slug:newsletter>.css")
def sheet(newsletter: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        colours = palette(queries.by_slug(work, newsletter).accent)
    answer: Response = make_response(render_template("public/theme.css", colours=colours))
    answer.mimetype = "text/css"
    answer.cache_control.public = True
    answer.cache_control.max_age = 3600
    return answer


@blueprint.get("/<slug:newsletter>/logo")
def picture(newsletter: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        shown = queries.by_slug(work, newsletter)
        content = logo(work, newsletter=shown)
        if content is None or shown.logo_type is None:
            raise NotFound(f"“{newsletter}” has no logo")
        answer: Response = make_response(content)
        answer.mimetype = shown.logo_type
    answer.cache_control.public = True
    answer.cache_control.max_age = 3600
    return answer
