"""`privacy`: what the law gives every person, and what becomes of what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from newsletter.base.addresses import Address, address_hash, read_address
from newsletter.base.errors import NotFound
from newsletter.bootstrap import Parts
from newsletter.cli.door import at_option, json_option, opened
from newsletter.cli.printing import heading, one_line, say, show_json, show_lines
from newsletter.cli.wording import words
from newsletter.db.database import Work
from newsletter.privacy import actions, queries
from newsletter.privacy.forgetting import forget as forget_what_is_due
from newsletter.privacy.proof import proof as proof_of
from newsletter.privacy.record import record
from newsletter.subscribers import queries as subscriber_queries
from newsletter.subscriptions import queries as subscription_queries

FORGETTING = {
    "unconfirmed": "unconfirmed sign-ups ended",
    "addresses": "addresses removed",
    "networks": "networks of consents removed",
    "request_addresses": "addresses removed from requests",
    "late_replies": "erased persons whose late replies were removed",
    "persons": "persons forgotten for good",
    "sign_up_counts": "counts of sign-ups deleted",
    "proofs_of_work": "proofs of work deleted",
    "budget_entries": "counted confirmations deleted",
}


@click.group()
def privacy() -> None:
    """Prove, export, erase, and forget in time."""


@privacy.command()
@click.option("--dry-run", is_flag=True, help="Only count; change nothing.")
@at_option
@json_option
def forget(at: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Forget what has been kept long enough.

    As each `run --due` does. Safe to repeat, at once, and to stop.
    """
    with opened(at) as parts:
        done = forget_what_is_due(parts.database, dry_run=dry_run)
    if as_json:
        show_json(done)
        return
    found = [(f"{count:,}", FORGETTING[name]) for name, count in done.items() if count]
    show_lines(found, right={0})
    if not found:
        say("Nothing has been kept too long.")
    elif dry_run:
        say("Nothing was changed: without --dry-run it will be.")


@privacy.command()
@click.argument("address")
@json_option
def proof(address: str, *, as_json: bool) -> None:
    """Show by what right an address was written to.

    Each consent, with the text that was shown, checked against its hash. Also of an address that was erased.
    """
    with opened() as parts, parts.database.reading() as work:
        named, hashed = _named(parts, address)
        found = proof_of(work, address=named.mailed, address_hash=hashed)
        if found is None:
            raise NotFound(f"nothing is kept of {named.mailed}")
    if as_json:
        show_json(found)
        return
    _show_proof(found)


@privacy.command()
@click.argument("address")
def export(address: str) -> None:
    """Write all that is kept of a person, as JSON.

    The same file that the person finds behind the preferences link.
    """
    with opened() as parts, parts.database.reading() as work:
        named, hashed = _named(parts, address)
        if not queries.persons(work, hashed) and not queries.suppressions(work, hashed):
            raise NotFound(f"nothing is kept of {named.mailed}")
        show_json(record(work, address_hash=hashed))


@privacy.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(address: str, *, yes: bool) -> None:
    """Erase a person for good.

    Subscriptions end, the address goes from everything, and no import or restored backup brings it back.
    """
    with opened() as parts:
        with parts.database.reading() as work:
            named, hashed = _named(parts, address)
            _show_what_goes(work, named, hashed)
        if not yes:
            click.confirm(f"Erase {named.mailed}? This cannot be taken back", abort=True)
        with parts.database.work() as work:
            person = subscriber_queries.by_address(work, named)
            if person is None:
                actions.close_erased(work, address_hash=hashed, log=parts.erasures)
            else:
                actions.erase(work, person=person, log=parts.erasures)
        say(f"Erased. {parts.erasures.path} holds the keyed hash: keep it, apart from the backups.")


def _named(parts: Parts, text: str) -> tuple[Address, str]:
    address = read_address(text)
    return address, address_hash(parts.address_key, address.key)


def _show_what_goes(work: Work, address: Address, hashed: str) -> None:
    """Say what erasing will do.

    :raises NotFound: if nobody was ever known by this address
    """
    person = subscriber_queries.by_address(work, address)
    if person is None:
        if not queries.persons(work, hashed):
            raise NotFound(f"nobody is known by {address.mailed}")
        say(f"{address.mailed} is not kept any more. It will be closed for imports and restored backups.")
        return
    still_open = subscription_queries.of_subscriber(work, person.id, *subscription_queries.OPEN)
    names = ", ".join(each.newsletter.slug for each in still_open) or "none is open"
    say(f"{address.mailed} will be removed from everything that is kept; subscriptions that end: {names}.")


def _show_proof(found: Mapping[str, Any]) -> None:
    lines = [("address", found["address"]), ("proof made", _moment(found["made_at"]))]
    if not found["address_is_kept"]:
        removed = ", ".join(map(_moment, found["address_removed_at"]))
        lines += [("address removed", removed)] if removed else []
        lines += [("still kept", found["kept"]), ("not kept", found["not_kept"])]
    for each in found["closed_for"]:
        lines.append(("closed since", f"{_moment(each['since'])} ({words(each['reason'])})"))
    show_lines(lines)
    for subscription in found["subscriptions"]:
        _show_subscription(subscription)


def _show_subscription(subscription: Mapping[str, Any]) -> None:
    heading(f"Subscription: {subscription['newsletter']} {subscription['frequency']}")
    lines = [("asked", _moment(subscription["asked_at"]))]
    confirmed = subscription["confirmed_at"]
    lines.append(("confirmed", _moment(confirmed) if confirmed else "never"))
    if subscription["ended_at"]:
        lines.append(("ended", f"{_moment(subscription['ended_at'])} ({words(subscription['end_reason'] or '?')})"))
    show_lines(lines)
    for consent in subscription["consents"]:
        say()
        show_lines(_consent_lines(consent))


def _consent_lines(consent: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [(words(consent["what"]), f"{_moment(consent['at'])}, in {consent['language']}")]
    if consent["form_version"]:
        lines.append(("  form", consent["form_version"]))
    if consent["network"]:
        lines.append(("  from", consent["network"]))
    match consent["text_hash"], consent["text_shown"]:
        case None, _:
            lines.append(("  text shown", "none: there was no page"))
        case hashed, None:
            lines.append(("  text shown", f"no longer kept (SHA-256 {hashed})"))
        case hashed, text:
            verdict = "matches" if consent["text_matches_hash"] else "DOES NOT MATCH"
            lines += [("  text shown", one_line(text)), ("  SHA-256", f"{hashed} ({verdict} the text)")]
    if consent["evidence"]:
        lines += [(f"  {name}", one_line(str(value))) for name, value in consent["evidence"].items()]
    return lines


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y %H:%M:%S} UTC"
