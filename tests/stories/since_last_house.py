"""The real house as the state machine drives it: real actions, a real database."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

from since_last_carrier import Carrier, address_of
from sqlalchemy import func, select, text

from newsletter.articles import actions as article_actions
from newsletter.articles import queries as article_queries
from newsletter.articles.feeds import Entry
from newsletter.articles.models import Article
from newsletter.base.addresses import read_address
from newsletter.base.links import Links
from newsletter.db.database import Database, Work
from newsletter.db.schema import Table
from newsletter.deliveries import queries as ledger
from newsletter.deliveries import rates
from newsletter.deliveries.models import Batch, Delivery, LaneName
from newsletter.deliveries.policy import InDoubt
from newsletter.issues import actions as issue_actions
from newsletter.issues import queries as issue_queries
from newsletter.issues.books import Books, books
from newsletter.issues.lane import DigestLane
from newsletter.issues.models import Issue
from newsletter.issues.pauses import end_pauses
from newsletter.mail.rendering import MailTemplates
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Counter, Frequency, Newsletter
from newsletter.newsletters.queries import by_slug
from newsletter.operations.sending import Postroom
from newsletter.privacy import actions as privacy_actions
from newsletter.privacy.erasures import ErasureLog
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason
from newsletter.subscriptions import actions as subscription_actions
from newsletter.subscriptions import address_change, leaving, preferences
from newsletter.subscriptions import queries as subscription_queries
from newsletter.subscriptions.lane import RequestLane
from newsletter.subscriptions.models import EndReason, Form, Request, RequestKind, Subscription, SubscriptionState

LANGUAGES = ("fr", "ar", "en")
TOPICS = ("health", "work", "schools")
KEY = "only-for-tests-only-for-tests-only-for-tests"


class House:
    """The rooms, and one newsletter that comes at once, daily, weekly and monthly."""

    def __init__(self, database: Database, *, templates: MailTemplates, home: Path) -> None:
        self.database = database
        self.erasures = ErasureLog(home)
        self.addresses: dict[int, str] = {}
        _empty(database)
        self.links = Links(base_url="http://lettre.test", keys=[KEY])
        requests = RequestLane(links=self.links, templates=templates)
        self.lanes = {
            LaneName.DIGEST: DigestLane(links=self.links, templates=templates),
            LaneName.CONFIRMATION: requests,
            LaneName.NOTICE: requests,
        }
        with self.database.work() as work:
            newsletter = make_newsletter(work)
            self.newsletter_id = newsletter.id
            self.topic_ids = [topic.id for topic in newsletter.topics]
            source = article_actions.add_source(work, newsletter=newsletter, url="/nowhere/feed.xml")
            self.source_id = source.id
        self.editions: dict[int, tuple[str, list[tuple[int, int]]]] = {}

    def postroom(self, carrier: Carrier, *, in_doubt: InDoubt) -> Postroom:
        return Postroom(self.database, carrier, self.lanes, window=2, in_doubt=in_doubt, chunk=1)

    def end_pauses(self) -> None:
        """Do what an operator does who does not want to wait for a carrier that stopped us."""
        with self.database.work() as work:
            rates.resume(work, Carrier.name)

    def progress(self, batch_id: int) -> collections.Counter[str]:
        """Return what the senders counted in each state, families together."""
        with self.database.reading() as work:
            counted: collections.Counter[str] = collections.Counter()
            for states in ledger.progress(work, batch_id).values():
                counted.update({str(state): rows for state, rows in states.items()})
            return +counted

    # Articles

    def ingest(self, entries: Sequence[Entry]) -> Mapping[str, int]:
        """Take entries in and return the numbers of all articles by their address."""
        with self.database.work() as work:
            article_actions.ingest(work, source_id=self.source_id, entries=entries)
            rows = work.session.execute(select(Article.url, Article.id))
            return {row.url: row.id for row in rows}

    @contextmanager
    def article(self, article_id: int) -> Iterator[tuple[Work, Article]]:
        with self.database.work() as work:
            yield work, article_queries.article(work, article_id)

    def withdraw(self, article_id: int) -> None:
        with self.database.work() as work:
            issue_actions.withdraw(work, article_id=article_id)

    # Readers

    def address(self, person: int) -> str:
        return self.addresses.get(person, address_of(person))

    def sign_up(
        self, person: int, *, languages: Sequence[str], topics: Sequence[str], frequency: str
    ) -> tuple[int | None, bool]:
        """Fill in the form; return the pending subscription, if there is one now, and whether a mail speaks of it."""
        wish = subscription_actions.SignUp(
            address=self.address(person),
            newsletters=["news"],
            languages=languages,
            frequency=Frequency(frequency),
            page_language="fr",
            text_shown="Je veux recevoir la lettre.",
            topics={"news": topics},
        )
        with self.database.work() as work:
            requests = select(func.count()).select_from(Request)
            before = work.session.scalar(requests)
            subscription_actions.request_subscription(work, sign_up=wish, address_key=KEY.encode())
            pending = select(Subscription.id).join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            number = work.session.scalar(
                pending.where(
                    Subscriber.address == self.address(person), Subscription.state == SubscriptionState.PENDING
                )
            )
            return number, work.session.scalar(requests) != before

    def confirm(self, person: int) -> bool:
        """Follow the link of the newest confirmation; False if none was mailed within its seven days."""
        with self.database.work() as work:
            found = work.session.execute(
                select(Request.id, Request.created_at)
                .join(Subscriber, Subscriber.id == Request.subscriber_id)
                .where(Subscriber.address == self.address(person), Request.kind == RequestKind.CONFIRMATION)
                .order_by(Request.id.desc())
                .limit(1)
            ).first()
            if found is None or (work.now - found.created_at).days >= 7:
                return False
            token = self.links.confirm_token(found.id, at=found.created_at)
            subscription_actions.confirm(work, token=token, links=self.links, text_shown="Confirm.")
            return True

    def leave(self, subscription_id: int) -> None:
        with self.database.work() as work:
            token = self.links.unsubscribe_token(subscription_id, 0)
            leaving.leave(work, token=token, links=self.links, reason=EndReason.ONE_CLICK)

    def undo(self, subscription_id: int, *, left_at: datetime) -> int:
        """Take back that somebody left, and return what is there now."""
        with self.database.work() as work:
            token = self.links.undo_token(subscription_id, at=left_at)
            return leaving.undo(work, token=token, links=self.links, text_shown="Undo.").id

    def change(
        self, subscription_id: int, *, topics: Sequence[str], languages: Sequence[str], frequency: str, form: str
    ) -> None:
        with self.database.work() as work:
            subscription = work.session.get_one(Subscription, subscription_id)
            preferences.change(
                work,
                subscription=subscription,
                topics=topics,
                languages=languages,
                frequency=Frequency(frequency),
                form=Form(form),
            )

    def rest(self, subscription_id: int, *, until: datetime, catches_up: bool) -> None:
        with self.database.work() as work:
            subscription = work.session.get_one(Subscription, subscription_id)
            preferences.pause(work, subscription=subscription, until=until, catches_up=catches_up)

    def resume(self, subscription_id: int) -> None:
        with self.database.work() as work:
            preferences.resume(work, subscription=work.session.get_one(Subscription, subscription_id))

    def end_readers_pauses(self) -> None:
        with self.database.work() as work:
            end_pauses(work)

    def suppress(self, person: int) -> None:
        with self.database.work() as work:
            found = self._known(work, person)
            subscriber_actions.suppress(work, address_hash=found.address_hash, reason=SuppressionReason.HARD_BOUNCE)

    def move(self, person: int, *, to: str) -> bool:
        """Ask for another address and follow the link that it is mailed; False if none was."""
        address = read_address(to)
        with self.database.work() as work:
            found = self._known(work, person)
            address_change.ask_new_address(work, person=found, address=address, address_key=KEY.encode(), spoken="fr")
            kind = RequestKind.CHANGE_ADDRESS
            request = subscription_queries.newest_request(work, subscriber_id=found.id, kind=kind)
            if request is None or work.session.get_one(Request, request).address != to:
                return False
            token = self.links.change_address_token(request, at=work.now)
        with self.database.work() as work:
            done = address_change.confirm_new_address(work, token=token, links=self.links, text_shown="Move.")
        assert done is address_change.Standing.DONE
        self.addresses[person] = to
        return True

    def erase(self, person: int) -> None:
        with self.database.work() as work:
            assert privacy_actions.erase(work, person=self._known(work, person), log=self.erasures)

    def _known(self, work: Work, person: int) -> Subscriber:
        return work.session.scalars(select(Subscriber).where(Subscriber.address == self.address(person))).one()

    # Issues

    def open_due(self) -> None:
        with self.database.reading() as work:
            rhythms = [rhythm.id for rhythm in by_slug(work, "news").rhythms]
        for rhythm_id in rhythms:
            with self.database.work() as work:
                newsletter = by_slug(work, "news")
                rhythm = next(each for each in newsletter.rhythms if each.id == rhythm_id)
                issue_actions.open_due(work, newsletter=newsletter, rhythm=rhythm)

    def step(self, action: str, issue_id: int) -> None:
        with self.database.work() as work:
            issue = issue_queries.issue(work, issue_id, lock=True)
            match action:
                case "cancel":
                    issue_actions.cancel(work, issue=issue, reason="changed our mind")
                case "pause":
                    issue_actions.pause(work, issue=issue)
                case "resume":
                    issue_actions.resume(work, issue=issue)
                case _:
                    issue_actions.release(work, issue=issue)

    # What can be seen

    def look(self) -> Seen:
        with self.database.reading() as work:
            execute = work.session.execute
            mails = [SeenMail(*row) for row in execute(_MAILS)]
            if {mail.edition for mail in mails if mail.edition} - self.editions.keys():
                self.editions = {}
                for row in execute(text(_EDITIONS)):
                    _, held = self.editions.setdefault(row.edition_id, (row.form, []))
                    held.append((row.topic_id, row.article_id))
            return Seen(
                execute(text("SELECT value FROM counter")).scalar_one(),
                [SeenIssue(*row) for row in execute(text(_ISSUES))],
                mails,
                {row.id: SeenReader(*row) for row in execute(text(_READERS))},
            )

    def books_of(self, issue_id: int) -> Books:
        with self.database.reading() as work:
            return books(work, issue_queries.issue(work, issue_id))

    def mail(self, delivery_id: int) -> tuple[int, int]:
        """Return batch and subscription of a delivery."""
        wanted = select(Delivery.batch_id, Delivery.subscription_id).where(Delivery.id == delivery_id)
        with self.database.reading() as work:
            row = work.session.execute(wanted).one()
            return row.batch_id, row.subscription_id

    def issues(self) -> list[int]:
        """Return the numbers of the issues, oldest first."""
        with self.database.reading() as work:
            return list(work.session.scalars(select(Issue.id).order_by(Issue.id)))

    def batches(self) -> list[int]:
        """Return the batches of the issues, oldest first."""
        with self.database.reading() as work:
            return list(work.session.scalars(select(Issue.batch_id).order_by(Issue.id)))


_ISSUES = (
    "SELECT id, frequency, slot, state, cut, plan_to, planned_to, audience, batch_id, "
    "(SELECT coalesce(sum(nothing_new), 0) FROM cohort WHERE issue_id = issue.id) FROM issue ORDER BY id"
)
_READERS = "SELECT id, state, watermark, changed, paused_until IS NOT NULL, catches_up FROM subscription"
_EDITIONS = (
    "SELECT edition_id, topic_id, article_id, form FROM edition_article JOIN edition ON edition.id = edition_id "
    "ORDER BY edition_id, position"
)
_MAILS = (
    select(
        Delivery.id,
        Delivery.batch_id,
        Delivery.subscription_id,
        Delivery.state,
        Delivery.reason,
        Delivery.attempts,
        Delivery.doubts,
        Delivery.possible_copies,
        Delivery.content_id,
        Delivery.next_attempt_at,
    )
    .join(Batch, Batch.id == Delivery.batch_id)
    .where(Batch.lane == LaneName.DIGEST)
    .order_by(Delivery.id)
)


@dataclass(frozen=True)
class SeenIssue:
    id: int
    frequency: str
    slot: str
    state: str
    cut: int | None
    plan_to: int | None
    planned_to: int
    audience: int
    batch_id: int
    nothing_new: int


@dataclass(frozen=True)
class SeenMail:
    id: int
    batch_id: int
    reader: int
    state: str
    reason: str | None
    attempts: int
    doubts: int
    copies: int
    edition: int | None
    next_attempt_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        return self.next_attempt_at is not None and self.next_attempt_at <= now


@dataclass(frozen=True)
class SeenReader:
    id: int
    state: str
    watermark: int | None
    changed: bool
    has_pause: bool
    catches_up: bool


@dataclass(frozen=True)
class Seen:
    """The tables at one moment."""

    counter: int
    issues: Sequence[SeenIssue]
    mails: Sequence[SeenMail]
    readers: Mapping[int, SeenReader]


def make_newsletter(work: Work) -> Newsletter:
    """Add the newsletter of these tests."""
    return add_newsletter(
        work,
        new=NewNewsletter(
            slug="news",
            names=dict.fromkeys(LANGUAGES, "News"),
            institution=dict.fromkeys(LANGUAGES, "Ministry"),
            mail_domain="lettre.test",
            topics=[NewTopic(slug, dict.fromkeys(LANGUAGES, slug)) for slug in TOPICS],
            rhythms=[
                NewRhythm(Frequency.IMMEDIATE),
                NewRhythm(Frequency.DAILY, at=time(8)),
                NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0),
                NewRhythm(Frequency.MONTHLY, at=time(8), day=1),
            ],
        ),
    )


def _empty(database: Database) -> None:
    """Make the database as new; its numbers start from one again."""
    tables = list(reversed(Table.metadata.sorted_tables))
    with database.engine.begin() as connection:
        if database.is_sqlite:
            for table in tables:
                connection.execute(table.delete())
        else:
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        connection.execute(Counter.__table__.insert().values(id=1, value=0))  # type: ignore[attr-defined]
