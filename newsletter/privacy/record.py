"""All that is kept of a person, as plain data: what access by law gives, in words that do not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from newsletter.db.database import Work
from newsletter.privacy import queries
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.models import Consent, ConsentText, Request, Subscription

MAILS_OF = timedelta(days=365)
Data = dict[str, Any]


def record(work: Work, *, address_hash: str) -> Data:
    """Return everything that is kept under an address: moments as datetimes, the rest as JSON has it.

    Also of an address that was erased, or removed after leaving: then what is left without it.
    """
    persons = queries.persons(work, address_hash)
    numbers = [person.id for person in persons]
    return {
        "made_at": work.now,
        "address": next((person.address for person in reversed(persons) if person.address), None),
        "keyed_hash": address_hash,
        "known": [_person(person) for person in persons],
        "closed_for": [
            {"reason": str(each.reason), "since": each.created_at} for each in queries.suppressions(work, address_hash)
        ],
        "subscriptions": subscriptions(work, persons),
        "requests": [_request(each) for each in queries.requests(work, numbers)],
        "mails_since": work.now - MAILS_OF,
        "mails": [_mail(each) for each in queries.mails(work, numbers, since=work.now - MAILS_OF)],
        "confirmations_counted": [
            {"mailed_at": each.mailed_at, "answered_at": each.answered_at}
            for each in queries.budget(work, address_hash)
        ],
    }


def subscriptions(work: Work, persons: Sequence[Subscriber]) -> list[Data]:
    """Return the subscriptions of these persons, each with its consents and the texts they were shown."""
    found = [each for person in persons for each in subscription_queries.of_subscriber(work, person.id)]
    consents = {each.id: subscription_queries.consents(work, each.id) for each in found}
    hashes = [each.text_hash for some in consents.values() for each in some if each.text_hash is not None]
    texts = queries.texts(work, hashes)
    return [_subscription(each, [_consent(one, texts) for one in consents[each.id]]) for each in found]


def _person(person: Subscriber) -> Data:
    return {
        "since": person.created_at,
        "address_removed_at": person.removed_at,
        "mail_family": person.family,
    }


def _subscription(subscription: Subscription, consents: list[Data]) -> Data:
    newsletter, chosen = subscription.newsletter, set(subscription.choice.topic_ids)
    return {
        "newsletter": newsletter.slug,
        "newsletter_names": dict(newsletter.names),
        "state": str(subscription.state),
        "frequency": str(subscription.frequency),
        "form": str(subscription.choice.form),
        "languages": subscription.choice.language_codes,
        "topics": [
            {"topic": topic.slug, "names": dict(topic.names)} for topic in newsletter.topics if topic.id in chosen
        ],
        "asked_at": subscription.created_at,
        "confirmed_at": subscription.activated_at,
        "paused_until": subscription.paused_until,
        "catches_up_after_pause": subscription.catches_up,
        "served_up_to": subscription.watermark,
        "continues_an_ended_one": subscription.continues_id is not None,
        "ended_at": subscription.ended_at,
        "end_reason": None if subscription.end_reason is None else str(subscription.end_reason),
        "consents": consents,
    }


def _consent(consent: Consent, texts: Mapping[str, ConsentText]) -> Data:
    text = texts.get(consent.text_hash or "")
    return {
        "what": str(consent.kind),
        "at": consent.at,
        "language": consent.language,
        "form_version": consent.form_version,
        "text_shown": None if text is None else text.text,
        "text_hash": consent.text_hash,
        "text_matches_hash": None if consent.text_hash is None else _matches(consent.text_hash, text),
        "network": consent.network,
        "evidence": consent.evidence,
    }


def _matches(text_hash: str, text: ConsentText | None) -> bool:
    return text is not None and sha256(text.text.encode()).hexdigest() == text_hash


def _request(request: Request) -> Data:
    return {
        "what": str(request.kind),
        "at": request.created_at,
        "language": request.language,
        "to_another_address": request.address,
        "answered_at": request.answered_at,
    }


def _mail(mail: queries.Mail) -> Data:
    return {
        "planned_at": mail.created_at,
        "over_at": mail.settled_at,
        "kind": mail.kind or "issue",
        "issue": mail.issue_id,
        "newsletter": mail.newsletter,
        "newsletter_names": dict(mail.newsletter_names or {}),
        "state": str(mail.state),
        "reason": mail.reason,
        "reply_code": mail.reply_code,
        "reply": mail.reply,
    }
