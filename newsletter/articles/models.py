"""Source, Group, Article, Availability."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.db.schema import Table
from newsletter.newsletters.models import Newsletter


class Source(Table):
    """Where articles come from: the address of a feed, or a local file.

    `topic_id` is given to entries that name no topic of the newsletter themselves.
    """

    __tablename__ = "source"
    __table_args__ = (Index("uq_source_newsletter_id_url", "newsletter_id", "url", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topic.id"))
    url: Mapped[str] = mapped_column(String(2000))
    created_at: Mapped[datetime]
    last_success_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(500))
    last_error_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship()


class Group(Table):
    """The same piece in several languages."""

    __tablename__ = "article_group"

    id: Mapped[int] = mapped_column(primary_key=True)


class Article(Table):
    """A published piece in one language. `version` grows with each correction of what readers see."""

    __tablename__ = "article"
    __table_args__ = (
        Index("uq_article_source_id_external_id", "source_id", "external_id", unique=True),
        Index("ix_article_url", "url"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("article_group.id"), index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("source.id"))
    external_id: Mapped[str] = mapped_column(String(1000))
    url: Mapped[str] = mapped_column(String(2000))
    language: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="")
    image_url: Mapped[str] = mapped_column(String(2000), default="")
    image_alt: Mapped[str] = mapped_column(String(500), default="")
    version: Mapped[int] = mapped_column(default=1)
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Availability(Table):
    """From this sequence on, this article can be given under this topic. Append-only.

    The group is the article's, so that a late or an undone translation moves all rows of the article at once.
    A `carried` row makes its group eligible for every reader whose editions do not hold it, whatever came before.
    """

    __tablename__ = "availability"
    __table_args__ = (Index("ix_availability_topic_id_sequence", "topic_id", "sequence"),)

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), index=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topic.id"))
    language: Mapped[str] = mapped_column(String(8))
    carried: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]
