"""Batch and Delivery: who gets which mail, and what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.base.families import LONGEST_NAME, OTHERS
from newsletter.db.schema import Table, word


class LaneName(StrEnum):
    """The kinds of batches, each with rules of its own."""

    DIGEST = "digest"
    CONFIRMATION = "confirmation"
    NOTICE = "notice"


class BatchState(StrEnum):
    """Whether a batch may be sent from."""

    OPEN = "open"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    """Where a delivery is; the first three are open."""

    PENDING = "pending"
    SENDING = "sending"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DEFERRED)
GIVEN_STATES = (DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN)
_IS_OPEN = text("state IN ('pending', 'sending', 'deferred')")
_IS_DEFERRED = text("state = 'deferred'")
LONGEST_SENDER = 60


class Batch(Table):
    """The deliveries of one issue, or of one kind of transactional mail (`kind` is then unique)."""

    __tablename__ = "batch"

    id: Mapped[int] = mapped_column(primary_key=True)
    lane: Mapped[LaneName] = mapped_column(word(LaneName))
    kind: Mapped[str | None] = mapped_column(String(40), unique=True)
    state: Mapped[BatchState] = mapped_column(word(BatchState), default=BatchState.OPEN)
    patience: Mapped[int]
    created_at: Mapped[datetime]


class Delivery(Table):
    """One mail to one subscriber.

    `subscription_id`, `content_id` and `occasion` are the lane's own numbers (no foreign keys: its floor is above):
    whom it serves, what it is composed from, and which request asked for it (0 in a digest). A row that is `sending` is
    claimed; from `intent_at` on it may have left. `family` is that of the address it was planned for.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("uq_delivery_batch_id_subscriber_id_occasion", "batch_id", "subscriber_id", "occasion", unique=True),
        Index(
            "uq_delivery_open_subscription",
            "subscription_id",
            unique=True,
            sqlite_where=_IS_OPEN,
            postgresql_where=_IS_OPEN,
        ),
        Index("ix_delivery_subscription_id", "subscription_id"),
        Index("ix_delivery_open", "batch_id", "state", "id", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index(
            "ix_delivery_deferred",
            "next_attempt_at",
            sqlite_where=_IS_DEFERRED,
            postgresql_where=_IS_DEFERRED,
        ),
        CheckConstraint("(state = 'sending') = (owner IS NOT NULL)", name="sending_has_owner"),
        CheckConstraint("state <> 'deferred' OR next_attempt_at IS NOT NULL", name="deferred_has_next_attempt"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"))
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"), index=True)
    subscription_id: Mapped[int | None]
    content_id: Mapped[int | None]
    occasion: Mapped[int] = mapped_column(default=0, server_default="0")
    family: Mapped[str] = mapped_column(String(LONGEST_NAME), default=OTHERS, server_default=OTHERS)
    state: Mapped[DeliveryState] = mapped_column(word(DeliveryState))
    reason: Mapped[str | None] = mapped_column(String(60))
    reply_code: Mapped[int | None]
    reply: Mapped[str | None] = mapped_column(String(500))
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    doubts: Mapped[int] = mapped_column(default=0, server_default="0")
    possible_copies: Mapped[int] = mapped_column(default=0, server_default="0")
    owner: Mapped[str | None] = mapped_column(String(LONGEST_SENDER))
    lease_until: Mapped[datetime | None]
    intent_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class Progress(Table):
    """How many rows of a batch and domain family one sender has moved into each state, less those it has moved out.

    The sum over the senders is what the rows say; a count alone may be negative. Only issues are counted: the batches
    of transactional mails never end.
    """

    __tablename__ = "progress"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    sender: Mapped[str] = mapped_column(String(LONGEST_SENDER), primary_key=True)
    family: Mapped[str] = mapped_column(String(LONGEST_NAME), primary_key=True)
    pending: Mapped[int] = mapped_column(default=0)
    sending: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    uncertain: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)


EVERY_FAMILY = "*"


class Rate(Table):
    """How fast a backend may send to a domain family, or to all of them (EVERY_FAMILY); shared by all senders.

    `per_minute` and `lines` are an operator's limits. `opened` is how many mails may be on their way at once while the
    other side is being tried again after `paused_until`; from `opened_at` on one is added at a time.
    """

    __tablename__ = "rate"

    backend: Mapped[str] = mapped_column(String(40), primary_key=True)
    family: Mapped[str] = mapped_column(String(LONGEST_NAME), primary_key=True)
    per_minute: Mapped[int | None]
    lines: Mapped[int | None]
    paused_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(String(60))
    troubles: Mapped[int] = mapped_column(default=0, server_default="0")
    opened: Mapped[int | None]
    opened_at: Mapped[datetime | None]
    tokens: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    filled_at: Mapped[datetime | None]
