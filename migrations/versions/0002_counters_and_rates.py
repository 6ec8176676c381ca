"""senders count, claim apart from intent, and keep to rates"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.base.families import FAMILIES, domains_of
from newsletter.db import schema

revision = "0002"
down_revision = "0001"

STATES = ("pending", "sending", "deferred", "accepted", "failed", "skipped", "uncertain", "cancelled")


def upgrade() -> None:
    op.create_table(
        "rate",
        sa.Column("backend", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(length=20), nullable=False),
        sa.Column("per_minute", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lines", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("paused_until", schema.Moment(), nullable=True),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("troubles", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False),
        sa.Column("opened", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("opened_at", schema.Moment(), nullable=True),
        sa.Column("tokens", sa.Float(), server_default="0", nullable=False),
        sa.Column("filled_at", schema.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("backend", "family", name=op.f("pk_rate")),
    )
    op.create_table(
        "progress",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sender", sa.String(length=60), nullable=False),
        sa.Column("family", sa.String(length=20), nullable=False),
        sa.Column("pending", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sending", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deferred", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("accepted", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("failed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("skipped", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uncertain", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cancelled", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_progress_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", "sender", "family", name=op.f("pk_progress")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("family", sa.String(length=20), server_default="others", nullable=False))
        # Without the state, which changes at each step of a row.
        batch_op.drop_index("ix_delivery_subscription_id_state")
        batch_op.create_index("ix_delivery_subscription_id", ["subscription_id"], unique=False)
        batch_op.create_index(
            "ix_delivery_deferred",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("state = 'deferred'"),
            postgresql_where=sa.text("state = 'deferred'"),
        )

    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.add_column(sa.Column("braked_at", schema.Moment(), nullable=True))

    with op.batch_alter_table("subscriber", schema=None) as batch_op:
        batch_op.add_column(sa.Column("family", sa.String(length=20), server_default="others", nullable=False))

    if op.get_bind().dialect.name == "postgresql":
        # Room in each page for the next state of its rows: most steps then touch no index.
        op.execute("ALTER TABLE delivery SET (fillfactor = 60)")
        op.execute("ALTER TABLE subscription SET (fillfactor = 80)")
        op.execute("ALTER TABLE progress SET (fillfactor = 50)")

    for family in FAMILIES:
        for domain in domains_of(family):
            op.execute(
                sa.text("UPDATE subscriber SET family = :family WHERE lower(address) LIKE :ending").bindparams(
                    family=family, ending=f"%@{domain}"
                )
            )
    op.execute(
        "UPDATE delivery SET family = (SELECT family FROM subscriber WHERE subscriber.id = delivery.subscriber_id) "
        "WHERE state IN ('pending', 'sending', 'deferred')"
    )
    # From now on senders count what they do; what was done before is counted once, here.
    counts = ", ".join(f"sum(CASE WHEN delivery.state = '{state}' THEN 1 ELSE 0 END)" for state in STATES)
    op.execute(
        f"INSERT INTO progress (batch_id, sender, family, {', '.join(STATES)}) "  # noqa: S608 (words of our own)
        f"SELECT batch_id, 'before', delivery.family, {counts} FROM delivery "
        "JOIN batch ON batch.id = delivery.batch_id WHERE batch.lane = 'digest' GROUP BY batch_id, delivery.family"
    )
