"""Choosing: the digest's link mails one that is good for an hour, and that one opens the preferences."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.errors import ExpiredToken
from newsletter.db.database import Work
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import Subscription, SubscriptionState
from newsletter.subscriptions.preferences import ask_preferences
from newsletter.web.current import parts
from newsletter.web.frame import page, shown_address
from newsletter.web.preferences_form import Preferences, preferences_of, problems_of, read_preferences, save
from newsletter.web.problems import Problem
from newsletter.web.speech import speak

ACCESS = "public"
blueprint = Blueprint("preferences", __name__)


@blueprint.get("/p/<token>")
def ask(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        return _link_page(work, token, "public/ask_preferences.html")


@blueprint.post("/p/<token>")
def mail_link(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        ask_preferences(work, token=token, links=parts().links)
        return _link_page(work, token, "public/preferences_mailed.html")


@blueprint.get("/preferences/<token>")
def show(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        person, subscriptions = _opened_by(work, token)
        return _preferences_page(person, [preferences_of(each) for each in subscriptions], token=token)


@blueprint.post("/preferences/<token>")
def change(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        person, subscriptions = _opened_by(work, token)
        wanted = [read_preferences(request.form, subscription) for subscription in subscriptions]
        problems = [problem for each in wanted for problem in problems_of(each)]
        if problems:
            return _preferences_page(person, wanted, token=token, problems=problems)
        for each in wanted:
            if each.differs:
                save(work, each)
        speak(subscriptions[0].language if subscriptions else "")
        in_force = [preferences_of(subscription) for subscription in subscriptions]
        return _preferences_page(person, in_force, token=token, saved=True)


@blueprint.errorhandler(ExpiredToken)
def expired(_error: ExpiredToken) -> ResponseReturnValue:
    """Offer a new link, which goes to the person's own mailbox and nowhere else."""
    links, token = parts().links, (request.view_args or {}).get("token", "")
    with parts().database.reading() as work:
        active = _active_of(work, links.read_old_preferences(token))
        manage = links.manage_token(active[0].id, 0) if active else None
        return page(
            "public/preferences_expired.html",
            status=410,
            newsletters=[subscription.newsletter for subscription in active],
            again=url_for("preferences.ask", token=manage) if manage else None,
        )


def _link_page(work: Work, token: str, template: str) -> ResponseReturnValue:
    subscription = queries.by_id(work, parts().links.read_manage(token).subscription_id)
    if subscription is None or subscription.subscriber.address is None:
        return page("public/nothing_kept.html")
    speak(subscription.language)
    return page(
        template,
        newsletters=[subscription.newsletter],
        address=shown_address(subscription.subscriber),
        token=token,
    )


def _opened_by(work: Work, token: str) -> tuple[Subscriber, Sequence[Subscription]]:
    """Return the person whose preferences a link opens, with the active subscriptions.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is older than an hour
    :raises NotFound: if the person was erased
    """
    links = parts().links
    person = subscriber_queries.by_id(work, links.read_old_preferences(token))
    active = _active_of(work, person.id)
    links.read_preferences(token, now=work.now)
    return person, active


def _active_of(work: Work, subscriber_id: int) -> Sequence[Subscription]:
    active = queries.of_subscriber(work, subscriber_id, SubscriptionState.ACTIVE)
    speak(active[0].language if active else "")
    return active


def _preferences_page(
    person: Subscriber,
    shown: Sequence[Preferences],
    *,
    token: str,
    problems: Sequence[Problem] = (),
    saved: bool = False,
) -> ResponseReturnValue:
    links = parts().links
    return page(
        "public/preferences.html",
        status=400 if problems else 200,
        newsletters=[each.subscription.newsletter for each in shown],
        address=shown_address(person),
        shown=shown,
        in_force=[preferences_of(each.subscription) for each in shown],
        leave_tokens={each.slug: links.unsubscribe_token(each.subscription.id, 0) for each in shown},
        problems=problems,
        saved=saved,
        token=token,
    )
