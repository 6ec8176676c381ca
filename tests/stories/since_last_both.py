"""Does each step in the house and in the rules, and compares the two."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from since_last_carrier import SITE, Carrier, Killed, Script, Watcher, articles_in
from since_last_citizens import Citizens
from since_last_house import TOPICS, House, Seen, SeenIssue, SeenMail
from since_last_rules import Rules
from since_last_things import GIVEN, OPEN, Issue, Mail, latest_slot

from newsletter.articles import actions as article_actions
from newsletter.articles.feeds import Entry
from newsletter.base.clock import SetClock
from newsletter.deliveries.models import LaneName
from newsletter.issues import actions as issue_actions
from newsletter.issues import planning
from newsletter.mail.port import Message, Verdict
from newsletter.operations.run_due import run_due
from newsletter.operations.sending import send_due

LAST_MOMENT = datetime(2027, 10, 1, tzinfo=UTC)
SHOWN = 12  # articles in a mail; the rest stands on its archive page
STEPPABLE = {
    "cancel": ("planning", "sending", "paused", "held"),
    "pause": ("sending",),
    "resume": ("paused",),
    "release": ("held",),
}


class Run(Watcher):
    """One run of cron, as the rules follow it while it happens."""

    def __init__(self, both: Both, in_doubt: Any, *, is_open: bool = False) -> None:
        self.both = both
        self.in_doubt = in_doubt
        self.is_open = is_open
        self.is_planned = False

    def plan(self) -> None:
        """Everything is opened and planned before the first digest leaves."""
        rules, now = self.both.rules, self.both.now
        if not self.is_planned:
            self.is_planned = True
            if not self.is_open:
                rules.end_pauses(rules.readers, now)
                rules.reconcile(now, in_doubt=self.in_doubt)
                rules.open_due(now)
            for issue in rules.issues:
                if issue.state == "planning":
                    rules.plan(issue, now)

    def handed_over(self, line: object, messages: Sequence[Message]) -> None:
        for message in messages:
            self.plan()
            mail = self.both.mail_of(message.key)
            self.both.rules.claimed(mail, line, self.both.now, in_doubt=self.in_doubt)
            assert articles_in(message)[1] == [article.url for _, article in mail.articles[:SHOWN]]

    def received(self, message: Message) -> None:
        self.both.note_reception(message)

    def closed(self, line: object, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            mail = self.both.mail_of(verdict.key)
            self.both.rules.settled(mail, line, str(verdict.outcome), self.both.now, in_doubt=self.in_doubt)


class Both(Citizens):
    """The house and the rules, side by side."""

    def __init__(self, house: House, *, clock: SetClock) -> None:
        self.house = house
        self.clock = clock
        self.topic_of = dict(zip(TOPICS, house.topic_ids, strict=True))
        order = {topic: place for place, topic in enumerate(house.topic_ids)}
        self.rules = Rules(topic_order=order, since=clock.now())
        self.mail_by_key: dict[int, Mail] = {}
        self.received: dict[int, list[str]] = {}
        self.arrived_in: dict[tuple[int, str], str] = {}
        self.watermarks: dict[int, int] = {}
        self.balanced: dict[int, object] = {}
        self.moved = 0

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def pass_time(self, kind: str) -> None:
        now = self.now
        next_day = latest_slot("daily", now) + timedelta(days=1)
        moments = {
            "now": now,
            "lease": now + timedelta(seconds=61),
            "retry": now + timedelta(minutes=25),
            "hours": now + timedelta(hours=5),
            "daily": next_day + timedelta(minutes=3),
            "weekly": latest_slot("weekly", now) + timedelta(days=7, minutes=3),
            "late": next_day + timedelta(hours=7),
            "monthly": (latest_slot("monthly", now) + timedelta(days=31)).replace(day=1) + timedelta(minutes=3),
            "far": now + timedelta(days=16, hours=1),
        }
        moment = moments[kind]
        if moment > LAST_MOMENT:  # after a year persons are forgotten, which is another story
            moment = moments["hours"]
        self.clock.move_to(moment)
        self.rules.now = moment

    # Articles

    def publish(self, new: Sequence[tuple[Sequence[str], str, int | None, int]]) -> None:
        """Take pieces in: topics, language, the number of a piece that it translates, days since its own date."""
        if not new:
            return
        rules, known = self.rules, self.rules.articles
        entries: list[Entry] = []
        urls = [article.url for article in known]
        for topics, language, original, age in new:
            url = f"{SITE}{language}/{len(urls)}"
            pairs = (("xx", urls[-1 - original % len(urls)]),) if original is not None and urls else ()
            urls.append(url)
            dated = self.now - timedelta(days=age)
            entries.append(Entry(url, url, "A piece", "", dated, language, None, "", tuple(topics), pairs))
        entries.reverse()  # a feed begins with its newest
        numbers = self.house.ingest(entries)
        fresh = [
            rules.publish(numbers[each.link], url=each.link, language=each.language, dated=each.published_at)
            for each in reversed(entries)
            if each.published_at
        ]
        by_url = {article.url: article for article in rules.articles}
        for article, entry in zip(fresh, reversed(entries), strict=True):
            for _, url in entry.translations:
                if by_url[url].language != article.language:
                    rules.pair(article, by_url[url])
        for article, entry in zip(fresh, reversed(entries), strict=True):
            rules.make_available(article, [self.topic_of[slug] for slug in entry.categories])

    def work_at_the_desk(self, kind: str, one: int, other: int, topics: Sequence[str]) -> None:
        if not self.rules.articles:
            return
        article = self.rules.articles[-1 - one % len(self.rules.articles)]
        second = self.rules.articles[-1 - other % len(self.rules.articles)]
        if kind == "withdraw":
            self.house.withdraw(article.id)
            self.rules.withdraw(article)
            return
        with self.house.article(article.id) as (work, found):
            match kind:
                case "topic":
                    added = [self.topic_of[slug] for slug in topics]
                    article_actions.add_topics(work, article=found, topic_ids=added)
                    present = self.rules.topics_of(article)
                    self.rules.make_available(article, [topic for topic in added if topic not in present])
                case "pair":
                    with_article = work.session.get_one(type(found), second.id)
                    article_actions.pair(work, article=found, with_article=with_article)
                    self.rules.pair(article, second)
                case "unpair" if len(self.rules.versions(article.group)) > 1:
                    article_actions.unpair(work, article=found)
                    self.rules.unpair(article)
                case "reinstate":
                    article_actions.reinstate(work, article=found)
                    self.rules.reinstate(article)
                case "correct":
                    found.version += 1

    # Issues and cron

    def step_an_issue(self, kind: str, which: int) -> None:
        numbered = zip(self.house.issues(), self.rules.issues, strict=True)
        fitting = [(number, issue) for number, issue in numbered if issue.state in STEPPABLE[kind]]
        if not fitting:
            return
        number, issue = fitting[-1 - which % len(fitting)]
        self.house.step(kind, number)
        match kind:
            case "cancel":
                self.rules.cancel(issue)
            case "release":
                self.rules.release(issue)
            case "pause":
                issue.state = "paused"
            case "resume":
                issue.state = "sending"

    def cron(self, script: Script, in_doubt: Any) -> None:
        run = Run(self, in_doubt)
        try:
            report = run_due(self.house.postroom(Carrier(script, run), in_doubt=in_doubt))
        except Killed:
            run.plan()
            self._reconcile(in_doubt, is_complete=False)
            return
        run.plan()
        self.house.end_pauses()
        self._reconcile(in_doubt, is_complete=not report.stopped and script.then is None)
        self.rules.finish()
        if not report.stopped:
            self.rules.expire(self.now)

    def cron_at_once(self, script: Script, size: int, in_doubt: Any) -> None:
        """Two planners, then two senders, in threads."""
        run = self._open_due(in_doubt)
        in_planning = self._numbers("planning")
        run.plan()
        _at_once(lambda: [planning.plan(self.house.database, number, size=size) for number in in_planning])
        postroom = self.house.postroom(Carrier(script, run), in_doubt=in_doubt)
        _at_once(lambda: send_due(postroom, lanes=[LaneName.DIGEST]))
        self._reconcile(in_doubt, is_complete=True)
        for number in self._numbers("sending"):
            with self.house.database.work() as work:
                issue_actions.finish(work, issue_id=number)
        self.rules.finish()

    def plan_a_little(self, size: int) -> None:
        """A planner dies after one slice of each issue."""
        self._open_due("resend")
        for number, issue in zip(self.house.issues(), self.rules.issues, strict=True):
            if issue.state == "planning":
                self.house.database.in_snapshot(lambda work, n=number: planning.plan_slice(work, n, size=size))
                self.rules.plan(issue, self.now, most=size)

    def _open_due(self, in_doubt: Any) -> Run:
        self.house.open_due()
        self.rules.open_due(self.now)
        return Run(self, in_doubt, is_open=True)

    def _numbers(self, state: str) -> list[int]:
        return [n for n, issue in zip(self.house.issues(), self.rules.issues, strict=True) if issue.state == state]

    def _reconcile(self, in_doubt: Any, *, is_complete: bool) -> None:
        """Follow what a run did to mails without handing them over; a complete one left nothing undone."""
        seen = self.house.look()
        batches = {found.batch_id: issue for found, issue in zip(seen.issues, self.rules.issues, strict=True)}
        for found in seen.mails:
            mail = batches[found.batch_id].mails[found.reader]
            while is_complete or (mail.state, mail.doubts) != (found.state, found.doubts):
                if not self.rules.silent_step(mail, self.now, in_doubt=in_doubt):
                    break
            left_over = mail.issue.may_leave and (mail.state == "pending" or found.is_due(self.now))
            assert not (is_complete and left_over), f"a run left {found} undone"

    # Comparing

    def mail_of(self, key: int) -> Mail:
        if key not in self.mail_by_key:
            batch_id, reader = self.house.mail(key)
            issue = self.rules.issues[self.house.batches().index(batch_id)]
            self.mail_by_key[key] = issue.mails[reader]
        return self.mail_by_key[key]

    def note_reception(self, message: Message) -> None:
        """Nobody ever gets an article under two Message-IDs, whatever the ledger believes."""
        message_id, urls = articles_in(message)
        self.received.setdefault(message.key, []).append(message_id)
        for url in urls:
            first = self.arrived_in.setdefault((self.mail_of(message.key).reader.origin, url), message_id)
            assert first == message_id, f"{url} was given twice to {message.recipient}"

    def compare(self) -> None:
        seen = self.house.look()
        assert seen.counter == self.rules.counter
        self._compare_readers(seen)
        for issue, found in zip(self.rules.issues, seen.issues, strict=True):
            rows = [mail for mail in seen.mails if mail.batch_id == found.batch_id]
            assert sorted(mail.reader for mail in rows) == sorted(issue.mails), "other readers than those of the rules"
            for row in rows:
                self._compare_mail(issue.mails[row.reader], row)
            self._compare_issue(issue, found, rows)
        opened = [mail.reader for mail in seen.mails if mail.state in OPEN]
        assert len(opened) == len(set(opened)), "two open mails for one reader"

    def _compare_readers(self, seen: Seen) -> None:
        assert seen.readers.keys() == {reader.id for reader in self.rules.readers}
        for reader in self.rules.readers:
            found = seen.readers[reader.id]
            assert (found.state, found.watermark) == (reader.state, reader.watermark), found
            assert bool(found.changed) == reader.changed
            if reader.state == "active":
                assert (bool(found.has_pause), bool(found.catches_up)) == (bool(reader.paused_until), reader.catches_up)
            if reader.watermark is not None:
                assert reader.watermark >= self.watermarks.get(reader.id, 0), "a watermark fell"
                self.watermarks[reader.id] = reader.watermark

    def _compare_mail(self, mail: Mail, found: SeenMail) -> None:
        if mail.may_have_given_up and found.state in {"failed", "uncertain"}:
            self.rules.give_up(mail)
        said = (mail.state, mail.attempts, mail.doubts, mail.copies)
        assert said == (found.state, found.attempts, found.doubts, found.copies), (found, mail.reason)
        if mail.state == "deferred":
            assert mail.again is not None
            assert found.next_attempt_at is not None
            assert mail.again[0] <= found.next_attempt_at <= mail.again[1]
            mail.again = (found.next_attempt_at, found.next_attempt_at)
            mail.may_have_given_up = False
        if mail.state == "skipped":
            assert mail.reason == found.reason
        if mail.articles and mail.reason != "withdrawn":
            held = [(topic, article.id) for topic, article in mail.articles]
            assert (mail.form, held) == self.house.editions[found.edition], "another content than the rules say"
        copies = self.received.get(found.id, [])
        assert len(copies) <= 1 + mail.copies, "copies that nobody counted"
        assert len(set(copies)) <= 1, "one mail under two Message-IDs"
        assert copies or mail.state != "accepted", "accepted, and it never left"
        assert not copies or mail.doubts or mail.state in {*GIVEN, "sending"}, f"it left, and is {mail.state}"

    def _compare_issue(self, issue: Issue, found: SeenIssue, rows: Sequence[SeenMail]) -> None:
        said = (issue.frequency, issue.slot, issue.state, issue.cut, issue.plan_to, issue.audience, issue.nothing_new)
        assert said == (
            found.frequency,
            found.slot,
            found.state,
            found.cut,
            found.plan_to,
            found.audience,
            found.nothing_new,
        ), issue
        now = [(row.state, row.reason, row.copies) for row in rows], found.audience
        if self.balanced.get(found.id) != now:
            self.balanced[found.id] = now
            books = self.house.books_of(found.id)
            assert books.balance, books
            assert self.house.progress(found.batch_id) == collections.Counter(str(row.state) for row in rows)
            assert books.audience == len(rows) + found.nothing_new
            assert books.possible_copies == sum(row.copies for row in rows)


def _at_once(job: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(job), pool.submit(job)]:
            done.result()
