"""An installation with an issue that is about to leave, and the processes that send it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

from relay import Relay
from sqlalchemy import insert, make_url, select, text

import factories
from newsletter.articles.actions import add_source
from newsletter.base.clock import SetClock, SystemClock, zone
from newsletter.base.config import load_settings
from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts, build
from newsletter.issues import actions, planning
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.operations.fetching import fetch_all
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Subscription

ROOT = Path(__file__).resolve().parents[2]
KEY = "only-for-tests-only-for-tests-only-for-tests"
WINDOW = 16
STATES = """SELECT state, count(*) FROM delivery WHERE batch_id = (SELECT batch_id FROM issue WHERE id = 1)
GROUP BY state"""
QUIET = 5.0
PATIENCE = 120.0  # seconds that any process may take for what it is told to do
FEED = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Le ministère</title>
<link>https://www.example.ma/</link><description>.</description><language>fr</language>
<item><title>Un guichet unique</title>
<link>https://www.example.ma/1</link><guid>1</guid>
<description>Les guichets de la commune ouvrent désormais le lundi matin.</description></item></channel></rss>"""


@dataclass(slots=True)
class Hand:
    """A sending process: the name it greets with, and how often we disturbed it."""

    name: str
    process: subprocess.Popen[str]
    disturbed: int = 0
    greets: bool = False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.disturbed += 1
        self.process.kill()
        self.process.communicate()

    def terminate(self) -> tuple[int, str]:
        """Ask it to stop, once it listens; returns its exit code and what it complained about."""
        if self.greets:
            assert self.process.stdout is not None
            self.process.stdout.readline()
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, complaints = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, complaints


