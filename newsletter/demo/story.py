"""The story: three readers sign up over HTTP, get what is theirs, twice, and one leaves in one click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from newsletter.articles import actions as article_actions
from newsletter.base.clock import SetClock
from newsletter.base.errors import NewsletterError, Unavailable
from newsletter.base.languages import LANGUAGES
from newsletter.bootstrap import Parts
from newsletter.demo import mailbox, sample
from newsletter.demo.citizen import Citizen
from newsletter.demo.pages import SampleSite
from newsletter.issues.press import SHOWN_ARTICLES
from newsletter.newsletters import actions as newsletter_actions
from newsletter.operations.run_due import Report, run_due
from newsletter.operations.sending import TRANSACTIONAL, send_due

SIGN_UP = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
FIRST_SLOT = datetime(2026, 11, 23, 8, 2, tzinfo=UTC)
SECOND_SLOT = FIRST_SLOT + timedelta(days=7)
THIRD_SLOT = SECOND_SLOT + timedelta(days=7)
FILLED_IN = timedelta(seconds=20)  # what a person takes for a form


@dataclass(frozen=True, slots=True)
class DemoReader:
    """A reader of the story, with the languages in their order of preference."""

    name: str
    address: str
    languages: tuple[str, ...]


READERS = (
    DemoReader("Salma", "salma@example.com", ("fr",)),
    DemoReader("Idris", "idris@example.com", ("ar", "fr")),
    DemoReader("Grace", "grace@example.com", ("en",)),
)


@dataclass(slots=True)
class Story:
    """What the story works with, and what did not hold."""

    parts: Parts
    clock: SetClock
    site: SampleSite
    maildir: Path
    say: Callable[[str], None]
    broken: list[str] = field(default_factory=list)

    def tell(self) -> bool:
        """Tell the whole story, and say whether everything held; what cannot go on ends it."""
        try:
            self._set_up()
            self._sign_up()
            self._first_week()
            self._second_week()
            self._one_leaves()
        except NewsletterError as error:
            self._check(False, error.message)
        return not self.broken

    def _check(self, holds: bool, what: str) -> None:
        self.say(f"  {'✓' if holds else '✗'} {what}")
        if not holds:
            self.broken.append(what)

    def _set_up(self) -> None:
        self.clock.move_to(SIGN_UP)
        with self.parts.database.work() as work:
            newsletter = newsletter_actions.add_newsletter(work, new=sample.newsletter())
            for language in sample.LANGUAGES:
                article_actions.add_source(work, newsletter=newsletter, url=f"{self.site.address}/feed.{language}.xml")
            topics = ", ".join(topic.names["en"] for topic in newsletter.topics)
            self.say(f"The newsletter “{newsletter.names['en']}” in French, Arabic and English")
            self.say(f"  topics: {topics}")

    def _sign_up(self) -> None:
        self.say(f"\n{_moment(self.clock)}: three readers sign up on the site")
        for reader in READERS:
            answer = self._ask(reader)
            self._check(answer == 200, f"{reader.name} asks for the newsletter {_spoken(reader)}")
        sent = send_due(self.parts.postroom, lanes=TRANSACTIONAL)
        self._check(sent.accepted == len(READERS), f"{sent.accepted} confirmation mails were written")
        for reader in READERS:
            self._confirm(reader)

    def _ask(self, reader: DemoReader) -> int:
        citizen = Citizen(language=reader.languages[0])
        page = citizen.open(self.parts.links.home(reader.languages[0]))
        self.clock.advance(FILLED_IN)
        return citizen.press(page, sign_up_fields(reader)).status

    def _confirm(self, reader: DemoReader) -> None:
        citizen = Citizen(language=reader.languages[0])
        mail = self._newest(reader)
        link = next((url for url in mail.links if "/confirm/" in url), "")
        looked = citizen.open(link)
        answer = citizen.press(looked)
        self._check(
            looked.status == answer.status == 200, f"{reader.name} opens “{mail.subject}” and presses the button"
        )

    def _first_week(self) -> None:
        self.clock.move_to(FIRST_SLOT)
        self.say(f"\n{_moment(self.clock)}: cron calls `newsletter run --due`")
        report = self._run()
        self._check_digests(sample.articles(site=self.site.address, week=1), list(READERS))
        again = run_due(self.parts.postroom)
        self._check(not again and len(self._all()) == 2 * len(READERS), "cron calls once more: nothing happens")
        self._check(len(report.issues) > 0, "the issue is in the books")

    def _second_week(self) -> None:
        self.site.week = 2
        self.clock.move_to(SECOND_SLOT)
        self.say(f"\n{_moment(self.clock)}: two more articles were published; cron calls again")
        self._run()
        self._check_digests(sample.articles(site=self.site.address, week=2), list(READERS))

    def _one_leaves(self) -> None:
        reader = READERS[2]
        self.say(f"\n{reader.name} leaves in one click (RFC 8058), straight from the mail's header")
        mail = self._newest(reader)
        answer = Citizen(language="en").post(mail.one_click, [("List-Unsubscribe", "One-Click")])
        self._check(answer.status == 200, "the server answers 200, without a cookie, a question or a redirect")
        before = len(self._all())
        self.clock.move_to(THIRD_SLOT)
        self._run(quiet=True)
        self._check(len(self._all()) == before, "a week later nobody gets an empty digest")

    def _run(self, *, quiet: bool = False) -> Report:
        report = run_due(self.parts.postroom)
        for result in report.fetched:
            if result.error:
                self._check(False, result.error)
        found = sum(result.new for result in report.fetched)
        if found:
            self.say(f"  {found} articles taken in from {len(report.fetched)} feeds")
        weekly = [issue for issue in report.issues if issue.frequency == "weekly"]
        for issue in weekly:
            books = issue.books
            if not quiet:
                self.say(
                    f"  issue {issue.id}: {books.audience} readers = {books.accepted} accepted + {books.failed} failed"
                    f" + {books.skipped} skipped + {books.uncertain} uncertain + {books.cancelled} cancelled"
                    f" + {books.open} open"
                )
        self._check(all(issue.books.balance for issue in report.issues), "the books balance")
        return report

    def _check_digests(self, published: Sequence[sample.SampleArticle], readers: Sequence[DemoReader]) -> None:
        for reader in readers:
            mail = self._newest(reader)
            expected = sample.expected_urls(published, languages=reader.languages)
            everything = {
                article.url for week in (1, 2) for article in sample.articles(site=self.site.address, week=week)
            }
            given = [url for url in mail.links if url in everything]
            exact = len(given) == len(set(given)) == min(len(expected), SHOWN_ARTICLES) and set(given) <= expected
            rest = len(expected) - len(given)
            more = f", and a link to {rest} more" if rest else ""
            self.say(f"  {reader.name}, {_spoken(reader)}: “{mail.subject}”")
            self._check(
                exact and mail.language == reader.languages[0] and bool(mail.one_click),
                f"{len(given)} articles{more}: exactly what is new to {reader.name}, each piece in one language",
            )

    def _all(self) -> list[mailbox.Mail]:
        return mailbox.mails(self.maildir)

    def _newest(self, reader: DemoReader) -> mailbox.Mail:
        """Return the last mail that this reader got.

        :raises Unavailable: if there is none
        """
        found = [mail for mail in self._all() if mail.recipient == reader.address]
        if not found:
            raise Unavailable(f"{reader.name} got no mail")
        return found[-1]


def sign_up_fields(reader: DemoReader) -> dict[str, str | list[str]]:
    """Return what this reader types and ticks; the rest of the form stays as it is offered."""
    return {"address": reader.address, "language": reader.languages[0], "also": list(reader.languages[1:])}


def _spoken(reader: DemoReader) -> str:
    names = {"fr": "French", "ar": "Arabic", "en": "English"}
    first, *others = [names.get(code, LANGUAGES[code].name) for code in reader.languages]
    return f"in {first}" + (f", else in {' or '.join(others)}" if others else "")


def _moment(clock: SetClock) -> str:
    now = clock.now()
    return f"{now:%A} {now.day} {now:%B %Y, %H:%M}"
