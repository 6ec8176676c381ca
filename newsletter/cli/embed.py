"""`embed`: the sign-up form for the institution's own site."""

from __future__ import annotations

import click

from newsletter.base.config import Settings
from newsletter.cli.door import opened
from newsletter.cli.printing import complain, say
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import by_slug
from newsletter.operations import embedding


@click.command()
@click.option("--newsletter", "slug", required=True, metavar="SLUG", help="Which one.")
@click.option("--language", "spoken", required=True, metavar="LANG", help="Of the form and of the reader.")
@click.option("--topics", metavar="SLUG,…", default="", help="Only these topics (default: all).")
@click.option("--frequency", type=click.Choice([str(each) for each in Frequency]), help="Default: its first one.")
@click.option("--no-script", is_flag=True, help="Without the script that answers in place.")
@click.option("--frame", "as_frame", is_flag=True, help="A frame with our own page instead.")
def embed(slug: str, spoken: str, topics: str, frequency: str | None, *, no_script: bool, as_frame: bool) -> None:
    """Print a sign-up form for the institution's site, as HTML to paste."""
    if as_frame and (topics or frequency or no_script):
        raise click.UsageError("--frame shows our own page: --topics, --frequency and --no-script do not go with it")
    with opened() as parts, parts.database.reading() as work:
        newsletter, base_url = by_slug(work, slug), parts.settings.base_url
        if as_frame:
            html = embedding.frame(newsletter, spoken=spoken, base_url=base_url)
        else:
            html = embedding.snippet(
                newsletter,
                spoken=spoken,
                base_url=base_url,
                topics=[topic.strip() for topic in topics.split(",") if topic.strip()],
                frequency=Frequency(frequency) if frequency else None,
                with_script=not no_script,
            )
    say(html)
    if as_frame or not no_script:
        _remind(parts.settings, as_frame=as_frame)


def _remind(settings: Settings, *, as_frame: bool) -> None:
    """Tell what is not set that the script or the frame needs."""
    if settings.embed_origins:
        return
    without = "stays empty" if as_frame else "leads to our page instead of answering in place"
    complain(
        f"Set NEWSLETTER_EMBED_ORIGINS to your site, such as https://www.example.ma: without it the form {without}."
    )
