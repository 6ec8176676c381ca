"""Writing subscriptions as CSV (RFC 4180), slice by slice, so that memory does not grow with them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from sqlalchemy import select

from newsletter.db.database import Database, Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions import queries
from newsletter.subscriptions.exchange.cells import guard, moment_cell, read_moment
from newsletter.subscriptions.exchange.formats import OURS
from newsletter.subscriptions.models import Choice, Consent, ConsentKind, Subscription, SubscriptionState

SLICE = 2000  # rows in memory at once
_AGREED = (ConsentKind.CONFIRMED, ConsentKind.IMPORTED, ConsentKind.UNDONE)
_ASKED = ConsentKind.REQUESTED


def export_subscribers(
    database: Database, *, to: TextIO, newsletter: str | None = None, state: SubscriptionState | None = None
) -> int:
    """Write the subscriptions whose address is still kept, oldest first, with a header; return how many.

    :raises NotFound: if there is no such newsletter
    """
    with database.reading() as work:
        every = newsletter_queries.all_newsletters(work)
        wanted = None if newsletter is None else newsletter_queries.by_slug(work, newsletter)
    writer = csv.writer(to, lineterminator="\r\n")
    writer.writerow(OURS)
    written = 0
    for rows in _slices(database, {each.id: each for each in every}, wanted, state):
        writer.writerows(rows)
        written += len(rows)
    return written


def _slices(
    database: Database,
    newsletters: Mapping[int, Newsletter],
    wanted: Newsletter | None,
    state: SubscriptionState | None,
) -> Iterator[list[list[str]]]:
    columns = Subscription.__table__.columns
    rows = select(*columns, Subscriber.address).join(Subscriber, Subscriber.id == Subscription.subscriber_id)
    rows = rows.where(Subscriber.address.is_not(None)).order_by(Subscription.id).limit(SLICE)
    if wanted is not None:
        rows = rows.where(Subscription.newsletter_id == wanted.id)
    if state is not None:
        rows = rows.where(Subscription.state == state)
    last = 0
    while True:
        with database.reading() as work:
            found = work.session.execute(rows.where(Subscription.id > last)).all()
            if not found:
                return
            choices = queries.choices(work, {row.choice_id for row in found})
            consents = _consents(work, [row.id for row in found])
        last = found[-1].id
        yield [
            _written(row, newsletters[row.newsletter_id], choices[row.choice_id], consents.get(row.id)) for row in found
        ]


def _consents(work: Work, numbers: Sequence[int]) -> dict[int, Any]:
    """Return the last consent that each subscription rests on: the one that confirmed it, else the one that asked."""
    rows = work.session.execute(
        select(
            Consent.subscription_id,
            Consent.kind,
            Consent.language,
            Consent.form_version,
            Consent.text_hash,
            Consent.evidence,
            Consent.at,
        )
        .where(Consent.subscription_id.in_(numbers), Consent.kind.in_((*_AGREED, _ASKED)))
        .order_by(Consent.id)
    )
    found: dict[int, Any] = {}
    for row in rows:
        before = found.get(row.subscription_id)
        if before is None or row.kind in _AGREED or before.kind is _ASKED:
            found[row.subscription_id] = row
    return found


def _written(row: Any, newsletter: Newsletter, choice: Choice, consent: Any) -> list[str]:
    slugs = {topic.id: topic.slug for topic in newsletter.topics}
    cells = [
        row.address,
        newsletter.slug,
        str(row.state),
        " ".join(choice.language_codes),
        " ".join(slugs[topic] for topic in choice.topic_ids if topic in slugs),
        str(row.frequency),
        str(choice.form),
        moment_cell(row.created_at),
        moment_cell(row.activated_at),
        moment_cell(row.ended_at),
        str(row.end_reason or ""),
        moment_cell(row.paused_until),
        *_consent_cells(consent),
    ]
    return [guard(cell) for cell in cells]


def _consent_cells(consent: Any) -> list[str]:
    if consent is None:
        return ["", "", "", ""]
    brought = (consent.evidence or {}).get("at") if consent.kind is ConsentKind.IMPORTED else None
    at = read_moment(brought) if brought else consent.at
    return [consent.language, consent.form_version or "", consent.text_hash or "", moment_cell(at)]
