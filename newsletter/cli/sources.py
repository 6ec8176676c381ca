"""`sources` and `fetch`: where articles come from."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from newsletter.articles import actions, queries
from newsletter.articles.feeds import Feed
from newsletter.articles.fetching import is_local
from newsletter.articles.models import Source
from newsletter.base.errors import Conflict, NotFound
from newsletter.cli.door import BAD_INPUT, ROW_NUMBER, TRY_LATER, at_option, json_option, opened
from newsletter.cli.printing import complain, one_line, say, show_json, show_lines, show_table
from newsletter.cli.progress import steps
from newsletter.cli.wording import counted, moment_text, stamp
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.operations.fetching import FetchResult, fetch_all, read_source


@click.group()
def sources() -> None:
    """Add and list the places where articles come from."""


@sources.command()
@click.argument("url", metavar="URL-or-file")
@click.option("--newsletter", "slug", metavar="SLUG", help="Which newsletter it feeds, where there are several.")
@click.option("--topic", metavar="SLUG", help="The topic of entries that name none (default: the first).")
def add(url: str, slug: str | None, topic: str | None) -> None:
    """Read a feed (RSS, Atom, JSON Feed), show what it would give, and add it."""
    with opened() as parts:
        with parts.database.reading() as work:
            newsletter_id = _newsletter(work, slug).id
        url = str(Path(url).resolve()) if is_local(url) and not url.lower().startswith("file:") else url
        feed = read_source(url)
        with parts.database.work() as work:
            newsletter = newsletter_queries.by_id(work, newsletter_id)
            source = actions.add_source(work, newsletter=newsletter, url=url, topic=topic)
            usual = next(each.slug for each in newsletter.topics if each.id == source.topic_id)
    say(f"Added source {source.id} of “{newsletter.slug}”.")
    say()
    show_lines(
        [
            ("title", one_line(feed.title) or "(none)"),
            ("entries", _entries(feed, newsletter)),
            ("topic", f"{usual}, for entries that name none"),
            ("address", url),
        ]
    )
    say()
    say("Next: newsletter fetch")


@sources.command("list")
@json_option
def list_them(*, as_json: bool) -> None:
    """List the sources, when each was read last, and what is wrong with it."""
    with opened() as parts, parts.database.reading() as work:
        found = queries.sources(work)
        if as_json:
            show_json([_as_dict(source) for source in found])
        elif found:
            columns = ["no.", "newsletter", "topic", "read last", "address"]
            show_table(columns, [_row(source) for source in found], right={"no."})
            for source in found:
                if source.last_error:
                    when = moment_text(source.last_error_at, source.newsletter.time_zone)
                    say(f"! source {source.id}, {when}: {one_line(source.last_error)}")
        else:
            say("There is no source yet: newsletter sources add URL-or-file")


def _row(source: Source) -> tuple[str, ...]:
    read_last = stamp(source.last_success_at, source.newsletter.time_zone) or "never"
    return (f"{source.id}", source.newsletter.slug, _topic_of(source), read_last, source.url)


@click.command()
@click.argument("number", required=False, type=ROW_NUMBER)
@at_option
@json_option
def fetch(number: int | None, at: str | None, *, as_json: bool) -> None:
    """Read every source, or one, and take in what is new."""
    with opened(at) as parts:
        with parts.database.reading() as work:
            known = len(queries.sources(work)) if number is None else bool(queries.source(work, number))
        results = []
        with steps() as progress:
            for result in fetch_all(parts.database, source_id=number):
                results.append(result)
                progress(f"read {one_line(result.url)}")
                if not as_json:
                    tell(result, quiet=False)
    if as_json:
        show_json([asdict(result) for result in results])
    elif not known:
        say("There is no source yet: newsletter sources add URL-or-file")
    if number is not None:
        _judge(results)


def tell(result: FetchResult, *, quiet: bool) -> None:
    """Say what a source gave; with `quiet` only if there is something to say."""
    if result.error is not None:
        complain(f"source {result.source_id} in trouble: {one_line(result.error)}")
        return
    changed = [f"{count:,} {word}" for count, word in ((result.new, "new"), (result.corrected, "corrected")) if count]
    if changed or not quiet:
        left_out = f" ({result.left_out:,} left out)" if result.left_out else ""
        say(f"source {result.source_id}: {', '.join(changed) or 'nothing new'}{left_out}, {one_line(result.url)}")


def _judge(results: list[FetchResult]) -> None:
    """Whoever asked for one source wants to know by the exit code; the line is out already."""
    for result in results:
        if result.error is not None:
            raise SystemExit(TRY_LATER if result.try_later else BAD_INPUT)


def _newsletter(work: Work, slug: str | None) -> Newsletter:
    if slug is not None:
        return newsletter_queries.by_slug(work, slug)
    found = newsletter_queries.all_newsletters(work)
    if not found:
        raise NotFound("there is no newsletter yet: newsletter newsletters add --help")
    if len(found) > 1:
        raise Conflict(f"say which newsletter: --newsletter {' | '.join(each.slug for each in found)}")
    return found[0]


def _entries(feed: Feed, newsletter: Newsletter) -> str:
    by_language = Counter(entry.language for entry in feed.entries)
    spoken = [f"{count:,} in {code}" for code, count in by_language.most_common() if code in newsletter.languages]
    foreign = [f"{count:,} in {code}" for code, count in by_language.most_common() if code not in newsletter.languages]
    left_out = foreign + ([f"{feed.left_out:,} without a link or a text"] if feed.left_out else [])
    text = ", ".join(spoken) if spoken else counted(0, "entry", "entries")
    return text + (f"; left out: {', '.join(left_out)}" if left_out else "")


def _topic_of(source: Source) -> str:
    return next(topic.slug for topic in source.newsletter.topics if topic.id == source.topic_id)


def _as_dict(source: Source) -> dict[str, Any]:
    return {
        "id": source.id,
        "newsletter": source.newsletter.slug,
        "topic": _topic_of(source),
        "url": source.url,
        "last_success_at": source.last_success_at,
        "last_error": source.last_error,
        "last_error_at": source.last_error_at,
    }
