"""Leaving: by the mail program's one click (RFC 8058), by the page's button, or for good."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from newsletter.subscriptions import leaving, queries
from newsletter.subscriptions.models import EndReason, Subscription, SubscriptionState
from newsletter.web.current import parts
from newsletter.web.frame import page, shown_address
from newsletter.web.speech import speak

ACCESS = "public"
blueprint = Blueprint("leaving", __name__)


@blueprint.get("/u/<token>")
def ask(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        subscription = queries.by_id(work, parts().links.read_unsubscribe(token).subscription_id)
        if subscription is None or subscription.state is SubscriptionState.ENDED:
            return _left_page(subscription)
        speak(subscription.language)
        return page(
            "public/leave.html",
            newsletters=[subscription.newsletter],
            address=shown_address(subscription.subscriber),
            token=token,
        )


@blueprint.post("/u/<token>")
def leave(token: str) -> ResponseReturnValue:
    """End the subscription. No cookie, no redirect, any origin, any body (RFC 8058 section 3.1)."""
    reason = EndReason.PAGE if request.form.get("from") == "page" else EndReason.ONE_CLICK
    with parts().database.work() as work:
        return _left_page(leaving.leave(work, token=token, links=parts().links, reason=reason))


@blueprint.get("/never/<token>")
def ask_never(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        asked = queries.request(work, parts().links.read_never(token))
        speak(asked.language)
        return page(
            "public/never.html",
            newsletters=[asked.newsletter],
            address=shown_address(asked.subscriber),
            token=token,
        )


@blueprint.post("/never/<token>")
def never(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        asked = queries.request(work, parts().links.read_never(token))
        speak(asked.language)
        leaving.never_write_again(work, token=token, links=parts().links)
        return page(
            "public/never_again.html",
            newsletters=[asked.newsletter],
            address=shown_address(asked.subscriber),
        )


def _left_page(subscription: Subscription | None) -> ResponseReturnValue:
    if subscription is None or subscription.subscriber.address is None:
        return page("public/nothing_kept.html")
    speak(subscription.language)
    return page(
        "public/left.html",
        newsletters=[subscription.newsletter],
        address=shown_address(subscription.subscriber),
    )
