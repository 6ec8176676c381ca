"""Choosing: the digest's link mails one that is good for an hour, and that one opens the preferences."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.errors import ExpiredToken, NotFound
from newsletter.db.database import Work
from newsletter.issues.pauses import end_pauses
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.adding import may_add, subscribe_at_once, wish_for
from newsletter.subscriptions.evidence import Shown
from newsletter.subscriptions.models import Subscription, SubscriptionState
from newsletter.subscriptions.preferences import ask_preferences, check_link, resume
from newsletter.web.consent import agreement, consent
from newsletter.web.current import parts
from newsletter.web.evenly import evenly
from newsletter.web.frame import page, shown_address
from newsletter.web.preferences_form import (
    PREFERENCES_FORM,
    Preferences,
    is_stale,
    pause_days,
    paused_to,
    preferences_of,
    problems_of,
    read_preferences,
    save,
    version_of,
)
from newsletter.web.problems import Problem
from newsletter.web.speech import gettext, said, speak, spoken

ACCESS = "public"
ADD_FORM = "add-1"
blueprint = Blueprint("preferences", __name__)


@blueprint.get("/p/<token>")
def ask(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        return _link_page(work, token, "public/ask_preferences.html")


@blueprint.post("/p/<token>")
@evenly
def mail_link(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        ask_preferences(work, token=token, links=parts().links)
        return _link_page(work, token, "public/preferences_mailed.html")


@blueprint.get("/preferences/<token>")
def show(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        person, active = opened_by(work, token)
        return _preferences_page(work, person, active, token=token)


@blueprint.post("/preferences/<token>")
def change(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        person, active = opened_by(work, token, hold=True)
        sent = [read_preferences(request.form, subscription, now=work.now) for subscription in active]
        have_ended = set(request.form.getlist("shown")) - {each.slug for each in sent}
        if have_ended or any(is_stale(each, now=work.now) for each in sent):
            return _preferences_page(work, person, active, token=token, is_stale=True)
        problems = [problem for each in sent for problem in problems_of(each, now=work.now)]
        if problems:
            return _preferences_page(work, person, active, token=token, sent=sent, problems=problems)
        end_pauses(work, among=[Subscription.subscriber_id == person.id])  # before another one may begin
        for each in sent:
            save(work, each)
        speak(active[0].language if active else "")
        told = gettext("Your preferences are saved. They count from the next issue on.")
        return _preferences_page(work, person, active, token=token, told=told)


@blueprint.post("/preferences/<token>/resume")
def end_pause(token: str) -> ResponseReturnValue:
    """End the pause of one newsletter now. Safe to repeat."""
    with parts().database.work() as work:
        person, active = opened_by(work, token, hold=True)
        for each in active:
            if each.newsletter.slug == request.form.get("newsletter"):
                shown = Shown(gettext("End the pause now"), PREFERENCES_FORM, language=spoken().code)
                resume(work, subscription=each, shown=shown)
        told = gettext("The pause has ended: the next issue comes as usual.")
        return _preferences_page(work, person, active, token=token, told=told)


@blueprint.post("/preferences/<token>/subscribe")
def add(token: str) -> ResponseReturnValue:
    """Subscribe to one more newsletter, at once. Safe to repeat."""
    with parts().database.work() as work:
        person, _ = opened_by(work, token, hold=True)
        every = newsletter_queries.all_newsletters(work)
        newsletter = next((each for each in every if each.slug == request.form.get("newsletter")), None)
        if newsletter is None:
            raise NotFound("there is no such newsletter", code="unknown_newsletter")
        shown = Shown(f"{_add_button(newsletter)}. {consent(every)}", ADD_FORM)
        subscribe_at_once(work, person=person, newsletter=newsletter, spoken=spoken().code, shown=shown)
        told = gettext(
            "You are subscribed to %(newsletter)s. It comes from the next issue on.",
            newsletter=said(newsletter.names).text,
        )
        return _preferences_page(work, person, _active_of(work, person.id), token=token, told=told)


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


def opened_by(work: Work, token: str, *, hold: bool = False) -> tuple[Subscriber, Sequence[Subscription]]:
    """Return the person whose preferences a link opens, with the active subscriptions; `hold`: for this work alone.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is older than an hour, or than a change of address
    :raises NotFound: if the person was erased
    """
    links = parts().links
    number = links.read_old_preferences(token)
    if hold:
        queries.lock(work, number)
    person = subscriber_queries.by_id(work, number)
    if person.address is None:
        raise NotFound("what this link was about is no longer kept", code="invalid_token")
    active = _active_of(work, person.id)
    check_link(work, token=token, links=links)
    return person, active


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


def _active_of(work: Work, subscriber_id: int) -> Sequence[Subscription]:
    active = queries.of_subscriber(work, subscriber_id, SubscriptionState.ACTIVE)
    speak(active[0].language if active else "")
    return active


def _preferences_page(
    work: Work,
    person: Subscriber,
    active: Sequence[Subscription],
    *,
    token: str,
    sent: Sequence[Preferences] = (),
    problems: Sequence[Problem] = (),
    told: str = "",
    is_stale: bool = False,
) -> ResponseReturnValue:
    """Show what is in force; and in the fields what was sent, where that could not be saved."""
    links, in_force = parts().links, [preferences_of(each, now=work.now) for each in active]
    every, mine = newsletter_queries.all_newsletters(work), {each.newsletter_id for each in active}
    offered = [each for each in every if each.id not in mine] if active and may_add(work, person) else []
    return page(
        "public/preferences.html",
        status=400 if problems else 409 if is_stale else 200,
        newsletters=[each.newsletter for each in active],
        address=shown_address(person),
        shown=sent or in_force,
        in_force=in_force,
        paused={each.slug: paused_to(each.subscription, now=work.now) for each in in_force},
        versions={each.slug: version_of(each.subscription, now=work.now) for each in in_force},
        pause_days={each.slug: pause_days(each.subscription.newsletter, now=work.now) for each in in_force},
        leave_tokens={each.slug: links.unsubscribe_token(each.subscription.id, 0) for each in in_force},
        offered=[(each, wish_for(each, active), _add_button(each)) for each in offered],
        agreement=agreement(every),
        problems=problems,
        told=told,
        is_stale=is_stale,
        token=token,
    )


def _add_button(newsletter: Newsletter) -> str:
    return gettext("Subscribe to %(newsletter)s", newsletter=said(newsletter.names).text)
