"""Newsletter, Topic, Rhythm, and the counter that numbers availabilities."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Time
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.db.schema import Table, word


class Frequency(StrEnum):
    """How often a reader is written to."""

    IMMEDIATE = "immediate"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Counter(Table):
    """The one row whose value is the sequence of the newest availability.

    Locked from UPDATE … RETURNING to commit, so that sequences become visible in their order.
    """

    __tablename__ = "counter"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]


class Newsletter(Table):
    """Something one can subscribe to, with its own sender, List-Id and rhythms."""

    __tablename__ = "newsletter"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    promises: Mapped[dict[str, str]] = mapped_column(JSON)
    institution: Mapped[dict[str, str]] = mapped_column(JSON)
    postal_address: Mapped[dict[str, str]] = mapped_column(JSON)
    cndp_reference: Mapped[str] = mapped_column(String(80), default="")
    languages: Mapped[list[str]] = mapped_column(JSON)
    time_zone: Mapped[str] = mapped_column(String(60))
    sender: Mapped[str] = mapped_column(String(254))
    confirmation_sender: Mapped[str] = mapped_column(String(254))
    owner: Mapped[str] = mapped_column(String(254))
    mail_domain: Mapped[str] = mapped_column(String(253))
    accent: Mapped[str] = mapped_column(String(7), default="#0B5D3B")
    logo_type: Mapped[str | None] = mapped_column(String(40))
    late_after: Mapped[int] = mapped_column(default=6 * 3600)
    created_at: Mapped[datetime]

    topics: Mapped[list[Topic]] = relationship(order_by="Topic.position", back_populates="newsletter")
    rhythms: Mapped[list[Rhythm]] = relationship(order_by="Rhythm.id", back_populates="newsletter")

    def list_id(self, language: str) -> str:
        """The List-Id of a language, constant for ever (RFC 2919)."""
        return f"{self.slug}-{language}.list-id.{self.mail_domain}"


class Logo(Table):
    """A newsletter's sign, shown on its pages and served by this site; the newsletter knows its media type."""

    __tablename__ = "logo"

    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Topic(Table):
    """A theme within a newsletter."""

    __tablename__ = "topic"
    __table_args__ = (Index("uq_topic_newsletter_id_slug", "newsletter_id", "slug", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    slug: Mapped[str] = mapped_column(String(40))
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    position: Mapped[int]

    newsletter: Mapped[Newsletter] = relationship(back_populates="topics")


class Rhythm(Table):
    """A frequency that a newsletter offers, and when its slots are (wall clock of the newsletter's time zone)."""

    __tablename__ = "rhythm"
    __table_args__ = (
        Index("uq_rhythm_newsletter_id_frequency", "newsletter_id", "frequency", unique=True),
        CheckConstraint("weekday IS NULL OR weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("day IS NULL OR day BETWEEN 1 AND 31", name="day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    frequency: Mapped[Frequency] = mapped_column(word(Frequency))
    weekday: Mapped[int | None]
    day: Mapped[int | None]
    at: Mapped[time] = mapped_column(Time)
    since: Mapped[datetime]

    newsletter: Mapped[Newsletter] = relationship(back_populates="rhythms")

    def as_dict(self) -> dict[str, Any]:
        return {"frequency": str(self.frequency), "weekday": self.weekday, "day": self.day, "at": f"{self.at:%H:%M}"}
