"""The second step of the double opt-in: a page with a button, and what the button does."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint
from flask import request as http
from flask.typing import ResponseReturnValue

from newsletter.base.errors import ExpiredToken
from newsletter.db.database import Work
from newsletter.newsletters.models import Newsletter
from newsletter.subscriptions import actions, queries
from newsletter.subscriptions.models import Request, SubscriptionState
from newsletter.web.current import parts
from newsletter.web.frame import page, shown_address
from newsletter.web.speech import gettext, said, speak

ACCESS = "public"
blueprint = Blueprint("confirming", __name__, url_prefix="/confirm")


@blueprint.get("/<token>")
def ask(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        request = _request_of(work, token)
        parts().links.read_confirm(token, now=work.now)
        pending = queries.of_subscriber(work, request.subscriber_id, SubscriptionState.PENDING)
        if pending:
            return page(
                "public/confirm.html",
                newsletters=[each.newsletter for each in pending if actions.is_asked_by(request, each)],
                later=[each.newsletter for each in pending if not actions.is_asked_by(request, each)],
                address=shown_address(request.subscriber),
                token=token,
            )
        if request.answered_at is None:
            raise ExpiredToken("what this link was about has ended", code="nothing_to_confirm")
        return _confirmed_page(work, request, already=True)


@blueprint.post("/<token>")
def confirm(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        request = _request_of(work, token)
        shown = _shown()
        pending = [
            subscription
            for subscription in queries.of_subscriber(work, request.subscriber_id, SubscriptionState.PENDING)
            if (actions.is_asked_by(request, subscription) if shown is None else subscription.newsletter.slug in shown)
        ]
        text_shown = asked([subscription.newsletter for subscription in pending])
        actions.confirm(work, token=token, links=parts().links, text_shown=text_shown, shown=shown)
        return _confirmed_page(work, request, already=not pending)


def _shown() -> set[str] | None:
    """Return the newsletters that the page spoke of and the person ticked; None where the form does not tell."""
    return set(http.form.getlist("shown")) or None


def asked(newsletters: Sequence[Newsletter]) -> str:
    """Return the button's sentence as a person reads it: what is confirmed, by name."""
    return f"{gettext('Confirm your subscription')}: {', '.join(said(each.names).text for each in newsletters)}"


def _request_of(work: Work, token: str) -> Request:
    """Return the request of a link of any age, and answer in its language from here on.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if its mail went to an address that the person has left since
    """
    request = queries.request(work, parts().links.read_old_confirm(token))
    speak(request.language)
    actions.check_mailbox(request)
    return request


def _confirmed_page(work: Work, request: Request, *, already: bool) -> ResponseReturnValue:
    active = queries.of_subscriber(work, request.subscriber_id, SubscriptionState.ACTIVE)
    return page(
        "public/confirmed.html",
        newsletters=[subscription.newsletter for subscription in active] or [request.newsletter],
        subscriptions=active,
        address=shown_address(request.subscriber),
        already=already,
    )
