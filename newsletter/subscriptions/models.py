"""Choice, Subscription, Request, Consent and its texts, and what limits sign-ups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, ForeignKey, Index, String, Text, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.base.errors import Conflict
from newsletter.db.schema import Table, word
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscribers.models import Subscriber


class SubscriptionState(StrEnum):
    """pending → active → ended; an ended one is evidence and never revived."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a subscription ended."""

    ONE_CLICK = "one_click"
    PAGE = "page"
    NEVER = "never"
    EXPIRED = "expired"
    STAFF = "staff"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    ERASURE = "erasure"
    MOVED = "moved"  # pending, and somebody proved to own the address in another way


class Form(StrEnum):
    """In which form a reader wants an issue."""

    DIGEST = "digest"
    LIGHT = "light"


class Choice(Table):
    """What a reader chose: ordered languages, topics, form. Readers with the same choice share one row."""

    __tablename__ = "choice"
    __table_args__ = (Index("uq_choice_newsletter_id_fingerprint", "newsletter_id", "fingerprint", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    form: Mapped[Form] = mapped_column(word(Form))
    languages: Mapped[list[list[str | int]]] = mapped_column(JSON)
    topics: Mapped[list[list[int]]] = mapped_column(JSON)
    fingerprint: Mapped[str] = mapped_column(String(1000))

    @property
    def languages_since(self) -> list[tuple[str, int]]:
        """The languages in the reader's order, each with the sequence from which it counts."""
        return [(str(code), int(since)) for code, since in self.languages]

    @property
    def topics_since(self) -> list[tuple[int, int]]:
        """The topics, each with the sequence from which it counts."""
        return [(topic, since) for topic, since in self.topics]

    @property
    def language_codes(self) -> list[str]:
        return [str(code) for code, _ in self.languages]

    @property
    def topic_ids(self) -> list[int]:
        return [topic for topic, _ in self.topics]


def fingerprint(form: Form, languages: Sequence[tuple[str, int]], topics: Sequence[tuple[int, int]]) -> str:
    """Write a choice in one way only: the order of languages matters, that of topics does not."""
    spoken = " ".join(f"{code}@{since}" for code, since in languages)
    themes = " ".join(f"{topic}@{since}" for topic, since in sorted(topics))
    return f"{form} {spoken} | {themes}"


class Subscription(Table):
    """A person's wish for one newsletter.

    `watermark` is the sequence up to which it has been served; `changed` says that topics or languages were ever
    changed, so that planning looks at the editions it was given and not at the watermark alone. `continues_id` is the
    ended one that "undo" took up again. At the end of a pause `catches_up` says whether the reader gets what came
    meanwhile.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        Index(
            "uq_subscription_open",
            "subscriber_id",
            "newsletter_id",
            unique=True,
            sqlite_where=text("state IN ('pending', 'active')"),
            postgresql_where=text("state IN ('pending', 'active')"),
        ),
        Index(
            "ix_subscription_audience",
            "newsletter_id",
            "frequency",
            "id",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        Index("uq_subscription_continues_id", "continues_id", unique=True),
        Index(
            "ix_subscription_paused",
            "paused_until",
            sqlite_where=text("paused_until IS NOT NULL"),
            postgresql_where=text("paused_until IS NOT NULL"),
        ),
        CheckConstraint("state <> 'active' OR watermark IS NOT NULL", name="active_has_watermark"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_has_moment"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"), index=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    state: Mapped[SubscriptionState] = mapped_column(word(SubscriptionState))
    frequency: Mapped[Frequency] = mapped_column(word(Frequency))
    choice_id: Mapped[int] = mapped_column(ForeignKey("choice.id"))
    watermark: Mapped[int | None]
    changed: Mapped[bool] = mapped_column(Boolean, default=False)
    paused_until: Mapped[datetime | None]
    catches_up: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    continues_id: Mapped[int | None] = mapped_column(ForeignKey("subscription.id"))
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None] = mapped_column(word(EndReason))

    choice: Mapped[Choice] = relationship()
    newsletter: Mapped[Newsletter] = relationship()
    subscriber: Mapped[Subscriber] = relationship()

    @property
    def language(self) -> str:
        """The language in which this reader is spoken to."""
        return self.choice.language_codes[0]

    def activate(self, now: datetime, *, watermark: int) -> None:
        """Take the second step of the double opt-in: what was available until now counts as given.

        :raises Conflict: unless pending
        """
        if self.state is not SubscriptionState.PENDING:
            raise Conflict("only a pending subscription can be confirmed")
        self.state = SubscriptionState.ACTIVE
        self.activated_at = now
        self.watermark = watermark

    def end(self, now: datetime, *, reason: EndReason) -> None:
        """End it for good.

        :raises Conflict: if it has ended already
        """
        if self.state is SubscriptionState.ENDED:
            raise Conflict("this subscription has ended already")
        self.state = SubscriptionState.ENDED
        self.ended_at = now
        self.end_reason = reason


class RequestKind(StrEnum):
    """Which mail a request is answered with."""

    CONFIRMATION = "confirmation"
    ALREADY_SUBSCRIBED = "already_subscribed"
    PREFERENCES_LINK = "preferences_link"
    CHANGE_ADDRESS = "change_address"
    ADDRESS_CHANGED = "address_changed"


class Request(Table):
    """Somebody asked for something by naming an address; the answer goes by mail, in the language of the page.

    `address` is where the mail goes if not to the person's own: to the new one, or to the one that was left.
    """

    __tablename__ = "request"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"), index=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    kind: Mapped[RequestKind] = mapped_column(word(RequestKind))
    language: Mapped[str] = mapped_column(String(8))
    address: Mapped[str | None] = mapped_column(String(254))
    address_hash: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]

    subscriber: Mapped[Subscriber] = relationship()
    newsletter: Mapped[Newsletter] = relationship()


class ConsentKind(StrEnum):
    """What a person did."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    LEFT = "left"
    UNDONE = "undone"
    IMPORTED = "imported"
    ADDRESS_CHANGED = "address_changed"


class Consent(Table):
    """Evidence: who did what when, having been shown which text in which language. Append-only.

    Without a hash no text was shown: one-click leaving has no page. The text of a hash is in ConsentText. `network` is
    the truncated network address (/24 or /48), kept 30 days; `evidence` is what an import brought of another system's.
    """

    __tablename__ = "consent"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.id"), index=True)
    kind: Mapped[ConsentKind] = mapped_column(word(ConsentKind))
    language: Mapped[str] = mapped_column(String(8))
    text_hash: Mapped[str | None] = mapped_column(String(64))
    form_version: Mapped[str | None] = mapped_column(String(40))
    network: Mapped[str | None] = mapped_column(String(49))
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    at: Mapped[datetime]


class ConsentText(Table):
    """A text that persons were shown before they pressed a button; `hash` is its SHA-256. Append-only."""

    __tablename__ = "consent_text"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class BudgetEntry(Table):
    """One confirmation (or its like) mailed to an address, kept by hash so that it outlives the person's row."""

    __tablename__ = "budget_entry"
    __table_args__ = (Index("ix_budget_entry_address_hash_mailed_at", "address_hash", "mailed_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64))
    mailed_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Scope(StrEnum):
    """What sign-ups are counted by."""

    NETWORK = "network"
    DOMAIN = "domain"
    ALL = "all"
    MAILED = "mailed"
    CONFIRMED = "confirmed"


class SignUpCount(Table):
    """How many sign-ups (or confirmations) an hour saw; `key` is a keyed hash of the network or domain, or empty."""

    __tablename__ = "sign_up_count"

    scope: Mapped[Scope] = mapped_column(word(Scope), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


class SpentProof(Table):
    """A proof of work that was used: it serves once. Kept until it would be too old anyway."""

    __tablename__ = "spent_proof"

    challenge: Mapped[str] = mapped_column(String(128), primary_key=True)
    until: Mapped[datetime]
