"""Issue, Edition, Cohort."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.base.errors import Conflict
from newsletter.db.schema import Table, word
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscriptions.models import Form


class IssueState(StrEnum):
    """draft → submitted → approved → planning → sending → finished; or empty, held, paused, cancelled.

    A finished one is sent again where a person decides about what failed or is uncertain.
    """

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    PLANNING = "planning"
    SENDING = "sending"
    FINISHED = "finished"
    EMPTY = "empty"
    HELD = "held"
    PAUSED = "paused"
    CANCELLED = "cancelled"


_S = IssueState
STEPS: dict[IssueState, frozenset[IssueState]] = {
    _S.DRAFT: frozenset({_S.SUBMITTED, _S.HELD, _S.CANCELLED}),
    _S.SUBMITTED: frozenset({_S.APPROVED, _S.DRAFT, _S.HELD, _S.CANCELLED}),
    _S.APPROVED: frozenset({_S.PLANNING, _S.HELD, _S.CANCELLED}),
    _S.PLANNING: frozenset({_S.SENDING, _S.EMPTY, _S.FINISHED, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.FINISHED, _S.PAUSED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.SENDING, _S.CANCELLED}),
    _S.HELD: frozenset({_S.APPROVED, _S.CANCELLED}),
    _S.FINISHED: frozenset({_S.SENDING}),
    _S.EMPTY: frozenset(),
    _S.CANCELLED: frozenset(),
}


class Issue(Table):
    """One run of a newsletter for one slot.

    `slot` names the planned moment (UTC), or the cut where the frequency is immediate; `cut` is the sequence up to
    which the issue looks; `planned_to` and `plan_to` are the subscription up to which readers were planned, and the
    last one to plan; `audience` counts the readers it was planned for. `braked_at` is when it paused
    itself, which it does once.
    """

    __tablename__ = "issue"
    __table_args__ = (UniqueConstraint("newsletter_id", "frequency", "slot"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    frequency: Mapped[Frequency] = mapped_column(word(Frequency))
    slot: Mapped[str] = mapped_column(String(30))
    slot_at: Mapped[datetime]
    state: Mapped[IssueState] = mapped_column(word(IssueState), index=True)
    reason: Mapped[str | None] = mapped_column(String(60))
    cut: Mapped[int | None]
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), unique=True)
    audience: Mapped[int] = mapped_column(default=0)
    planned_to: Mapped[int] = mapped_column(default=0)
    plan_to: Mapped[int | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    braked_at: Mapped[datetime | None]

    newsletter: Mapped[Newsletter] = relationship()

    def step(self, state: IssueState, *, reason: str | None = None) -> None:
        """Go to another state.

        :raises Conflict: if that step is not allowed from here
        """
        if state not in STEPS[self.state]:
            raise Conflict(f"an issue that is {self.state} cannot become {state}")
        self.state = state
        self.reason = reason


class Edition(Table):
    """An issue's content for one language, form and ordered list of (topic, article version)."""

    __tablename__ = "edition"
    __table_args__ = (UniqueConstraint("issue_id", "fingerprint"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id"))
    language: Mapped[str] = mapped_column(String(8))
    form: Mapped[Form] = mapped_column(word(Form))
    fingerprint: Mapped[str] = mapped_column(String(64))

    issue: Mapped[Issue] = relationship()
    articles: Mapped[list[EditionArticle]] = relationship(order_by="EditionArticle.position")


class EditionArticle(Table):
    """An article that an edition holds, shown or linked: it counts as given."""

    __tablename__ = "edition_article"
    __table_args__ = (Index("ix_edition_article_article_id", "article_id"),)

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topic.id"))
    version: Mapped[int]


class Cohort(Table):
    """The readers of an issue with the same choice, watermark and groups already held: they get the same edition.

    `held` lists those groups' numbers. Without an edition there is nothing new for them, and `nothing_new` counts them.
    """

    __tablename__ = "cohort"
    __table_args__ = (Index("ix_cohort_key", "issue_id", "choice_id", "watermark"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id"))
    choice_id: Mapped[int] = mapped_column(ForeignKey("choice.id"))
    watermark: Mapped[int]
    held: Mapped[str] = mapped_column(Text)
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("edition.id"), index=True)
    nothing_new: Mapped[int] = mapped_column(default=0)
