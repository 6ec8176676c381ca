"""`db copy`: from one file to a database that many machines share."""

from __future__ import annotations

import threading

import click

from newsletter.base.config import load_settings
from newsletter.base.errors import ConfigError, InvalidInput
from newsletter.bootstrap import Parts
from newsletter.cli.door import opened
from newsletter.cli.printing import complain, say
from newsletter.cli.wording import counted
from newsletter.db.database import Database
from newsletter.operations.copying import Copied, copy_database, senders_at_work
from newsletter.operations.stopping import stop_on_signals

LOOK_EVERY = 1.0  # seconds


@click.command()
@click.argument("to_url")
@click.option("--wait", is_flag=True, help="Wait for senders that are at work instead of refusing.")
def copy(to_url: str, *, wait: bool) -> None:
    """Move this SQLite installation to the empty PostgreSQL database TO_URL.

    Stop cron, the workers and the site first. All or nothing: every table is compared, and only then does the old
    database take no more writes. TO_URL is written as NEWSLETTER_DATABASE_URL is; a password may stand in ~/.pgpass.
    """
    with opened() as parts:
        target = Database(_read(to_url), clock=parts.clock)
        try:
            if wait:
                _wait_for_senders(parts)
            copied = copy_database(parts.database, target, progress=_tell)
        finally:
            target.close()
        say(f"{counted(sum(each.rows for each in copied), 'row')} copied and compared; the old database is closed.")
        say("Now set NEWSLETTER_DATABASE_URL to this address wherever newsletter runs, and look: newsletter doctor")
        say(f"Keep {parts.database.engine.url.database} with the backups.")


def _read(url: str) -> str:
    try:
        return load_settings(database_url=url).database
    except ConfigError as error:
        raise InvalidInput(error.message.removeprefix("NEWSLETTER_DATABASE_URL: ")) from None


def _tell(copied: Copied) -> None:
    say(f"{copied.table:<20} {copied.rows:>12,}  {copied.checksum[:16]}")


def _wait_for_senders(parts: Parts) -> None:
    with stop_on_signals() as stop:
        told = False
        while senders := _senders(parts, stop):
            if not told:
                complain(f"waiting for {', '.join(senders)}: stop cron, the workers and the site. Ctrl-C gives up.")
                told = True
            stop.wait(LOOK_EVERY)


def _senders(parts: Parts, stop: threading.Event) -> list[str]:
    if stop.is_set():
        raise InvalidInput("given up, nothing was copied", code="stopped")
    with parts.database.reading() as work:
        return senders_at_work(work)
