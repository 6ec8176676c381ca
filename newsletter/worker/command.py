"""`worker`: the sending loop as a process of its own, alone or as one of many."""

from __future__ import annotations

import importlib
import threading

import click

from newsletter.base.config import load_settings
from newsletter.base.errors import ConfigError
from newsletter.bootstrap import build
from newsletter.operations.readiness import make_ready
from newsletter.operations.sending import Postroom
from newsletter.operations.stopping import stop_on_signals
from newsletter.worker.loop import send_in_threads

HANDS = click.IntRange(0, 6)  # each may hold a connection of the process's pool; more processes carry more


@click.command()
@click.option("--all-lanes", is_flag=True, help="Send the mails of issues, too, which run --due planned.")
@click.option("--cluster", is_flag=True, help="Share the work with other hosts on the same PostgreSQL. Sends all.")
@click.option("--transactional", default=1, show_default=True, type=HANDS, help="Threads for confirmations, notices.")
@click.option("--digests", type=HANDS, help="Threads for the mails of issues.  [default: 1 with either of the above]")
def worker(*, all_lanes: bool, cluster: bool, transactional: int, digests: int | None) -> None:
    """Mail what is due as soon as it is due.

    Confirmations and notices within a second, beside gunicorn, until Ctrl-C or SIGTERM. With --cluster any number of
    hosts share the work; such a worker ends with exit code 75 when the database goes, for a supervisor to start anew.
    """
    if digests is None:
        digests = int(all_lanes or cluster)
    if not transactional + digests:
        raise click.UsageError("a worker needs something to do: --transactional or --digests above 0")
    parts = build(load_settings())
    try:
        make_ready(parts.database, parts.erasures)
        with stop_on_signals() as stop:
            click.echo(f"{_what(transactional, digests)} to {parts.backend.describe()}. Ctrl-C stops.")
            send = _send_in_cluster if cluster else send_in_threads
            send(parts.postroom, transactional=transactional, digests=digests, stop=stop)
        click.echo("Stopped.")
    finally:
        parts.database.close()


def _what(transactional: int, digests: int) -> str:
    if transactional and digests:
        return "All mails that are due go"
    return "Confirmations and notices go" if transactional else "The mails of issues go"


def _send_in_cluster(postroom: Postroom, *, transactional: int, digests: int, stop: threading.Event) -> None:
    try:
        # An extra that takes a quarter of a second to load: only where it is asked for.
        cluster = importlib.import_module("newsletter.worker.cluster")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "newsletter":
            raise
        raise ConfigError("--cluster needs its extra: pip install 'newsletter-server[cluster]'") from None
    cluster.ClusterWorker(postroom, transactional=transactional, digests=digests, stop=stop).run()
