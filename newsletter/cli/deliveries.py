"""`deliveries`: what became of each mail to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from newsletter.base.addresses import read_address
from newsletter.base.errors import NotFound
from newsletter.base.links import Links
from newsletter.cli.door import json_option, opened
from newsletter.cli.printing import heading, say, show_json, show_lines
from newsletter.cli.wording import counted, delivery_text, moment_text, reply_text, words
from newsletter.db.database import Work
from newsletter.deliveries.models import OPEN_STATES
from newsletter.operations.queries import Mailed, mailed_to
from newsletter.subscribers import queries

MOST = 20
USUAL_ZONE = "Africa/Casablanca"


@click.group()
def deliveries() -> None:
    """Show what became of each mail."""


@deliveries.command()
@click.argument("address")
@click.option("--limit", default=MOST, show_default=True, type=click.IntRange(min=1), help="How many, newest first.")
@json_option
def show(address: str, limit: int, *, as_json: bool) -> None:
    """Show each mail to a person: its state, the server's answer, attempts, possible copies, Message-ID."""
    with opened() as parts, parts.database.reading() as work:
        found = _mails_to(work, address, limit=limit)
        if as_json:
            show_json([{**asdict(each), "message_id": _message_id(each, parts.links)} for each in found])
            return
        if not found:
            say("No mail was planned for this person yet.")
        for each in found:
            heading(f"Mail {each.id}: {_what(each)}")
            show_lines(_lines(each, parts.links))


def _mails_to(work: Work, text: str, *, limit: int) -> Sequence[Mailed]:
    address = read_address(text)
    person = queries.by_address(work, address)
    if person is None:
        raise NotFound(f"nobody is known by {address.mailed}")
    return mailed_to(work, person.id, limit=limit)


def _what(each: Mailed) -> str:
    if each.issue_id:
        return f"issue {each.issue_id} of {each.newsletter}"
    kind = words(each.kind or str(each.lane))
    return f"{kind} for {each.newsletter}" if each.newsletter else kind


def _lines(each: Mailed, links: Links) -> list[tuple[str, str]]:
    time_zone = each.time_zone or USUAL_ZONE
    is_open = each.state in OPEN_STATES
    lines = [
        ("state", delivery_text(each.state, each.reason)),
        ("answer", reply_text(each.reply_code, each.reply)),
        ("attempts", f"{each.attempts:,}"),
        ("copies", counted(each.possible_copies, "possible copy", "possible copies") if each.possible_copies else ""),
        ("Message-ID", _message_id(each, links) or ""),
        ("planned", moment_text(each.created_at, time_zone)),
        ("next try", moment_text(each.next_attempt_at if is_open else None, time_zone)),
        ("settled", moment_text(each.settled_at, time_zone)),
    ]
    return [(name, value) for name, value in lines if value]


def _message_id(each: Mailed, links: Links) -> str | None:
    """Return the Message-ID that this mail has at every try; None where its newsletter is not known any more."""
    return f"<{links.bounce_token(each.id)}@{each.mail_domain}>" if each.mail_domain else None
