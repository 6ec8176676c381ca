"""Subscriber and Suppression."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.base.families import LONGEST_NAME, OTHERS
from newsletter.db.schema import Table, word


class Subscriber(Table):
    """A person, known by one address; when the address is removed, the number and the keyed hash remain.

    `family` is that of the address's domain.
    """

    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str | None] = mapped_column(String(254))
    address_key: Mapped[str | None] = mapped_column(String(254), unique=True)
    needs_smtputf8: Mapped[bool] = mapped_column(Boolean, default=False)
    address_hash: Mapped[str] = mapped_column(String(64), index=True)
    family: Mapped[str] = mapped_column(String(LONGEST_NAME), default=OTHERS, server_default=OTHERS)
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class SuppressionReason(StrEnum):
    """Why an address is closed, which says for what."""

    ERASURE = "erasure"
    HARD_BOUNCE = "hard_bounce"
    STAFF = "staff"
    COMPLAINT = "complaint"
    NEVER = "never"


class Suppression(Table):
    """Closes an address, kept as a keyed hash so that it outlives the person's erasure."""

    __tablename__ = "suppression"
    __table_args__ = (Index("uq_suppression_address_hash_reason", "address_hash", "reason", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64))
    reason: Mapped[SuppressionReason] = mapped_column(word(SuppressionReason))
    created_at: Mapped[datetime]


class Purpose(StrEnum):
    """What one wants to do with an address."""

    NEWS = "news"
    CONFIRMATION = "confirmation"
    IMPORT = "import"


def closes(reason: SuppressionReason, purpose: Purpose) -> bool:
    """Say whether a suppression closes its address for this purpose.

    A hard bounce or staff leave room for one confirmation a month, which the budget of confirmations sees to.
    """
    if reason in {SuppressionReason.COMPLAINT, SuppressionReason.NEVER}:
        return True
    if reason is SuppressionReason.ERASURE:
        return purpose is Purpose.IMPORT
    return purpose is not Purpose.CONFIRMATION
