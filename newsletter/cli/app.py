"""The command group with all that needs no other door."""

from __future__ import annotations

from importlib.metadata import version

import click

from newsletter.cli.deliveries import deliveries
from newsletter.cli.door import Door
from newsletter.cli.embed import embed
from newsletter.cli.issues import issues
from newsletter.cli.newsletters import newsletters
from newsletter.cli.privacy import privacy
from newsletter.cli.rates import rates
from newsletter.cli.running import run
from newsletter.cli.setting_up import db, doctor, init
from newsletter.cli.sources import fetch, sources
from newsletter.cli.subscribers import subscribers


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("newsletter-server"), message="newsletter %(version)s")
def group() -> None:
    """A newsletter server for a public institution's news site."""


for command in (
    init,
    newsletters,
    sources,
    fetch,
    run,
    issues,
    subscribers,
    deliveries,
    privacy,
    embed,
    rates,
    db,
    doctor,
):
    group.add_command(command)
