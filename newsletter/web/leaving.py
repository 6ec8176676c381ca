"""Leaving: by the mail program's one click (RFC 8058), by a page's button, for good; and taking it back."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Topic
from newsletter.subscriptions import leaving, queries
from newsletter.subscriptions.models import EndReason, Subscription, SubscriptionState
from newsletter.web.current import parts
from newsletter.web.frame import mailed_address, page, shown_address
from newsletter.web.speech import gettext, said, speak

ACCESS = "public"
JUST_NOW = timedelta(days=1)
blueprint = Blueprint("leaving", __name__)


@blueprint.get("/u/<token>")
def ask(token: str, lang: str | None = None) -> ResponseReturnValue:  # noqa: ARG001 (the page speaks the reader's)
    with parts().database.reading() as work:
        subscription = _of_link(work, token)
        if subscription is None or subscription.state is SubscriptionState.ENDED:
            return _left_page(work, subscription)
        return page(
            "public/leave.html",
            newsletters=[subscription.newsletter],
            address=shown_address(subscription.subscriber),
            token=token,
            topics=_topics_to_leave(subscription),
            are_many=len(newsletter_queries.all_newsletters(work)) > 1,
        )


@blueprint.post("/u/<token>")
def leave(token: str, lang: str | None = None) -> ResponseReturnValue:  # noqa: ARG001 (the page speaks the reader's)
    """End the subscription. No cookie, no redirect, any origin, any body (RFC 8058 section 3.1)."""
    links = parts().links
    is_one_click = request.form.get("from") != "page"
    with parts().database.work() as work:
        subscription = None if is_one_click else _of_link(work, token)
        if is_one_click:
            subscription = leaving.leave(work, token=token, links=links, reason=EndReason.ONE_CLICK)
        elif request.form.get("all") == "yes":
            text = gettext("Unsubscribe from all our newsletters")
            subscription = leaving.leave_all(work, token=token, links=links, text_shown=text)
        elif subscription is not None:
            text = _about(gettext("Unsubscribe from the newsletter"), subscription)
            subscription = leaving.leave(work, token=token, links=links, reason=EndReason.PAGE, text_shown=text)
    with parts().database.reading() as work:  # nobody waits for the database while a page is made
        return _left_page(work, subscription)


# What a machine made of the path on its way: capital letters, a language that nobody asked for.
for number, rule in enumerate(("/U/<token>", "/<spoken:lang>/u/<token>", "/<spoken:lang>/U/<token>")):
    blueprint.add_url_rule(rule, endpoint=f"ask_{number}", view_func=ask, methods=["GET"])
    blueprint.add_url_rule(rule, endpoint=f"leave_{number}", view_func=leave, methods=["POST"])


@blueprint.get("/undo/<token>")
def ask_undo(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        ended = leaving.undoes(work, token=token, links=parts().links)
        speak(ended.language)
        present = leaving.in_place_of(work, ended)
        if present is not None:
            return _undone_page(work, present)
        if leaving.undo_offered(work, ended, links=parts().links) is None:
            return _cannot_page(ended)
        return page(
            "public/undo.html",
            newsletters=[ended.newsletter],
            address=shown_address(ended.subscriber),
            is_all=leaving.left_all(work, ended),
            token=token,
        )


@blueprint.post("/undo/<token>")
def undo(token: str) -> ResponseReturnValue:
    links = parts().links
    with parts().database.work() as work:
        ended = leaving.undoes(work, token=token, links=links)
        speak(ended.language)
        if leaving.in_place_of(work, ended) is None and leaving.undo_offered(work, ended, links=links) is None:
            return _cannot_page(ended)
        text = _about(gettext("Take up my subscription again"), ended)
        if leaving.left_all(work, ended):
            text = gettext("Take up my subscriptions again")
        return _undone_page(work, leaving.undo(work, token=token, links=links, text_shown=text))


@blueprint.get("/topic/<token>")
def ask_topic(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        subscription_id, topic_id = parts().links.read_topic(token)
        subscription = _spoken(queries.last_of(work, subscription_id))
        return _topic_page(work, subscription, topic_id, template="public/topic.html", token=token)


@blueprint.post("/topic/<token>")
def leave_topic(token: str) -> ResponseReturnValue:
    links = parts().links
    with parts().database.work() as work:
        subscription_id, topic_id = links.read_topic(token)
        subscription = _spoken(queries.last_of(work, subscription_id))
        if subscription is not None:
            topic = _topic_of(subscription, topic_id)
            text = f"{gettext('Leave this topic')}: {said(topic.names).text if topic else topic_id}"
            subscription = leaving.leave_topic(work, token=token, links=links, text_shown=_about(text, subscription))
        return _topic_page(work, subscription, topic_id, template="public/topic_last.html", token=token, status=409)


@blueprint.get("/never/<token>")
def ask_never(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        asked = queries.request(work, parts().links.read_never(token))
        speak(asked.language)
        return page(
            "public/never.html",
            newsletters=[asked.newsletter],
            address=mailed_address(asked),
            token=token,
        )


@blueprint.post("/never/<token>")
def never(token: str) -> ResponseReturnValue:
    with parts().database.work() as work:
        asked = queries.request(work, parts().links.read_never(token))
        speak(asked.language)
        text = gettext("Never write to me again")
        leaving.never_write_again(work, token=token, links=parts().links, text_shown=text)
        return page(
            "public/never_again.html",
            newsletters=[asked.newsletter],
            address=mailed_address(asked),
        )


def _of_link(work: Work, token: str) -> Subscription | None:
    """Return what an unsubscribe link ends, and answer in its language from here on.

    :raises InvalidToken: if the link is not ours
    """
    return _spoken(queries.last_of(work, parts().links.read_unsubscribe(token).subscription_id))


def _spoken(subscription: Subscription | None) -> Subscription | None:
    if subscription is not None:
        speak(subscription.language)
    return subscription


def _about(text: str, subscription: Subscription) -> str:
    """Return what a person read beside a button: what it does, and to which newsletter."""
    return f"{text}: {said(subscription.newsletter.names).text}"


def _topic_of(subscription: Subscription, topic_id: int) -> Topic | None:
    return next((topic for topic in subscription.newsletter.topics if topic.id == topic_id), None)


def _topics_to_leave(subscription: Subscription) -> list[tuple[Topic, str]]:
    """Return the topics of a subscription, each with the token that leaves it; none where there is only one."""
    chosen = [topic for topic in subscription.newsletter.topics if topic.id in subscription.choice.topic_ids]
    links = parts().links
    return [(topic, links.topic_token(subscription.id, topic.id)) for topic in chosen] if len(chosen) > 1 else []


def _left_page(work: Work, subscription: Subscription | None, *, undo_too: bool = True) -> ResponseReturnValue:
    if subscription is None or subscription.subscriber.address is None:
        return page("public/nothing_kept.html")
    speak(subscription.language)
    present = leaving.in_place_of(work, subscription)
    can_undo = undo_too and present is None
    token = leaving.undo_offered(work, subscription, links=parts().links) if can_undo else None
    ended_at = subscription.ended_at or work.now
    return page(
        "public/left.html",
        newsletters=[subscription.newsletter],
        address=shown_address(subscription.subscriber),
        undo_token=token,
        is_all=token is not None and leaving.left_all(work, subscription),
        is_past=work.now - ended_at > JUST_NOW or present is not None,
    )


def _undone_page(work: Work, present: Subscription) -> ResponseReturnValue:
    """Show what somebody has in place of a subscription that ended."""
    speak(present.language)
    if present.state is SubscriptionState.ENDED:
        return _left_page(work, present)
    return page(
        "public/undone.html",
        newsletters=[present.newsletter],
        address=shown_address(present.subscriber),
        waits=present.state is SubscriptionState.PENDING,
    )


def _cannot_page(ended: Subscription) -> ResponseReturnValue:
    return page("public/undo_too_late.html", status=410, newsletters=[ended.newsletter])


def _topic_page(
    work: Work, subscription: Subscription | None, topic_id: int, *, template: str, token: str, status: int = 200
) -> ResponseReturnValue:
    """Show how a topic stands: left, the only one, or as `template` says it."""
    if subscription is None or subscription.state is SubscriptionState.ENDED:
        return _left_page(work, subscription, undo_too=False)
    chosen = subscription.choice.topic_ids
    if topic_id not in chosen:
        template, status = "public/topic_left.html", 200
    elif len(chosen) == 1:
        template = "public/topic_last.html"
    return page(
        template,
        status=status,
        newsletters=[subscription.newsletter],
        address=shown_address(subscription.subscriber),
        topic=_topic_of(subscription, topic_id),
        token=token,
        leave_token=parts().links.unsubscribe_token(subscription.id, 0),
    )
