"""One plan in a process of its own: fill an empty database, plan its issue, print what that took as JSON.

Usage: python benchmarks/planning_once.py SQLALCHEMY_URL_OF_AN_EMPTY_DATABASE READERS
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import UTC, datetime

from sqlalchemy import event, text

from newsletter.base.clock import SetClock
from newsletter.db import migrations
from newsletter.db.database import Database, Work
from newsletter.issues import actions, books, planning, queries
from newsletter.issues.models import Issue
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.newsletters.queries import by_slug

CHOICES = 50
WATERMARKS = 4
BEFORE = datetime(2026, 11, 20, 9, tzinfo=UTC)
SLOT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def measure(url: str, readers: int) -> dict[str, float]:
    clock = SetClock(BEFORE)
    database = Database(url, clock=clock)
    migrations.upgrade(database)
    fill(database, readers)
    clock.move_to(SLOT)
    with database.work() as work:
        run(work, "ANALYZE")  # as the database does by itself soon after an import
        newsletter = by_slug(work, "hebdo")
        issue = actions.open_due(work, newsletter=newsletter, rhythm=newsletter.rhythms[0])
        assert issue is not None
    works = time_works(database)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    planning.plan(database, issue.id)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest, count = max(works), len(works)
    with database.reading() as work:
        found = books.books(work, work.session.get_one(Issue, issue.id))
        cohorts = work.session.execute(text("SELECT count(*) FROM cohort")).scalar_one()
        assert found.balance, found
        assert found.open == queries.last_subscription(work) == readers
    database.close()
    return {
        "seconds": seconds,
        "cohorts": cohorts,
        "works": count,
        "longest_work": longest,
        "peak_mb": after / 1024,
        "grown_mb": (after - before) / 1024,
    }


def time_works(database: Database) -> list[float]:
    """Note how long each work lasts, from BEGIN to the end of COMMIT: so long does it hold SQLite's lock."""
    lasted: list[float] = []
    begun: list[float] = []
    event.listen(database.engine, "begin", lambda _: begun.append(time.perf_counter()))

    def ended(*_: object) -> None:
        if begun:
            lasted.append(time.perf_counter() - begun.pop())

    event.listen(database.engine, "checkin", ended)
    return lasted


def fill(database: Database, readers: int) -> None:
    """Write an audience with the database's own means: nobody's sign-up is what is measured here."""
    with database.work() as work:
        newsletter = add_newsletter(
            work,
            new=NewNewsletter(
                "hebdo",
                {"fr": "L’hebdo"},
                {"fr": "Ministère"},
                "lettre.example.ma",
                languages=["fr"],
                topics=[NewTopic(f"topic-{n}", {"fr": f"Thème {n}"}) for n in range(1, CHOICES + 1)],
                rhythms=[NewRhythm(Frequency.WEEKLY, weekday=0)],
            ),
        )
        topics = [topic.id for topic in newsletter.topics]
        for sequence in range(1, CHOICES * 2 + 1):
            run(work, "INSERT INTO article_group (id) VALUES (:n)", n=sequence)
            run(
                work,
                "INSERT INTO article (id, group_id, external_id, url, language, title, summary, image_url, image_alt,"
                " version, created_at) VALUES (:n, :n, :x, :x, 'fr', 'Titre', '', '', '', 1, '2026-11-20 09:00:00')",
                n=sequence,
                x=f"https://news.example/{sequence}",
            )
            run(
                work,
                "INSERT INTO availability (sequence, article_id, topic_id, language, carried, created_at)"
                " VALUES (:n, :n, :t, 'fr', false, '2026-11-20 09:00:00')",
                n=sequence,
                t=topics[sequence % CHOICES],
            )
        run(work, "UPDATE counter SET value = :n", n=CHOICES * 2)
        for number, topic in enumerate(topics, 1):
            run(
                work,
                "INSERT INTO choice (id, newsletter_id, form, languages, topics, fingerprint)"
                " VALUES (:n, 1, 'digest', '[[\"fr\", 0]]', :t, :f)",
                n=number,
                t=json.dumps([[topic, 0]]),
                f=f"digest fr@0 | {topic}@0",
            )
        numbers = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {readers})"
            if database.is_sqlite
            else f"WITH n(i) AS (SELECT generate_series(1, {readers}))"
        )
        run(
            work,
            "INSERT INTO subscriber (id, address, address_key, needs_smtputf8, address_hash, created_at)"
            f" {numbers} SELECT i, 'r' || i || '@example.com', 'r' || i || '@example.com', false, 'h' || i,"
            " '2026-11-20 09:00:00' FROM n",
        )
        run(
            work,
            "INSERT INTO subscription (id, subscriber_id, newsletter_id, state, frequency, choice_id, watermark,"
            f" changed, created_at) {numbers} SELECT i, i, 1, 'active', 'weekly', i % {CHOICES} + 1,"
            f" i / {CHOICES} % {WATERMARKS}, false,"
            " '2026-11-20 09:00:00' FROM n",
        )


def run(work: Work, statement: str, **values: object) -> None:
    work.session.execute(text(statement), values)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
