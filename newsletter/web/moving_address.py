"""Another address: asked for on a page that the preferences lead to, confirmed by a link out of the new mailbox."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.addresses import masked, read_address
from newsletter.base.errors import ExpiredToken, InvalidInput
from newsletter.db.database import Work
from newsletter.subscriptions.address_change import (
    Standing,
    ask_new_address,
    confirm_new_address,
    request_of,
    standing,
)
from newsletter.subscriptions.models import Request
from newsletter.web import preferences
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.frame import page, shown_address
from newsletter.web.problems import Problem, address_problem
from newsletter.web.speech import N_, gettext, speak, spoken

ACCESS = "public"
blueprint = Blueprint("moving_address", __name__)


class Told(NamedTuple):
    """What the page says of a link that can do nothing (any more), and its status."""

    status: int
    title: str
    text: str


WORDS = {
    Standing.SUPERSEDED: Told(
        410,
        N_("This link is no longer in force"),
        N_("It was used before, or you asked for another change since. Nothing was changed."),
    ),
    Standing.IN_USE: Told(
        409,
        N_("This address receives our newsletters already"),
        N_(
            "It has subscriptions of its own, so nothing was changed. To choose what comes here, follow the link "
            "to your preferences at the foot of any issue."
        ),
    ),
    Standing.CLOSED: Told(
        409,
        N_("We do not write to this address"),
        N_(
            "Somebody asked us never to write to it again, or our mail came back from it. Nothing was changed: "
            "the newsletters go on coming to the other address."
        ),
    ),
    Standing.ENDED: Told(
        410,
        N_("There is nothing left to change"),
        N_("The subscriptions that this link was about have ended. Nothing comes to this address."),
    ),
}


@blueprint.get("/preferences/<token>/address")
def form(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        return _form_page(work, token)


@blueprint.post("/preferences/<token>/address")
@evenly
def ask(token: str) -> ResponseReturnValue:
    """Mail the new address a link. The answer is the same for every address."""
    typed = request.form.get("address", "")
    with parts().database.work() as work:
        person, active = preferences.opened_by(work, token, hold=True)
        problem = address_problem(typed)
        if not active or problem:
            return _form_page(work, token, typed, problem)
        try:
            address = read_address(typed)
            key = parts().address_key
            ask_new_address(work, person=person, address=address, address_key=key, spoken=spoken().code)
        except InvalidInput as error:
            if error.code != "address_same":
                raise
            same = Problem("address", gettext("Our newsletters come to this address already."))
            return _form_page(work, token, typed, same)
        return page(
            "public/new_address_mailed.html",
            newsletters=[each.newsletter for each in active],
            address=masked(address.mailed),
            token=token,
        )


@blueprint.get("/address/<token>")
def look(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        asked = _asked(work, token)
        found = standing(work, asked)
        if found is not Standing.OPEN:
            return _standing_page(asked, found)
        parts().links.read_change_address(token, now=work.now)
        return page(
            "public/confirm_address.html",
            newsletters=[asked.newsletter],
            address=masked(asked.address or ""),
            old_address=shown_address(asked.subscriber),
            token=token,
        )


@blueprint.post("/address/<token>")
def confirm(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        asked = _asked(work, token)
        text = gettext("Receive the newsletters here")
        found = confirm_new_address(work, token=token, links=parts().links, text_shown=text)
        return _standing_page(asked, found)


@blueprint.errorhandler(ExpiredToken)
def expired(error: ExpiredToken) -> ResponseReturnValue:
    """Say where to ask once more."""
    if request.endpoint in {"moving_address.form", "moving_address.ask"}:
        return preferences.expired(error)
    with parts().database.reading() as work:
        asked = _asked(work, (request.view_args or {}).get("token", ""))
        return page("public/new_address_expired.html", status=410, newsletters=[asked.newsletter])


def _asked(work: Work, token: str) -> Request:
    """Return the request of a link of any age, and answer in its language from here on.

    :raises InvalidToken: if the link is not ours
    """
    asked = request_of(work, token=token, links=parts().links)
    speak(asked.language)
    return asked


def _form_page(work: Work, token: str, typed: str = "", problem: Problem | None = None) -> ResponseReturnValue:
    person, active = preferences.opened_by(work, token)
    if not active:
        return redirect(url_for("preferences.show", token=token))
    return page(
        "public/new_address.html",
        status=400 if problem else 200,
        newsletters=[each.newsletter for each in active],
        address=shown_address(person),
        typed=typed,
        problems=[problem] if problem else [],
        token=token,
    )


def _standing_page(asked: Request, found: Standing) -> ResponseReturnValue:
    if found is Standing.DONE:
        return page(
            "public/address_changed.html",
            newsletters=[asked.newsletter],
            address=shown_address(asked.subscriber),
        )
    words = WORDS[found]
    return page("public/address_kept.html", status=words.status, newsletters=[asked.newsletter], words=words)
