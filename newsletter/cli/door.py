"""The command group: where errors become exit codes, once, and where every command gets its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from newsletter.base.clock import SetClock
from newsletter.base.config import load_settings
from newsletter.base.errors import ConfigError, InvalidInput, NewsletterError, Unavailable
from newsletter.bootstrap import Parts, build
from newsletter.cli.printing import complain, one_line
from newsletter.operations.readiness import make_ready

BAD_INPUT = 65
TRY_LATER = 75
MEND_SET_UP = 78
ORDER = (
    "demo",
    "init",
    "newsletters",
    "sources",
    "fetch",
    "serve",
    "embed",
    "run",
    "issues",
    "deliveries",
    "subscribers",
    "privacy",
    "rates",
    "doctor",
    "db",
)

ROW_NUMBER = click.IntRange(1, 2**63 - 1)
EARLIEST, LATEST = 2000, 2200  # years that --at may play: moments near the ends of the calendar cannot be moved from

at_option = click.option(
    "--at", metavar="MOMENT", help="Play a moment, such as 2026-11-30T08:00+00:00, instead of the clock's."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


class Door(click.Group):
    """Translates the families of errors; what nobody anticipated is not caught. Lists commands as they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (signature)
        return [name for name in ORDER if name in self.commands] + sorted(set(self.commands) - set(ORDER))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NewsletterError as error:
            complain(f"newsletter: {one_line(error.message)}")
            ctx.exit(exit_code(error))


def exit_code(error: NewsletterError) -> int:
    """Return the exit code of an error's family (sysexits.h)."""
    match error:
        case Unavailable():
            return TRY_LATER
        case ConfigError():
            return MEND_SET_UP
        case _:
            return BAD_INPUT


@contextmanager
def opened(at: str | None = None) -> Iterator[Parts]:
    """Give the parts on a database that can be worked on, with the clock set to `at` if it is given.

    :raises InvalidInput: if `at` is no moment
    :raises ConfigError: if the set-up must be mended
    :raises Unavailable: if the database does not answer
    """
    parts = build(load_settings(), clock=None if at is None else SetClock(read_moment(at)))
    try:
        make_ready(parts.database, parts.erasures)
        yield parts
    finally:
        parts.database.close()


def read_moment(text: str) -> datetime:
    """Read a moment as ISO 8601 writes it.

    :raises InvalidInput: if it is none, or has no time zone
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--at: “{text}” is no moment such as 2026-11-30T08:00+00:00") from None
    if moment.tzinfo is None:
        raise InvalidInput(f"--at: “{text}” lacks a time zone: write {text}+00:00, or another offset")
    if not EARLIEST <= moment.year < LATEST:
        raise InvalidInput(f"--at: the year {moment.year} is not between {EARLIEST} and {LATEST}")
    return moment
