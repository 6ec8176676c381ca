"""`subscribers`: all that is known of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from newsletter.base.addresses import address_hash, read_address
from newsletter.base.errors import NotFound
from newsletter.cli.door import json_option, opened
from newsletter.cli.printing import heading, show_json, show_lines, show_table
from newsletter.cli.subscribers_exchange import export_them, import_them
from newsletter.cli.wording import moment_text, stamp, state_text, words
from newsletter.db.database import Work
from newsletter.operations.queries import Mailed, mailed_to
from newsletter.subscribers import queries
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.models import Consent, Subscription

MOST_DELIVERIES = 20
USUAL_ZONE = "Africa/Casablanca"


@dataclass(frozen=True, slots=True)
class Known:
    """What the rooms know of one address."""

    address: str
    person: Subscriber | None
    closed: Sequence[SuppressionReason]
    subscriptions: Sequence[Subscription]
    consents: Sequence[Consent]
    deliveries: Sequence[Mailed]

    @property
    def time_zone(self) -> str:
        return self.subscriptions[0].newsletter.time_zone if self.subscriptions else USUAL_ZONE


@click.group()
def subscribers() -> None:
    """Show what is known of a person; import and export subscribers."""


subscribers.add_command(import_them)
subscribers.add_command(export_them)


@subscribers.command()
@click.argument("address")
@click.option("--limit", default=MOST_DELIVERIES, show_default=True, type=click.IntRange(min=1), help="Of deliveries.")
@json_option
def show(address: str, limit: int, *, as_json: bool) -> None:
    """Show a person's subscriptions, choices, consents, mails, and why the address is closed if it is."""
    with opened() as parts, parts.database.reading() as work:
        known = _look_up(work, address, address_key=parts.address_key, limit=limit)
        if as_json:
            show_json(_as_dict(known))
            return
        _show_person(known)
        if known.subscriptions:
            _show_subscriptions(known)
            _show_consents(known)
        if known.deliveries:
            _show_deliveries(known)


def _look_up(work: Work, text: str, *, address_key: bytes, limit: int) -> Known:
    address = read_address(text)
    person = queries.by_address(work, address)
    hashed = person.address_hash if person else address_hash(address_key, address.key)
    closed = queries.suppressions_of(work, hashed)
    if person is None:
        if not closed:
            raise NotFound(f"nobody is known by {address.mailed}")
        return Known(address.mailed, None, closed, (), (), ())
    subscriptions = subscription_queries.of_subscriber(work, person.id)
    consents = [each for one in subscriptions for each in subscription_queries.consents(work, one.id)]
    return Known(address.mailed, person, closed, subscriptions, consents, mailed_to(work, person.id, limit=limit))


def _show_person(known: Known) -> None:
    lines = [("address", known.address)]
    if known.person is None:
        lines.append(("person", "erased, or never known: only the closed address is kept, as a hash"))
    else:
        lines.append(("known since", moment_text(known.person.created_at, known.time_zone)))
    lines.append(("closed for", ", ".join(words(reason) for reason in known.closed) or "nothing: mail may be sent"))
    if known.person is not None and not known.subscriptions:
        lines.append(("subscriptions", "none"))
    show_lines(lines)


def _show_subscriptions(known: Known) -> None:
    heading(f"Subscriptions (times in {known.time_zone})")
    rows = [
        (
            f"{each.id}",
            f"{each.newsletter.slug} {each.frequency}",
            " ".join(each.choice.language_codes),
            stamp(each.activated_at or each.created_at, known.time_zone),
            state_text(each.state, _ending(each, known.time_zone)),
            ", ".join(_topics(each)),
        )
        for each in known.subscriptions
    ]
    columns = ["no.", "newsletter", "languages", "since", "state", "topics"]
    show_table(columns, rows, right={"no."}, wrap={"state"})


def _ending(subscription: Subscription, time_zone: str) -> str | None:
    if subscription.ended_at is None:
        return None
    return f"{subscription.end_reason}, {stamp(subscription.ended_at, time_zone)}"


def _topics(subscription: Subscription) -> list[str]:
    chosen = subscription.choice.topic_ids
    return [topic.slug for topic in subscription.newsletter.topics if topic.id in chosen]


def _show_consents(known: Known) -> None:
    heading("Consents")
    rows = [
        (
            stamp(each.at, known.time_zone),
            f"{each.subscription_id}",
            _what_was_done(each),
            each.language,
            (each.text_hash or "–")[:12],
        )
        for each in known.consents
    ]
    show_table(["when", "subscription", "what", "language", "text shown (hash)"], rows, right={"subscription"})


def _what_was_done(consent: Consent) -> str:
    """Name a consent; one that an import brought, with where its evidence stands."""
    brought = consent.evidence or {}
    known = [brought.get("system"), brought.get("file"), brought.get("line") and f"line {brought['line']}"]
    origin = ", ".join(each for each in known if each)  # what names the person leaves with the address
    return f"{consent.kind} ({origin})" if origin else str(consent.kind)


def _show_deliveries(known: Known) -> None:
    heading(f"Mails (the newest {len(known.deliveries)})")
    rows = [
        (
            stamp(each.settled_at or each.created_at, known.time_zone),
            _mail_text(each),
            state_text(each.state, each.reason),
        )
        for each in known.deliveries
    ]
    show_table(["when", "mail", "state"], rows)


def _mail_text(each: Mailed) -> str:
    return f"issue {each.issue_id}, {each.newsletter}" if each.issue_id else words(each.kind or str(each.lane))


def _as_dict(known: Known) -> dict[str, Any]:
    return {
        "address": known.address,
        "known_since": known.person.created_at if known.person else None,
        "suppressions": known.closed,
        "subscriptions": [
            {
                "id": each.id,
                "newsletter": each.newsletter.slug,
                "state": each.state,
                "frequency": each.frequency,
                "languages": each.choice.language_codes,
                "topics": _topics(each),
                "form": each.choice.form,
                "watermark": each.watermark,
                "created_at": each.created_at,
                "activated_at": each.activated_at,
                "paused_until": each.paused_until,
                "ended_at": each.ended_at,
                "end_reason": each.end_reason,
            }
            for each in known.subscriptions
        ],
        "consents": [
            {
                "subscription": each.subscription_id,
                "kind": each.kind,
                "language": each.language,
                "text_hash": each.text_hash,
                "evidence": each.evidence,
                "at": each.at,
            }
            for each in known.consents
        ],
        "deliveries": [asdict(each) for each in known.deliveries],
    }
