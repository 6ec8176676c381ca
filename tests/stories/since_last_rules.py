"""The rules of “since last” and of the ledger, written down a second time as plainly as can be.

Nothing here is taken from the code: the state machine holds the house to this page, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from since_last_things import (
    FREQUENCIES,
    GIVEN,
    LATE_AFTER,
    LEASE,
    MOVES_A_DAY,
    OPEN,
    PATIENCE,
    UNCONFIRMED_FOR,
    UNDO_FOR,
    Article,
    Issue,
    Mail,
    Reader,
    Row,
    latest_slot,
)


class Rules:
    """The whole house in plain Python."""

    def __init__(self, *, topic_order: dict[int, int], since: datetime) -> None:
        self.topic_order = topic_order
        self.since = self.now = since
        self.counter = 0
        self.groups = 0
        self.articles: list[Article] = []
        self.rows: list[Row] = []
        self.readers: list[Reader] = []
        self.issues: list[Issue] = []
        self.suppressed: set[int] = set()
        self.moves: dict[int, list[datetime]] = {}

    # Articles

    def publish(self, article_id: int, *, url: str, language: str, dated: datetime) -> Article:
        self.groups += 1
        self.articles.append(Article(article_id, url, language, self.groups, dated))
        return self.articles[-1]

    def make_available(self, article: Article, topics: Sequence[int], *, carried: bool = False) -> None:
        for topic in topics:
            self.counter += 1
            self.rows.append(Row(self.counter, self.now, article, topic, carried))

    def topics_of(self, article: Article) -> list[int]:
        return list(dict.fromkeys(row.topic for row in self.rows if row.article is article))

    def versions(self, group: int) -> list[Article]:
        return [article for article in self.articles if article.group == group]

    def pair(self, article: Article, other: Article) -> None:
        for version in self.versions(article.group):
            version.group = other.group

    def unpair(self, article: Article) -> None:
        others = [version for version in self.versions(article.group) if version is not article]
        self.groups += 1
        article.group = self.groups
        for each in (article, *others):
            self.make_available(each, self.topics_of(each), carried=True)

    def withdraw(self, article: Article) -> None:
        article.withdrawn = True
        for issue in self.issues:
            for mail in issue.mails.values() if issue.state in {"planning", "sending", "paused"} else ():
                if mail.state in {"pending", "deferred"}:
                    self._take_out(mail)

    def reinstate(self, article: Article) -> None:
        if article.withdrawn:
            article.withdrawn = False
            self.make_available(article, self.topics_of(article), carried=True)

    # Readers

    def active(self) -> list[Reader]:
        return [reader for reader in self.readers if reader.state == "active"]

    def confirm(self, person: int) -> None:
        for reader in self.readers:
            if reader.person == person and reader.state == "pending":
                reader.state, reader.watermark = "active", self.counter

    def expire(self, now: datetime) -> None:
        for reader in self.readers:
            if reader.state == "pending" and reader.signed_up_at <= now - UNCONFIRMED_FOR:
                reader.state = "ended"

    def change(
        self, reader: Reader, *, topics: Sequence[int], languages: Sequence[str], frequency: str, form: str
    ) -> None:
        spoken = dict(reader.languages)
        if set(topics) != set(reader.topics) or set(languages) != set(spoken):
            reader.changed = True
        reader.topics = {topic: reader.topics.get(topic, self.counter) for topic in topics}
        reader.languages = [(code, spoken.get(code, self.counter)) for code in languages]
        reader.frequency, reader.form = frequency, form

    def end_pauses(self, readers: Sequence[Reader], now: datetime) -> None:
        """A pause that is over ends: who starts afresh was given all that came up to its end."""
        for reader in readers:
            if reader.state == "active" and reader.paused_until is not None and not reader.is_paused(now):
                if not reader.catches_up:
                    came = [row.sequence for row in self.rows if row.at <= reader.paused_until]
                    self._raise(reader, max(came, default=0))
                reader.paused_until, reader.catches_up = None, True

    def resume(self, reader: Reader, now: datetime) -> None:
        """A reader comes back before the pause is over."""
        if reader.is_paused(now):
            if not reader.catches_up:
                self._raise(reader, self.counter)
            reader.paused_until, reader.catches_up = None, True

    def leave(self, reader: Reader, now: datetime) -> None:
        reader.state, reader.left_at = "ended", now

    def in_place_of(self, reader: Reader) -> Reader | None:
        """What a person has instead of what was left: what continues it, else a newer open one."""
        last = reader
        while following := [each for each in self.readers if each.continues is last]:
            (last,) = following
        mine = (each for each in self.readers if each.person == reader.person and each.state != "ended")
        return next(mine, None) if last is reader else last

    def can_undo(self, reader: Reader, now: datetime) -> bool:
        return (
            reader.left_at is not None
            and reader.left_at + UNDO_FOR >= now
            and reader.watermark is not None
            and reader.person not in self.suppressed
        )

    def undo(self, reader: Reader, number: int, now: datetime) -> None:
        """Another subscription goes on exactly where the ended one was, with all that this one was mailed."""
        taken = replace(reader, id=number, signed_up_at=now, state="active", left_at=None, continues=reader)
        self.readers.append(taken)
        for issue in self.issues:
            if mail := issue.mails.pop(reader.id, None):
                mail.reader = issue.mails.setdefault(number, mail).reader = taken

    def may_move(self, person: int, now: datetime) -> bool:
        """Who reads us may take another address, three times a day; what closed the old one stays with it."""
        lately = [at for at in self.moves.get(person, ()) if at > now - timedelta(days=1)]
        return len(lately) < MOVES_A_DAY and any(reader.person == person for reader in self.active())

    def move(self, person: int, now: datetime) -> None:
        self.moves.setdefault(person, []).append(now)
        self.suppressed.discard(person)

    def erase(self, person: int) -> None:
        """Nothing leaves any more and nothing can be taken back; the address may sign up as somebody unknown."""
        self.moves.pop(person, None)
        for reader in self.readers:
            if reader.person == person:
                reader.state, reader.left_at = "ended", None

    # What a reader is owed

    def owed(self, reader: Reader, cut: int) -> list[tuple[int, Article]]:
        """Return what is new for a reader, in reading order."""
        assert reader.watermark is not None
        found = []
        for group in {row.article.group for row in self.rows}:
            counting = [row for row in self._counting(reader, cut) if row.article.group == group]
            new = [row for row in counting if row.sequence > reader.watermark and not row.article.withdrawn]
            if new and not self._is_given(reader, group, counting, cut):
                assert not self._is_held(reader, group), "the rules contradict each other: this would be given twice"
                found.append(self._version(reader, counting))
        newest_first = sorted(found, key=lambda each: (each[1].dated, each[1].id), reverse=True)
        return sorted(newest_first, key=lambda each: self.topic_order[each[0]])

    def _counting(self, reader: Reader, cut: int) -> Iterator[Row]:
        spoken = dict(reader.languages)
        for row in self.rows:
            is_chosen = row.topic in reader.topics and row.article.language in spoken
            if is_chosen and max(reader.topics[row.topic], spoken[row.article.language]) < row.sequence <= cut:
                yield row

    def _is_given(self, reader: Reader, group: int, counting: Sequence[Row], cut: int) -> bool:
        known = [row for row in self.rows if row.article.group == group and row.sequence <= cut]
        if any(row.carried or row.article.withdrawn for row in known):
            return self._is_held(reader, group)
        assert reader.watermark is not None
        if any(row.sequence <= reader.watermark for row in counting):
            return True
        return reader.changed and self._is_held(reader, group)

    def _is_held(self, reader: Reader, group: int) -> bool:
        return any(
            article.group == group
            for issue in self.issues
            for mail in issue.mails.values()
            if mail.reader is reader and mail.state in GIVEN
            for _, article in mail.articles
        )

    def _version(self, reader: Reader, counting: Sequence[Row]) -> tuple[int, Article]:
        live = [row for row in counting if not row.article.withdrawn]
        for code, _ in reader.languages:
            spoken = [row for row in live if row.article.language == code]
            if spoken:
                newest = max((row.article for row in spoken), key=lambda article: article.id)
                topics = {row.topic for row in spoken if row.article is newest}
                return min(topics, key=self.topic_order.__getitem__), newest
        raise AssertionError("an eligible group has a version that can be given")

    # Issues

    def open_due(self, now: datetime) -> None:
        for frequency in FREQUENCIES:
            self._open(frequency, now)

    def _open(self, frequency: str, now: datetime) -> None:
        earlier = [issue for issue in self.issues if issue.frequency == frequency]
        at = now
        if frequency == "immediate":
            slot = f"cut {self.counter}"
            if self.counter <= max((issue.cut or 0 for issue in earlier), default=0):
                return
        else:
            at = latest_slot(frequency, now)
            slot = f"{at:%Y-%m-%dT%H:%MZ}"
            if at <= self.since or any(issue.slot == slot for issue in earlier):
                return
        for issue in earlier:
            if issue.state == "held":
                self.cancel(issue)
        opened = Issue(frequency, slot, "held")
        self.issues.append(opened)
        if now - at <= LATE_AFTER:
            self.release(opened)

    def release(self, issue: Issue) -> None:
        issue.state, issue.cut = "planning", self.counter
        issue.plan_to = max((reader.id for reader in self.readers), default=0)

    def cancel(self, issue: Issue) -> None:
        issue.state = "cancelled"
        for mail in issue.mails.values():
            if mail.state in {"pending", "deferred"}:
                self._end(mail, "cancelled")

    def plan(self, issue: Issue, now: datetime, *, most: int | None = None) -> None:
        """Plan the next readers, all of them by default; when none is left the issue goes on to sending."""
        assert issue.plan_to is not None
        readers = [
            reader
            for reader in sorted(self.active(), key=lambda reader: reader.id)
            if reader.frequency == issue.frequency and issue.planned_to < reader.id <= issue.plan_to
        ]
        for reader in readers[:most]:
            issue.planned_to = reader.id
            self.end_pauses([reader], now)
            if reader.paused_until is None:
                issue.audience += 1
                self._plan_for(issue, reader, now)
        if most is None or not readers:
            issue.state = "sending" if issue.is_open else "finished" if issue.mails else "empty"

    def _plan_for(self, issue: Issue, reader: Reader, now: datetime) -> None:
        assert issue.cut is not None
        earlier = [other.mails[reader.id] for other in self.issues if reader.id in other.mails]
        for mail in earlier:
            if mail.state == "deferred":
                self._end(mail, "failed", "slot passed")
        if any(mail.state in OPEN for mail in earlier):
            issue.mails[reader.id] = Mail(issue, reader, now, "skipped", "earlier_issue_open")
        elif reader.person in self.suppressed:
            issue.mails[reader.id] = Mail(issue, reader, now, "skipped", "suppressed")
        elif owed := self.owed(reader, issue.cut):
            issue.mails[reader.id] = Mail(issue, reader, now, "pending", articles=owed, form=reader.form)
        else:
            issue.nothing_new += 1

    def finish(self) -> None:
        for issue in self.issues:
            if issue.state == "sending" and not issue.is_open:
                issue.state = "finished"

    # The ledger

    def claimed(self, mail: Mail, line: object, now: datetime, *, in_doubt: str) -> None:
        """A sender is about to send this mail."""
        if mail.is_abandoned(now):
            self.take_back(mail, in_doubt=in_doubt)
        assert mail.issue.may_leave, f"sent from an issue that is {mail.issue.state}"
        assert mail.is_due(now), f"sent while {mail.state}"
        assert not self._refusal(mail), f"sent to a reader who is {self._refusal(mail)}"
        mail.state, mail.line, mail.lease_until, mail.again = "sending", line, now + LEASE, None
        mail.attempts += 1

    def settled(self, mail: Mail, line: object, outcome: str, now: datetime, *, in_doubt: str) -> None:
        """The sender writes what became of it, unless somebody else has taken the mail over."""
        if mail.state != "sending" or mail.line is not line:
            return
        match outcome:
            case "accepted":
                self._give(mail, "accepted")
            case "failed":
                self._end(mail, "failed")
            case "stop":
                mail.attempts -= 1
                self._wait(mail, "pending")
            case "uncertain":
                mail.doubts += 1
                self._doubt(mail, again=in_doubt == "resend" and mail.doubts < 2)
            case "deferred":
                self._defer(mail, now)

    def reconcile(self, now: datetime, *, in_doubt: str) -> None:
        """Before anything else a run takes back what dead senders left."""
        for issue in self.issues:
            for mail in issue.mails.values():
                if mail.is_abandoned(now):
                    self.take_back(mail, in_doubt="hold" if issue.state == "cancelled" else in_doubt)

    def take_back(self, mail: Mail, *, in_doubt: str) -> None:
        mail.doubts += 1
        self._doubt(mail, again=in_doubt == "resend" and mail.doubts < 3)

    def give_up(self, mail: Mail) -> None:
        self._end(mail, "failed")

    def silent_step(self, mail: Mail, now: datetime, *, in_doubt: str) -> bool:
        """Do what a sender does with a mail before any byte of it leaves; False if nothing is to be done."""
        if mail.issue.state == "cancelled" and mail.state in {"pending", "deferred"}:
            self._end(mail, "cancelled")
        elif mail.is_abandoned(now):
            self.take_back(mail, in_doubt=in_doubt)
        elif mail.issue.may_leave and mail.is_due(now) and self._refusal(mail):
            self._end(mail, "skipped", self._refusal(mail))
        elif mail.issue.may_leave and mail.is_due(now) and mail.state == "deferred":
            mail.state, mail.again = "pending", None
        else:
            return False
        return True

    def _refusal(self, mail: Mail) -> str | None:
        if mail.reader.state == "ended":
            return "ended"
        return "suppressed" if mail.reader.person in self.suppressed else None

    def _defer(self, mail: Mail, now: datetime) -> None:
        wait = min(timedelta(minutes=5) * 2 ** (mail.attempts - 1), timedelta(hours=4))
        give_up_at = mail.created + PATIENCE[mail.issue.frequency]
        if now + 0.8 * wait > give_up_at:
            self._end(mail, "failed")
            return
        self._wait(mail, "deferred")
        if mail.state == "deferred":
            mail.again = (now + 0.8 * wait, now + 1.2 * wait)
            mail.may_have_given_up = now + 1.2 * wait > give_up_at

    def _doubt(self, mail: Mail, *, again: bool) -> None:
        if again and mail.issue.state != "cancelled":
            mail.copies += 1
            self._wait(mail, "pending")
        else:
            self._give(mail, "uncertain")

    def _wait(self, mail: Mail, state: str) -> None:
        """It comes back to wait; what happened meanwhile to its articles and its issue happens to it now."""
        mail.state, mail.line, mail.may_have_given_up = state, None, False
        self._take_out(mail)
        if mail.state in OPEN and mail.issue.state == "cancelled":
            self._end(mail, "cancelled")

    def _take_out(self, mail: Mail) -> None:
        rest = [(topic, article) for topic, article in mail.articles if not article.withdrawn]
        if len(rest) == len(mail.articles):
            return
        if mail.doubts or not rest:
            self._end(mail, "skipped", "withdrawn")
        else:
            mail.articles = rest

    def _end(self, mail: Mail, state: str, reason: str | None = None) -> None:
        """End a mail without an acceptance; one that may have left before is uncertain, and counts as given."""
        if mail.doubts:
            self._give(mail, "uncertain")
        else:
            mail.state, mail.reason = state, reason

    def _give(self, mail: Mail, state: str) -> None:
        mail.state = state
        assert mail.issue.cut is not None
        self._raise(mail.reader, mail.issue.cut)

    def _raise(self, reader: Reader, sequence: int) -> None:
        assert reader.watermark is not None
        reader.watermark = max(reader.watermark, sequence)
