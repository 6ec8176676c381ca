"""`newsletters`: what one can subscribe to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from newsletter.base.clock import zone
from newsletter.base.errors import InvalidInput
from newsletter.base.languages import named
from newsletter.bootstrap import Parts
from newsletter.cli.describing import (
    UNSET_DOMAIN,
    describe,
    in_all,
    read_daily,
    read_monthly,
    read_texts,
    read_topic,
    read_weekly,
)
from newsletter.cli.door import at_option, json_option, opened
from newsletter.cli.printing import say, show_json, show_lines, show_table
from newsletter.cli.wording import moment_text, rhythm_text, rhythms_text
from newsletter.db.database import Work
from newsletter.issues.schedule import next_slot
from newsletter.newsletters import queries
from newsletter.newsletters.actions import Changes, add_newsletter, edit_newsletter
from newsletter.newsletters.logos import put_logo
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscriptions.queries import audience_counts


@click.group()
def newsletters() -> None:
    """Add, change and list newsletters."""


@newsletters.command()
@click.argument("slug", required=False)
@click.option("--name", multiple=True, metavar="[LANG=]NAME", help="Its name, in one language or for all.")
@click.option("--institution", multiple=True, metavar="[LANG=]NAME", help="Who publishes it (default: its name).")
@click.option("--promise", multiple=True, metavar="[LANG=]TEXT", help="One sentence: what, and how often.")
@click.option("--postal-address", multiple=True, metavar="[LANG=]TEXT", help="For the footer of every mail.")
@click.option("--cndp", metavar="REFERENCE", help="The CNDP's reference (law 09-08).")
@click.option("--topic", multiple=True, metavar="SLUG[:NAMES]", help="sante:fr=Santé,ar=الصحة (default: news).")
@click.option("--language", multiple=True, metavar="LANG", help="Those it speaks (default: those of its names).")
@click.option("--weekly", metavar="DAY[@HH:MM]", help="monday@08:00, which is the default.")
@click.option("--daily", metavar="HH:MM")
@click.option("--monthly", metavar="DAY[@HH:MM]", help="1@08:00")
@click.option("--immediate", is_flag=True, help="As soon as something is published.")
@click.option("--mail-domain", metavar="DOMAIN", help="Senders and List-Id end in it, for ever (default: the site's).")
@click.option("--time-zone", metavar="NAME", help="Default: Africa/Casablanca.")
@click.option("--accent", metavar="#RRGGBB", help="The colour of titles and buttons.")
@click.option("--from", "file", type=click.Path(path_type=Path), metavar="FILE.json", help="Take all this from a file.")
@at_option
def add(file: Path | None, at: str | None, **options: Any) -> None:
    """Add a newsletter. The shortest way: newsletter newsletters add hebdo --name "L'hebdo"."""
    with opened(at) as parts:
        new = describe(file, _given(options), base_url=parts.settings.base_url)
        with parts.database.work() as work:
            newsletter = add_newsletter(work, new=new)
            lines = _described(newsletter, parts)
    say(f"Added the newsletter “{newsletter.slug}”.")
    say()
    show_lines(lines)
    say()
    say("Next: newsletter sources add URL-or-file")


@newsletters.command()
@click.argument("slug")
@click.option("--name", multiple=True, metavar="[LANG=]NAME", help="Its name.")
@click.option("--institution", multiple=True, metavar="[LANG=]NAME", help="Who publishes it.")
@click.option("--promise", multiple=True, metavar="[LANG=]TEXT", help="One sentence: what, and how often.")
@click.option("--postal-address", multiple=True, metavar="[LANG=]TEXT", help="For the footer of every mail.")
@click.option("--cndp", metavar="REFERENCE", help="The CNDP's reference (law 09-08).")
@click.option("--owner", metavar="ADDRESS", help="Whom readers write to about their rights.")
@click.option("--accent", metavar="#RRGGBB", help="The colour of titles and buttons.")
@click.option("--logo", type=click.Path(path_type=Path), metavar="FILE", help="SVG, PNG, JPEG or WebP, up to 100 kB.")
@click.option("--no-logo", is_flag=True, help="Show none any more.")
def edit(slug: str, logo: Path | None, *, no_logo: bool, **options: Any) -> None:
    """Change what a newsletter says of itself."""
    with opened() as parts:
        content = None if logo is None else _read(logo)
        with parts.database.work() as work:
            newsletter = queries.by_slug(work, slug)
            edit_newsletter(work, newsletter=newsletter, changes=_changes(options, newsletter))
            if content is not None or no_logo:
                put_logo(work, newsletter=newsletter, content=content)
    say(f"Changed the newsletter “{slug}”: pages and mails say so from now on.")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None


def _changes(options: dict[str, Any], newsletter: Newsletter) -> Changes:
    def texts(name: str) -> dict[str, str]:
        return in_all(read_texts(options[name]), newsletter.languages)

    return Changes(
        names=texts("name"),
        institution=texts("institution"),
        promises=texts("promise"),
        postal_address=texts("postal_address"),
        cndp_reference=options["cndp"],
        owner=options["owner"],
        accent=options["accent"],
    )


@newsletters.command("list")
@json_option
def list_them(*, as_json: bool) -> None:
    """List the newsletters and how many read them."""
    with opened() as parts, parts.database.reading() as work:
        found = [(newsletter, _readers(work, newsletter)) for newsletter in queries.all_newsletters(work)]
        if as_json:
            show_json([_as_dict(newsletter, readers) for newsletter, readers in found])
        elif found:
            rows = [_row(newsletter, readers) for newsletter, readers in found]
            show_table(["slug", "name", "languages", "topics", "readers", "comes"], rows, right={"topics", "readers"})
        else:
            say("There is no newsletter yet: newsletter newsletters add --help")


def _row(newsletter: Newsletter, readers: int) -> tuple[str, ...]:
    return (
        newsletter.slug,
        named(newsletter.names, newsletter.languages),
        " ".join(newsletter.languages),
        f"{len(newsletter.topics)}",
        f"{readers:,}",
        rhythms_text(newsletter),
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Bring the options into the form of a file."""
    texts = {"names": "name", "institution": "institution", "promise": "promise", "postal_address": "postal_address"}
    given: dict[str, Any] = {key: read_texts(options[name]) for key, name in texts.items()}
    given["topics"] = [read_topic(value) for value in options["topic"]]
    for name, read in (("weekly", read_weekly), ("daily", read_daily), ("monthly", read_monthly)):
        if options[name] is not None:
            given[name] = read(options[name])
    given |= {"languages": list(options["language"]), "cndp_reference": options["cndp"]}
    return given | {name: options[name] for name in ("slug", "immediate", "mail_domain", "time_zone", "accent")}


