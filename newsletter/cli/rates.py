"""`rates`: how fast mail may leave, to whom, and what rests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from newsletter.base.errors import InvalidInput
from newsletter.base.families import FAMILIES, domains_of
from newsletter.cli.door import json_option, opened
from newsletter.cli.printing import say, show_json, show_table
from newsletter.cli.wording import counted, rest_text
from newsletter.db.database import Work
from newsletter.deliveries import rates as limits
from newsletter.deliveries.models import EVERY_FAMILY, Rate

MOST_PER_MINUTE = 10_000_000
MOST_LINES = 10_000
ZONE = "UTC"
_KNOWN = f"{', '.join(FAMILIES)}, and '{EVERY_FAMILY}' in quotes for all"


@click.group()
def rates() -> None:
    """Show and set how fast mail may leave; end pauses."""


@rates.command("list")
@json_option
def list_them(*, as_json: bool) -> None:
    """List what is limited, rests, or comes back from a rest."""
    with opened() as parts, parts.database.reading() as work:
        found = [each for each in limits.known(work) if _says_something(each, work.now)]
        if as_json:
            show_json([_as_dict(each, work.now) for each in found])
        elif found:
            columns = ["backend", "family", "per minute", "lines", f"state (times in {ZONE})"]
            rows = [_row(each, work.now) for each in found]
            show_table(columns, rows, right={"per minute", "lines"})
        else:
            say("Nothing is limited, and nothing rests. To limit: newsletter rates set --help")


@rates.command("set")
@click.argument("family")
@click.option("--per-minute", type=click.IntRange(0, MOST_PER_MINUTE), help="So many mails a minute; 0 for any number.")
@click.option("--lines", type=click.IntRange(0, MOST_LINES), help="So many on their way at once; 0 for any number.")
def set_them(family: str, per_minute: int | None, lines: int | None) -> None:
    """Limit what all senders together send to a FAMILY of domains.

    FAMILY is gmail, outlook, yahoo, apple, proton, orange, free, menara or others; '*' in quotes for all mail. A limit
    that is not named stays as it is.
    """
    if family not in {*FAMILIES, EVERY_FAMILY}:
        raise InvalidInput(f"there is no family “{family}”: there are {_KNOWN}")
    if per_minute is None and lines is None:
        raise click.UsageError("say the limit: --per-minute, --lines, or both")
    with opened() as parts:
        backend = parts.backend.name
        with parts.database.work() as work:
            now = _limits_of(work, backend, family)
            per_minute = now[0] if per_minute is None else per_minute or None
            lines = now[1] if lines is None else lines or None
            limits.set_limits(work, backend, family=family, per_minute=per_minute, lines=lines)
    say(f"From now on, by {backend} to {_whom(family)}: {_limit_text(per_minute, lines)}.")


@rates.command()
def resume() -> None:
    """End all pauses now, and forget what was learnt of each family's patience; limits stay."""
    with opened() as parts, parts.database.work() as work:
        ended = limits.resume(work, parts.backend.name)
    if ended:
        is_one = ended == 1
        say(f"{counted(ended, 'pause')} of {parts.backend.name} {'is' if is_one else 'are'} ended: the next run sends.")
    else:
        say(f"Nothing of {parts.backend.name} rested.")


def _limits_of(work: Work, backend: str, family: str) -> tuple[int | None, int | None]:
    for each in limits.known(work):
        if (each.backend, each.family) == (backend, family):
            return each.per_minute, each.lines
    return None, None


def _says_something(rate: Rate, now: datetime) -> bool:
    return rate.per_minute is not None or rate.lines is not None or bool(_rest(rate, now))


def _rest(rate: Rate, now: datetime) -> str:
    return rest_text(rate, now=now, time_zone=ZONE)


def _row(rate: Rate, now: datetime) -> tuple[str, ...]:
    figures = ("" if each is None else f"{each:,}" for each in (rate.per_minute, rate.lines))
    return (rate.backend, rate.family, *figures, _rest(rate, now))


def _whom(family: str) -> str:
    if family == EVERY_FAMILY:
        return "everybody"
    domains = domains_of(family)
    return f"{family} ({', '.join(domains)})" if domains else f"{family} (all domains that are in no family)"


def _limit_text(per_minute: int | None, lines: int | None) -> str:
    said = [] if per_minute is None else [f"at most {counted(per_minute, 'mail')} a minute"]
    said += [] if lines is None else [f"at most {lines:,} on their way at once"]
    return ", ".join(said) or "no limit"


def _as_dict(rate: Rate, now: datetime) -> dict[str, Any]:
    rests = limits.is_paused(rate, now)
    return {
        "backend": rate.backend,
        "family": rate.family,
        "per_minute": rate.per_minute,
        "lines": rate.lines,
        "rests_until": rate.paused_until if rests else None,
        "reason": rate.reason if rests else None,
        "comes_back_with": rate.opened,
    }
