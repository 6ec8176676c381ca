"""Migrations and models speak of the same tables, on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from newsletter.base.links import Links
from newsletter.db import migrations
from newsletter.db.database import Database
from newsletter.db.schema import Table


def test_the_newest_migration_equals_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    migrations.upgrade(database)
    assert migrations.stands_at(database) == migrations.newest() is not None


def test_foreign_keys_go_down_only() -> None:
    floors = [
        {"counter", "newsletter", "logo", "topic", "rhythm"},
        {"subscriber", "suppression"},
        {"batch", "delivery", "progress", "rate"},
        {
            "choice",
            "subscription",
            "request",
            "consent",
            "consent_text",
            "budget_entry",
            "sign_up_count",
            "spent_proof",
        },
        {"issue", "edition", "edition_article", "cohort"},
    ]
    articles = {"source", "article_group", "article", "availability"}
    floor_of = {name: floor for floor, names in enumerate(floors) for name in names} | dict.fromkeys(articles, 3)
    assert set(floor_of) == set(Table.metadata.tables), "each table stands on a floor"
    for name, table in Table.metadata.tables.items():
        for key in table.foreign_keys:
            assert floor_of[key.column.table.name] <= floor_of[name], f"{name} → {key.column.table.name}"


def test_the_unsubscribe_mailbox_fits_into_a_local_part() -> None:
    links = Links(base_url="https://lettre.example", keys=["k" * 40])
    mailbox = links.unsubscribe_mailbox(links.unsubscribe_token(2**48 - 1, 2**48 - 1), "example.ma")
    assert len(mailbox.partition("@")[0]) <= 64
    assert links.read_unsubscribe(mailbox.partition("@")[0].upper().removeprefix("UNSUB+")).subscription_id == 2**48 - 1
