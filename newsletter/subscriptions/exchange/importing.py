"""Importing a file of subscribers: rows in, a thousand at a time, each taken, left alone, or refused with its reason.

A work holds one slice, so that people sign up meanwhile and a crash is mended by running it again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from newsletter.base.errors import InvalidInput, Unavailable
from newsletter.db.database import Database
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.subscriptions import queries
from newsletter.subscriptions.exchange import taking
from newsletter.subscriptions.exchange.entries import Checker, Entry, LeftAlone, Terms
from newsletter.subscriptions.exchange.formats import Format, Recognised, Unreadable, recognise
from newsletter.subscriptions.exchange.rows import Reader, Row
from newsletter.subscriptions.exchange.standings import Sketch, Verdict, judge

SLICE = 1000  # rows of the file that one work takes
GROWN = 3  # times as many rows as when PostgreSQL last looked at its tables
MOST_CHOICES = 10_000  # whose numbers are kept in memory
_SYSTEMS = {
    Format.OURS: "newsletter-server",
    Format.LISTMONK: "listmonk",
    Format.MAILCHIMP: "Mailchimp",
    Format.PLAIN: "a list of addresses",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What is reported of a row that was not taken."""

    line: int
    reason: str
    is_refused: bool


@dataclass(slots=True)
class Summary:
    """What became of a file's rows: `taken` by what they are now, the others by reason. Each row is counted once."""

    file: str
    newsletter: str
    format: Format = Format.PLAIN
    is_dry: bool = False
    encodings: Sequence[str] = ()
    left_out: Sequence[str] = ()
    rows: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    left_alone: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import, by the name that the evidence keeps; `format` is what the operator says it is."""

    stream: io.BufferedReader
    name: str
    format: Format | None = None


def import_subscribers(
    database: Database,
    *,
    source: Source,
    newsletter: str,
    terms: Terms,
    address_key: bytes,
    dry_run: bool,
    tell: Callable[[Told], None],
    progress: Callable[[Summary], None],
) -> Summary:
    """Import a file, telling of each row that was not taken. Safe to repeat; sends nothing to anybody.

    :raises NotFound: if there is no such newsletter
    :raises InvalidInput: if the file is no list of subscribers
    :raises Unavailable: if the database does not answer; what was taken until then stays
    """
    with database.reading() as work:
        subject = newsletter_queries.by_slug(work, newsletter)
        checker = Checker(subject, terms, work.now, address_key)
    checker.check_terms()
    summary = Summary(source.name, newsletter, is_dry=dry_run)
    reader = Reader()
    run = _Run(database, subject, checker, summary, tell)
    run.sketch = Sketch() if dry_run else None
    try:
        for row in reader.rows(source.stream):
            summary.rows += 1
            run.take(row, source)
            if run.is_full:
                run.flush()
                progress(summary)
        run.flush()
    except Unavailable as error:
        message = f"{error.message}; {summary.rows:,} rows had been read: run the same command again"
        raise Unavailable(message, code=error.code) from error
    finally:
        if run.sketch is not None:
            run.sketch.close()
    summary.encodings = sorted(reader.encodings)
    if run.how is None:
        raise InvalidInput("there is no row in this file", code="empty_file")
    return summary


@dataclass(slots=True)
class _Run:
    """One import under way: the rows of the slice that is being gathered."""

    database: Database
    newsletter: Newsletter
    checker: Checker
    summary: Summary
    tell: Callable[[Told], None]
    how: Recognised | None = None
    origin: taking.Origin = field(default_factory=lambda: taking.Origin("", ""))
    sketch: Sketch | None = None
    _entries: list[Entry] = field(default_factory=list)
    _hashes: set[str] = field(default_factory=set)
    _told: list[Told] = field(default_factory=list)
    _choices: dict[tuple[object, ...], int] = field(default_factory=dict)
    _look_at: int = SLICE

    @property
    def is_full(self) -> bool:
        return len(self._entries) + len(self._told) >= SLICE

    def take(self, row: Row, source: Source) -> None:
        """Read one row into the slice, or tell why not."""
        if row.trouble is not None:
            self._told.append(Told(row.line, row.trouble, is_refused=True))
            return
        how = self.how
        if how is None:
            how, is_header = self._begin(row, source)
            if is_header:
                self.summary.rows -= 1
                return
        try:
            entry = self.checker.entry(row.line, how.said(row.cells), is_guessed=row.is_guessed)
        except (Unreadable, LeftAlone) as told:
            self._told.append(Told(row.line, str(told), is_refused=isinstance(told, Unreadable)))
            return
        if entry.leaves and entry.address_hash in self._hashes:  # it may end what the same slice begins
            self.flush()
        self._entries.append(entry)
        self._hashes.add(entry.address_hash)

    def flush(self) -> None:
        """Write the slice in one work, and tell of it in the order of the file."""
        verdicts = self._written() if self._entries else []
        for entry, verdict in zip(self._entries, verdicts, strict=True):
            if verdict.left_alone:
                self._told.append(Told(entry.line, verdict.left_alone, is_refused=False))
            else:
                self.summary.taken[_what(entry, verdict)] += 1
        for told in sorted(self._told, key=lambda each: each.line):
            (self.summary.refused if told.is_refused else self.summary.left_alone)[told.reason] += 1
            self.tell(told)
        self._entries.clear()
        self._hashes.clear()
        self._told.clear()

    def _begin(self, row: Row, source: Source) -> tuple[Recognised, bool]:
        """Recognise the file by its first row, and say whether that is a header."""
        how, is_header = recognise(row.cells, named=source.format, file_name=source.name.lower())
        self.how = how
        self.summary.format = how.format
        self.summary.left_out = how.left_out
        self.origin = taking.Origin(_SYSTEMS[how.format], source.name, self.checker.terms.evidence)
        return how, is_header

    def _written(self) -> list[Verdict]:
        if self.sketch is not None:
            return self._sketched(self.sketch)
        choice_ids = self._choice_ids()
        with self.database.work() as work:
            verdicts = taking.take(
                work, self._entries, newsletter_id=self.newsletter.id, choice_ids=choice_ids, origin=self.origin
            )
        if self.summary.taken.total() >= self._look_at:
            self._look_at = self.summary.taken.total() * GROWN
            with self.database.work() as work:
                taking.refresh_statistics(work)
        return verdicts

    def _sketched(self, sketch: Sketch) -> list[Verdict]:
        with self.database.reading() as work:
            known = taking.standings(work, newsletter_id=self.newsletter.id, entries=self._entries)
        known = sketch.over(known, [entry.address_hash for entry in self._entries])
        verdicts = judge(self._entries, known, now=work.now)
        sketch.add(self._entries, verdicts, known, work.now)
        return verdicts

    def _choice_ids(self) -> list[int]:
        """Return the choices of the slice, new ones made in works of their own: others sign up with the same choice."""
        if len(self._choices) > MOST_CHOICES:
            self._choices.clear()
        numbers = []
        for entry in self._entries:
            key = (entry.form, *entry.wish.languages, *entry.wish.topics)
            if key not in self._choices:
                with self.database.work() as work:
                    self._choices[key] = queries.choice_id(
                        work,
                        newsletter_id=self.newsletter.id,
                        form=entry.form,
                        languages=[(code, 0) for code in entry.wish.languages],
                        topics=[(topic, 0) for topic in entry.wish.topics],
                    )
            numbers.append(self._choices[key])
        return numbers


def _what(entry: Entry, verdict: Verdict) -> str:
    """Name what a row that was taken has become."""
    if verdict.ends is not None:
        return "ended here"
    if verdict.inserts:
        return str(entry.state)
    return "address closed"
