"""Asking for the link to one's preferences without a mail of ours at hand: one types the address, it gets the link."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from newsletter.base.addresses import masked, read_address
from newsletter.newsletters import queries
from newsletter.subscriptions import limits
from newsletter.subscriptions.limits import Attempt
from newsletter.subscriptions.preferences import ask_preferences_at
from newsletter.web.asking import limits_set
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.frame import in_other_languages, page
from newsletter.web.network import client_network
from newsletter.web.problems import Problem, address_problem

ACCESS = "public"
blueprint = Blueprint("preferences_by_address", __name__)


@blueprint.get("/<spoken:lang>/preferences")
def form(lang: str) -> ResponseReturnValue:  # noqa: ARG001 (read from the path by speech)
    return _form_page()


@blueprint.post("/<spoken:lang>/preferences")
@evenly
def mail_link(lang: str) -> ResponseReturnValue:  # noqa: ARG001
    """Mail the link to whoever reads at this address. The answer is the same for every address."""
    typed = request.form.get("address", "")
    problem = address_problem(typed)
    if problem:
        return _form_page(typed, problem)
    address = read_address(typed)
    attempt = Attempt(client_network(), address.key.rpartition("@")[2])
    with parts().database.work() as work:
        wait = limits.weigh(work, attempt, limits=limits_set())
        ask_preferences_at(work, address=address, wait=wait)
        limits.count(work, attempt, limits=limits_set())
        return page(
            "public/preferences_mailed_if_known.html",
            newsletters=queries.all_newsletters(work),
            alternates=in_other_languages("preferences_by_address.form"),
            address=masked(address.mailed),
        )


def _form_page(typed: str = "", problem: Problem | None = None) -> ResponseReturnValue:
    with parts().database.reading() as work:
        return page(
            "public/preferences_by_address.html",
            status=400 if problem else 200,
            newsletters=queries.all_newsletters(work),
            alternates=in_other_languages("preferences_by_address.form"),
            typed=typed,
            problems=[problem] if problem else [],
        )
