"""From the form to the digest, for each frequency and form: what came is given, once, in its own time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import pytest

from factories import INSTITUTION, NAMES, html_of, parsed, text_of
from newsletter.articles import actions as articles
from newsletter.articles.feeds import Entry
from newsletter.base.addresses import read_address
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency
from newsletter.operations.run_due import run_due
from newsletter.subscribers.queries import by_address
from newsletter.subscriptions import actions, preferences, queries
from newsletter.subscriptions.models import Form, Request, Subscription

DAY, RUNS = timedelta(days=1), timedelta(minutes=15)
EIGHT = time(8)
every_frequency = pytest.mark.parametrize("frequency", list(Frequency))


class Town:
    """A newsletter that comes at all four frequencies, and the mails that arrived."""

    def __init__(self, parts: Parts, clock: SetClock) -> None:
        self.parts, self.clock = parts, clock
        self.published: dict[str, datetime] = {}
        with parts.database.work() as work:
            newsletter = add_newsletter(
                work,
                new=NewNewsletter(
                    slug="gazette",
                    names=NAMES,
                    institution=INSTITUTION,
                    mail_domain="lettre.example.ma",
                    topics=[NewTopic("services", {"fr": "Services", "ar": "الخدمات", "en": "Services"})],
                    rhythms=[
                        NewRhythm(Frequency.IMMEDIATE),
                        NewRhythm(Frequency.DAILY, at=EIGHT),
                        NewRhythm(Frequency.WEEKLY, at=EIGHT, weekday=0),
                        NewRhythm(Frequency.MONTHLY, at=EIGHT, day=1),
                    ],
                ),
            )
            self.source = articles.add_source(work, newsletter=newsletter, url="/nowhere/gazette.xml").id

    def sign_up(self, address: str, frequency: Frequency) -> Subscription:
        wish = actions.SignUp(
            address=address,
            newsletters=["gazette"],
            languages=["fr"],
            frequency=frequency,
            page_language="fr",
            text_shown="Je m’abonne.",
        )
        with self.parts.database.work() as work:
            actions.request_subscription(work, sign_up=wish, address_key=self.parts.address_key)
        run_due(self.parts.postroom)
        with self.parts.database.work() as work:
            person = by_address(work, read_address(address))
            assert person is not None
            request = work.session.query(Request).filter_by(subscriber_id=person.id).one()
            token = self.parts.links.confirm_token(request.id, at=work.now)
            (reader,) = actions.confirm(work, token=token, links=self.parts.links, text_shown="Je confirme.")
            return reader

    def publish(self, name: str) -> None:
        url = f"https://news.test/{name}"
        entry = Entry(url, url, f"Nouvelle {name}", "Un résumé.", None, "fr", None, "", ("services",), ())
        with self.parts.database.work() as work:
            articles.ingest(work, source_id=self.source, entries=[entry])
            self.published[url] = work.now

    def change(self, reader: Subscription, frequency: Frequency, form: Form | None = None) -> None:
        with self.parts.database.work() as work:
            now = queries.by_id(work, reader.id)
            assert now is not None
            preferences.change(
                work, subscription=now, topics=["services"], languages=["fr"], frequency=frequency, form=form
            )

    def mails(self, address: str) -> list[tuple[datetime, list[str], str]]:
        """The digests that arrived there: when, which articles, and the HTML."""
        assert isinstance(self.parts.backend, MemoryBackend)
        found = []
        for message in self.parts.backend.messages:
            mail = parsed(message.data)
            if message.recipient == address and mail["List-Unsubscribe"]:
                urls = [line for line in text_of(mail).splitlines() if line.startswith("https://news.test/")]
                found.append((datetime.strptime(mail["Date"], "%a, %d %b %Y %H:%M:%S %z"), urls, html_of(mail)))
        return found

    def given(self, address: str) -> list[str]:
        return [url for _, urls, _ in self.mails(address) for url in urls]

    def pass_to(self, end: datetime, *, step: timedelta) -> None:
        while self.clock.now() < end:
            self.clock.advance(step)
            run_due(self.parts.postroom)


@pytest.fixture
def town(parts: Parts, clock: SetClock) -> Town:
    return Town(parts, clock)


@pytest.mark.slow
@every_frequency
def test_each_frequency_gives_every_article_once_at_its_slots(town: Town, frequency: Frequency) -> None:
    address = f"{frequency}@example.org"
    town.sign_up(address, frequency)
    for number in range(8):
        town.publish(f"{number}")
        town.pass_to(town.clock.now() + timedelta(days=5), step=DAY)
    town.pass_to(datetime(2027, 1, 1, 9, tzinfo=UTC), step=DAY)
    given = town.given(address)
    assert sorted(given) == sorted(town.published)
    for at, urls, _ in town.mails(address):
        for url in urls:
            assert at - town.published[url] <= LONGEST[frequency], (url, at)
    per_mail = {len(urls) for _, urls, _ in town.mails(address)}
    assert max(per_mail) == (5 if frequency is Frequency.MONTHLY else 2 if frequency is Frequency.WEEKLY else 1)


LATE = timedelta(hours=6)
LONGEST = {
    Frequency.IMMEDIATE: DAY,
    Frequency.DAILY: timedelta(days=1) + LATE,
    Frequency.WEEKLY: timedelta(days=7) + LATE,
    Frequency.MONTHLY: timedelta(days=31) + LATE,
}


def test_as_it_happens_one_mail_holds_all_that_is_new_to_a_run(town: Town) -> None:
    town.sign_up("vite@example.org", Frequency.IMMEDIATE)
    for name in ("un", "deux", "trois"):
        town.publish(name)
    for _ in range(3):
        town.clock.advance(RUNS)
        run_due(town.parts.postroom)
    town.publish("quatre")
    town.clock.advance(RUNS)
    run_due(town.parts.postroom)
    assert [len(urls) for _, urls, _ in town.mails("vite@example.org")] == [3, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "turns",
    [
        [Frequency.DAILY, Frequency.WEEKLY, Frequency.DAILY, Frequency.MONTHLY],
        [Frequency.MONTHLY, Frequency.IMMEDIATE, Frequency.WEEKLY, Frequency.MONTHLY],
        [Frequency.WEEKLY, Frequency.MONTHLY, Frequency.DAILY, Frequency.IMMEDIATE],
    ],
    ids=" then ".join,
)
def test_going_from_one_frequency_to_another_loses_nothing_and_repeats_nothing(
    town: Town, turns: Sequence[Frequency]
) -> None:
    reader = town.sign_up("change@example.org", turns[0])
    for number in range(8):
        town.publish(f"{number}")
        town.pass_to(town.clock.now() + timedelta(days=3), step=DAY)
        if number % 2:
            town.change(reader, turns[(number // 2 + 1) % len(turns)])
    town.publish("the last")  # whoever reads at once gets what the frequency before left owing together with it
    town.pass_to(datetime(2027, 1, 1, 9, tzinfo=UTC), step=DAY)
    given = town.given("change@example.org")
    assert sorted(given) == sorted(town.published)


@every_frequency
def test_the_light_form_brings_the_same_articles_without_pictures(town: Town, frequency: Frequency) -> None:
    light, full = f"light-{frequency}@example.org", f"full-{frequency}@example.org"
    town.sign_up(full, frequency)
    town.change(town.sign_up(light, frequency), frequency, Form.LIGHT)
    for name in ("un", "deux"):
        town.publish(name)
    town.pass_to(datetime(2026, 12, 1, 9, tzinfo=UTC), step=DAY)
    assert town.given(light) == town.given(full) != []
    for _, _, html in town.mails(light):
        assert "<table" not in html
        assert "<img" not in html
    assert all("<table" in html for _, _, html in town.mails(full))
