"""`worker`: the sending loop as a process of its own, beside gunicorn."""

from __future__ import annotations

import click

from newsletter.base.config import load_settings
from newsletter.bootstrap import build
from newsletter.deliveries.models import LaneName
from newsletter.operations.readiness import require_ready
from newsletter.operations.sending import TRANSACTIONAL
from newsletter.operations.stopping import stop_on_signals
from newsletter.worker.loop import keep_sending


@click.command()
@click.option("--all-lanes", is_flag=True, help="Send the mails of issues, too, which run --due planned.")
def worker(*, all_lanes: bool) -> None:
    """Mail what is due as soon as it is due.

    Confirmations and notices within a second, beside gunicorn, until Ctrl-C or SIGTERM.
    """
    parts = build(load_settings())
    try:
        require_ready(parts.database)
        with stop_on_signals() as stop:
            what = "All mails that are due go" if all_lanes else "Confirmations and notices go"
            click.echo(f"{what} to {parts.backend.describe()}. Ctrl-C stops.")
            keep_sending(parts.postroom, lanes=tuple(LaneName) if all_lanes else TRANSACTIONAL, stop=stop)
        click.echo("Stopped.")
    finally:
        parts.database.close()
