"""What is kept of a person, behind the preferences link: to see, to take away, to have erased."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from newsletter.base.errors import ExpiredToken
from newsletter.db.database import Work
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.privacy import actions
from newsletter.privacy.record import record
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.evidence import Shown
from newsletter.subscriptions.models import Subscription, SubscriptionState
from newsletter.subscriptions.preferences import check_link
from newsletter.web import preferences
from newsletter.web.current import parts
from newsletter.web.frame import page, shown_address
from newsletter.web.own_data_words import closing_in_words, consent_in_words, mail_in_words, outcome_in_words
from newsletter.web.rhythm import frequency_in_words
from newsletter.web.speech import gettext, listed, said, speak, spoken

ACCESS = "public"
ERASE_FORM = "erase-1"
MOST_MAILS = 30  # on the page; the file has them all
FILE_NAME = "newsletter-data.json"
blueprint = Blueprint("own_data", __name__)
blueprint.register_error_handler(ExpiredToken, preferences.expired)


@blueprint.get("/preferences/<token>/data")
def show(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        person, subscriptions = _opened_by(work, token)
        if person.address is None:
            return _erased_page(subscriptions)
        newsletters = _newsletters(subscriptions)
        by_slug = {newsletter.slug: newsletter for newsletter in newsletters}
        return page(
            "public/own_data.html",
            newsletters=newsletters,
            address=shown_address(person),
            kept=record(work, address_hash=person.address_hash),
            frequency_of=lambda each: frequency_in_words(by_slug[each["newsletter"]], Frequency(each["frequency"])),
            consent_in_words=consent_in_words,
            mail_in_words=mail_in_words,
            outcome_in_words=outcome_in_words,
            closing_in_words=closing_in_words,
            most_mails=MOST_MAILS,
            token=token,
        )


@blueprint.get("/preferences/<token>/export.json")
def export(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        person, subscriptions = _opened_by(work, token)
        if person.address is None:
            return _erased_page(subscriptions)
        data = json.dumps(
            record(work, address_hash=person.address_hash), ensure_ascii=False, indent=2, default=datetime.isoformat
        )
        answer = Response(data + "\n", mimetype="application/json")
        answer.headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
        return answer


@blueprint.get("/preferences/<token>/erase")
def ask_erase(token: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        person, subscriptions = _opened_by(work, token)
        if person.address is None:
            return _erased_page(subscriptions)
        return page(
            "public/own_data_erase.html",
            newsletters=_newsletters(subscriptions),
            address=shown_address(person),
            what_happens=_what_happens(subscriptions),
            token=token,
        )


@blueprint.post("/preferences/<token>/erase")
def erase(token: str) -> ResponseReturnValue:
    """Erase this person. Safe to repeat."""
    with parts().database.work() as work:
        person, subscriptions = _opened_by(work, token)
        text = " ".join([gettext("Erase everything about me") + ".", *_what_happens(subscriptions)])
        actions.erase(work, person=person, log=parts().erasures, shown=Shown(text, ERASE_FORM, language=spoken().code))
        return _erased_page(subscriptions)


def _opened_by(work: Work, token: str) -> tuple[Subscriber, Sequence[Subscription]]:
    """Return whose data a link opens, also when they were erased, with all subscriptions; answer in their language.

    :raises InvalidToken: if the link is not ours
    :raises ExpiredToken: if it is older than an hour, or than a change of address
    :raises NotFound: if nothing is left of the person
    """
    links = parts().links
    person = subscriber_queries.by_id(work, links.read_old_preferences(token))
    subscriptions = queries.of_subscriber(work, person.id)
    in_force = [each for each in subscriptions if each.state is SubscriptionState.ACTIVE]
    for each in [*in_force, *reversed(subscriptions)][:1]:  # as the page of the preferences, which leads here
        speak(each.language)
    check_link(work, token=token, links=links)
    return person, subscriptions


def _newsletters(subscriptions: Sequence[Subscription]) -> list[Newsletter]:
    """Return the newsletters of these subscriptions, each once."""
    return list({each.newsletter_id: each.newsletter for each in subscriptions}.values())


def _what_happens(subscriptions: Sequence[Subscription]) -> list[str]:
    """Write what erasing does, as the page says it and the register keeps it."""
    names = [said(each.newsletter.names).text for each in subscriptions if each.state in queries.OPEN]
    ends = [gettext("Your subscriptions end: %(newsletters)s.", newsletters=listed(names).unescape())] if names else []
    return [
        *ends,
        gettext(
            "Your address is taken out of everything that we keep. What is left names nobody, and goes after a year."
        ),
        gettext(
            "An unreadable trace of the address stays, so that no import and no restored backup brings you back. "
            "You may subscribe again yourself whenever you like."
        ),
    ]


def _erased_page(subscriptions: Sequence[Subscription]) -> Response:
    return page("public/own_data_erased.html", newsletters=_newsletters(subscriptions))