def _described(newsletter: Newsletter, parts: Parts) -> Sequence[tuple[str, str]]:
    lines = [
        ("name", named(newsletter.names, newsletter.languages)),
        ("languages", ", ".join(newsletter.languages)),
        ("topics", ", ".join(topic.slug for topic in newsletter.topics)),
    ]
    for rhythm in newsletter.rhythms:
        if rhythm.frequency is Frequency.IMMEDIATE:
            lines.append(("comes", rhythm_text(rhythm)))
            continue
        first = next_slot(
            rhythm.frequency,
            at=rhythm.at,
            weekday=rhythm.weekday,
            day=rhythm.day,
            zone=zone(newsletter.time_zone),
            now=parts.clock.now(),
        )
        lines.append(("comes", f"{rhythm_text(rhythm)}, first on {moment_text(first, newsletter.time_zone)}"))
    lines += [("clock", newsletter.time_zone), ("sender", newsletter.sender)]
    if newsletter.mail_domain == UNSET_DOMAIN:
        lines.append(("mail domain", f"{UNSET_DOMAIN}, for trying out only: a real one needs --mail-domain"))
    return lines


def _readers(work: Work, newsletter: Newsletter) -> int:
    return sum(
        count
        for rhythm in newsletter.rhythms
        for _, count in audience_counts(work, newsletter_id=newsletter.id, frequency=rhythm.frequency)
    )


def _as_dict(newsletter: Newsletter, readers: int) -> dict[str, Any]:
    return {
        "slug": newsletter.slug,
        "names": newsletter.names,
        "institution": newsletter.institution,
        "languages": newsletter.languages,
        "time_zone": newsletter.time_zone,
        "topics": [{"slug": topic.slug, "names": topic.names} for topic in newsletter.topics],
        "rhythms": [rhythm.as_dict() for rhythm in newsletter.rhythms],
        "sender": newsletter.sender,
        "mail_domain": newsletter.mail_domain,
        "cndp_reference": newsletter.cndp_reference,
        "postal_address": newsletter.postal_address,
        "readers": readers,
    }
