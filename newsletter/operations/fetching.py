"""Fetching every source: one that fails is noted and named, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from newsletter.articles import actions, queries
from newsletter.articles.feeds import Feed, parse_feed
from newsletter.articles.fetching import fetch
from newsletter.base.errors import InvalidInput, NewsletterError, Unavailable
from newsletter.db.database import Database


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a source gave; `error` names source and cause, `try_later` says whether that may pass by itself."""

    source_id: int
    url: str
    new: int = 0
    corrected: int = 0
    left_out: int = 0
    error: str | None = None
    try_later: bool = False


def read_source(url: str) -> Feed:
    """Fetch and read what stands at an address, or in a local file.

    :raises InvalidInput: if it is no feed
    :raises Unavailable: if it does not answer
    """
    fetched = fetch(url)
    return parse_feed(fetched.data, url=fetched.url, content_type=fetched.content_type)


def fetch_all(
    database: Database, *, read: Callable[[str], Feed] = read_source, source_id: int | None = None
) -> Iterator[FetchResult]:
    """Fetch each source, oldest first, and take in what is new. Safe to repeat and at once."""
    with database.reading() as work:
        sources = [(source.id, source.url) for source in queries.sources(work)]
    for number, url in sources:
        if source_id in {None, number}:
            yield _fetch(database, number, url, read)


def _fetch(database: Database, source_id: int, url: str, read: Callable[[str], Feed]) -> FetchResult:
    try:
        feed = read(url)
        with database.work() as work:
            done = actions.ingest(work, source_id=source_id, entries=feed.entries, left_out=feed.left_out)
    except (InvalidInput, Unavailable) as error:
        _note(database, source_id, error)
        return FetchResult(source_id, url, error=error.message, try_later=isinstance(error, Unavailable))
    return FetchResult(source_id, url, done.new, done.corrected, done.left_out)


def _note(database: Database, source_id: int, error: NewsletterError) -> None:
    with database.work() as work:
        actions.note_failure(work, source_id=source_id, cause=error.message)
