"""A good token for every way in, found by what it stands behind in the path."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask
from werkzeug.routing import Rule

from factories import ask, make_newsletter, make_reader
from newsletter.base.addresses import address_hash, read_address
from newsletter.bootstrap import Parts
from newsletter.subscribers.queries import by_address
from newsletter.subscriptions import leaving, queries
from newsletter.subscriptions.answering import answer_by_mail
from newsletter.subscriptions.models import EndReason, RequestKind

ADDRESS = "salma@example.org"


def good_tokens(parts: Parts) -> dict[str, str]:
    """Return a good token by the part of the path before it.

    Somebody is active, and pending for a second newsletter, and asked for another address; somebody else just left.
    """
    reader = make_reader(parts, ADDRESS)
    make_newsletter(parts, slug="second")
    ask(parts, ADDRESS, slug="second")
    gone = make_reader(parts, "samir@example.org")
    links, new = parts.links, read_address("new@example.org")
    with parts.database.work() as work:
        token = links.unsubscribe_token(gone.id, 0)
        leaving.leave(work, token=token, links=links, reason=EndReason.PAGE)
        person = by_address(work, read_address(ADDRESS))
        assert person is not None
        asked = queries.newest_request(work, subscriber_id=person.id, kind=RequestKind.CONFIRMATION)
        key = address_hash(parts.address_key, new.key)
        moving = answer_by_mail(
            work,
            person,
            RequestKind.CHANGE_ADDRESS,
            newsletter_id=reader.newsletter_id,
            spoken="fr",
            to=new,
            to_hash=key,
        )
        assert asked is not None
        topic = reader.choice.topic_ids[0]
        return {
            "confirm": links.confirm_token(asked, at=work.now),
            "never": links.never_token(asked),
            "u": links.unsubscribe_token(reader.id, 0),
            "p": links.manage_token(reader.id, 0),
            "preferences": links.preferences_token(reader.subscriber_id, at=work.now),
            "undo": links.undo_token(gone.id, at=work.now),
            "topic": links.topic_token(reader.id, topic),
            "address": links.change_address_token(moving.id, at=work.now),
            "bounce": links.bounce_token(1),
            "page": links.page_token(at=work.now),
        }


def purpose_of(rule: Rule | str) -> str:
    """Return what stands before the token in a path, however it is written."""
    parts = str(rule).strip("/").split("/")
    return parts[parts.index("<token>") - 1].lower()


def rules_with_token(app: Flask) -> Sequence[Rule]:
    """Return every route whose path holds a token."""
    return [rule for rule in app.url_map.iter_rules() if "token" in rule.arguments]