@dataclass(slots=True)
class House:
    """One installation on one database, and everybody who sends for it."""

    environment: dict[str, str]
    relay: Relay
    slot: datetime
    readers: int
    window: int = WINDOW
    hands: list[Hand] = field(default_factory=list)

    def start(self, *words: str, more: Mapping[str, str] | None = None) -> Hand:
        """Start a process that sends under a name of its own."""
        name = f"s{len(self.hands) + 1}.test"
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=_bare() | self.environment | {"NEWSLETTER_MAIL_URL": self.relay.url(name)} | dict(more or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.hands.append(Hand(name, process))
        return self.hands[-1]

    def run_due(self, at: datetime | None = None) -> Hand:
        """Start what cron starts, at a moment of our choice."""
        words = ("--at", at.isoformat()) if at else ()
        return self.start("-m", "newsletter", "run", "--due", *words)

    def worker(self, how: str = "--all-lanes") -> Hand:
        """Start what runs beside a web server, or on many hosts."""
        hand = self.start("-m", "newsletter", "worker", how)
        hand.greets = True
        return hand

    def runner(self, *, lease: float = 60, clock: Path | None = None) -> Hand:
        """Start a sender whose lease is short and whose clock we may move."""
        words = [str(lease), *([str(clock)] if clock else [])]
        return self.start(str(Path(__file__).with_name("short_lease.py")), *words)

    def plan(self) -> None:
        """Fetch, open and plan the issue, and send nothing of it."""
        with self.parts() as parts:
            assert [result.error for result in fetch_all(parts.database)] == [None]
            with parts.database.work() as work:
                (newsletter,) = newsletter_queries.all_newsletters(work)
                issue = actions.open_due(work, newsletter=newsletter, rhythm=newsletter.rhythms[0])
                assert issue is not None
            planning.plan(parts.database, issue.id)

    def finish(self, at: datetime) -> None:
        """Let runs that nobody disturbs send the rest: the first past all leases and first retries, others later."""
        at += timedelta(minutes=7)
        self.relay.order("rate", "3000")
        for _ in range(8):
            code, complaints = self.run_due(at).wait()
            assert code == 0, complaints
            rows = self.states()
            assert not rows["sending"], f"a run has ended and left mails on their way: {rows}"
            if not rows["pending"] + rows["deferred"]:
                return
            at += timedelta(hours=5)
        raise AssertionError(f"open rows stay for ever: {self.states()}")

    def freeze(self, hand: Hand) -> None:
        """Freeze a sender, as a machine that swaps does; not inside a work, which would keep the others waiting."""
        hand.disturbed += 1
        for _ in range(100):
            hand.stop()
            sleep(0.02)
            if self._is_unlocked():
                return
            hand.go_on()
            sleep(0.05)
        raise AssertionError("this sender never lets go of the database")

    def _is_unlocked(self) -> bool:
        url = make_url(self.environment["NEWSLETTER_DATABASE_URL"])
        try:
            if url.get_backend_name() == "sqlite":
                with closing(sqlite3.connect(str(url.database), timeout=0, isolation_level=None)) as link:
                    link.execute("BEGIN IMMEDIATE")
            else:
                with self.parts() as parts, parts.database.work() as work:
                    work.session.execute(text("SELECT id FROM delivery WHERE state = 'sending' FOR UPDATE NOWAIT"))
        except (sqlite3.OperationalError, Unavailable):
            return False
        return True

    def quiet_down(self, *hands: Hand) -> None:
        """Wait until nothing more comes: what is left waits for leases that a moved clock made too long."""
        taken, until = self.relay.look(), now() + timedelta(seconds=QUIET)
        while now() < until and any(hand.process.poll() is None for hand in hands):
            sleep(0.1)
            if self.relay.look() > taken:
                taken, until = self.relay.look(), now() + timedelta(seconds=QUIET)
        for hand in hands:
            assert hand.process.poll() in {None, 0}, hand.wait()
            hand.process.kill()
            hand.process.communicate()

    def states(self) -> Counter[str]:
        """Count the rows in each state."""
        with self.parts() as parts, parts.database.reading() as work:
            rows = work.session.connection().exec_driver_sql(STATES)
            return Counter({str(state): int(number) for state, number in rows})

    def carry_on(self, hand: Hand, *, mails: int) -> None:
        """Wait until this sender has brought so many more mails."""
        before = self.relay.from_sender(hand.name)
        assert self.relay.wait_for(before + mails, sender=hand.name), f"{hand.name} stands still"

    def books(self) -> dict[str, Any]:
        """Read the books as an operator does."""
        shown = subprocess.run(
            [sys.executable, "-m", "newsletter", "issues", "show", "1", "--json"],
            cwd=ROOT,
            env=_bare() | self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        answer = json.loads(shown.stdout)
        return {"state": answer["state"], **answer["books"]}

    @contextmanager
    def parts(self) -> Iterator[Parts]:
        built = build(load_settings(self.environment), clock=SystemClock())
        try:
            yield built
        finally:
            built.database.close()

    def end_all(self) -> None:
        """End every process that is still there."""
        for hand in self.hands:
            hand.process.kill()
            hand.process.wait()
            for pipe in (hand.process.stdout, hand.process.stderr):
                assert pipe is not None
                pipe.close()


@contextmanager
def house(
    folder: Path, database_url: str, relay: Relay, *, readers: int, in_doubt: str = "resend", window: int = WINDOW
) -> Iterator[House]:
    """Give an installation with so many readers and an issue that is due now."""
    environment = {
        "NEWSLETTER_HOME": str(folder),
        "NEWSLETTER_DATABASE_URL": database_url,
        "NEWSLETTER_SECRET_KEYS": KEY,
        "NEWSLETTER_ADDRESS_KEY": KEY,
        "NEWSLETTER_BASE_URL": "http://lettre.test",
        "NEWSLETTER_MAIL_URL": "memory://",
        "NEWSLETTER_IN_DOUBT": in_doubt,
        "NEWSLETTER_WINDOW": str(window),
    }
    slot = _furnish(environment, folder, readers)
    its = House(environment, relay, slot, readers, window)
    try:
        yield its
    finally:
        its.end_all()


def _furnish(environment: dict[str, str], folder: Path, readers: int) -> datetime:
    """Make a newsletter whose slot has just come, its readers since yesterday, and one article."""
    local = SystemClock().now().astimezone(zone("Africa/Casablanca")).replace(minute=0, second=0, microsecond=0)
    slot = local.astimezone(UTC)
    parts = build(load_settings(environment), clock=SetClock(slot - timedelta(days=1)))
    feed = folder / "feed.xml"
    feed.write_text(FEED, encoding="utf-8")
    with parts.database.work() as work:
        newsletter = add_newsletter(work, new=_newsletter(local))
        add_source(work, newsletter=newsletter, url=str(feed))
    first = factories.make_reader(parts, "reader0@example.org")
    _multiply(parts, first, readers)
    parts.database.close()
    return slot


def _newsletter(local: datetime) -> NewNewsletter:
    return NewNewsletter(
        slug="hebdo",
        names=factories.NAMES,
        institution=factories.INSTITUTION,
        postal_address={"fr": "Rabat", "ar": "الرباط", "en": "Rabat"},
        cndp_reference="D-000/2026",
        mail_domain="lettre.example.ma",
        topics=[NewTopic("services", {"fr": "Services", "ar": "الخدمات", "en": "Services"})],
        rhythms=[NewRhythm(Frequency.WEEKLY, at=time(local.hour), weekday=local.weekday())],
    )


def _multiply(parts: Parts, first: Subscription, readers: int) -> None:
    """Copy the first reader, whatever columns its rows have; one by one sign-ups would take minutes."""
    with parts.database.work() as work:
        person = dict(work.session.execute(select(Subscriber.__table__)).mappings().one())
        wish = dict(
            work.session.execute(select(Subscription.__table__).where(Subscription.id == first.id)).mappings().one()
        )
        del person["id"], wish["id"]
        for start in range(1, readers, 500):
            addresses = [f"reader{number}@example.org" for number in range(start, min(start + 500, readers))]
            people = [
                {**person, "address": each, "address_key": each, "address_hash": f"hash of {each}"}
                for each in addresses
            ]
            numbers = work.session.scalars(insert(Subscriber).returning(Subscriber.id), people).all()
            work.session.execute(insert(Subscription), [{**wish, "subscriber_id": number} for number in numbers])


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")} | {
        "PYTHONPATH": str(ROOT)
    }


Furnish = Callable[..., House]


def now() -> datetime:
    """Return the machine's moment."""
    return SystemClock().now()
