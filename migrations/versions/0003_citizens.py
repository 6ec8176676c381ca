"""what citizens can do: texts of consents, limits of sign-ups, undo, pauses, changes of address"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.db import schema

revision = "0003"
down_revision = "0002"

SCOPES = ("network", "domain", "all", "mailed", "confirmed")


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "consent_text",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", schema.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_consent_text")),
    )
    op.create_table(
        "sign_up_count",
        sa.Column("scope", sa.Enum(*SCOPES, name="scope", native_enum=False, length=20), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("hour", schema.Moment(), nullable=False),
        sa.Column("count", number, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", "hour", name=op.f("pk_sign_up_count")),
    )
    op.create_table(
        "spent_proof",
        sa.Column("challenge", sa.String(length=128), nullable=False),
        sa.Column("until", schema.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_spent_proof")),
    )
    op.create_table(
        "logo",
        sa.Column("newsletter_id", number, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["newsletter_id"], ["newsletter.id"], name=op.f("fk_logo_newsletter_id_newsletter")),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_logo")),
    )
    op.add_column("newsletter", sa.Column("logo_type", sa.String(length=40), nullable=True))
    op.add_column("consent", sa.Column("form_version", sa.String(length=40), nullable=True))
    op.add_column("consent", sa.Column("network", sa.String(length=49), nullable=True))
    op.add_column("consent", sa.Column("evidence", sa.JSON(), nullable=True))
    op.add_column("request", sa.Column("address", sa.String(length=254), nullable=True))
    op.add_column("request", sa.Column("address_hash", sa.String(length=64), nullable=True))
    op.add_column("subscriber", sa.Column("removed_at", schema.Moment(), nullable=True))
    _subscription(number)


def _subscription(number: sa.types.TypeEngine[int]) -> None:
    op.add_column("subscription", sa.Column("catches_up", sa.Boolean(), server_default=sa.true(), nullable=False))
    key = "fk_subscription_continues_id_subscription"
    if op.get_bind().dialect.name == "sqlite":  # knows no constraint added later, but one that comes with its column
        op.execute(
            f"ALTER TABLE subscription ADD COLUMN continues_id INTEGER CONSTRAINT {key} REFERENCES subscription (id)"
        )
    else:
        op.add_column("subscription", sa.Column("continues_id", number, nullable=True))
        op.create_foreign_key(key, "subscription", "subscription", ["continues_id"], ["id"])
    op.create_index("ix_subscription_subscriber_id", "subscription", ["subscriber_id"])
    op.create_index("uq_subscription_continues_id", "subscription", ["continues_id"], unique=True)
    paused = sa.text("paused_until IS NOT NULL")
    op.create_index(
        "ix_subscription_paused", "subscription", ["paused_until"], sqlite_where=paused, postgresql_where=paused
    )
