"""Two people and everything that can happen to them at once, through the doors that citizens and cron use.

Each step is taken, refused kindly, or told to come back (503, Unavailable): never anything that nobody foresaw.
"""

from __future__ import annotations

import io
import random
import threading
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.operations.run_due import run_due
from newsletter.privacy.actions import erase_anew
from newsletter.privacy.forgetting import forget
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.exchange.entries import Terms
from newsletter.subscriptions.exchange.importing import Source, import_subscribers
from newsletter.subscriptions.models import BudgetEntry, Request, RequestKind, Subscription, SubscriptionState
from newsletter.web.app import create_app

SALMA, SAMIR, NEW = "salma@example.org", "samir@example.com", "new@example.net"
SLUGS = ("hebdo", "second")
SELDOM = 0.15
CHANCES = 8  # threads, each of which takes a chance at once with the others
Step = Callable[[], object]


class Town:
    """What can happen, by chance, to whoever is there."""

    def __init__(self, parts: Parts, app: Flask, clock: SetClock) -> None:
        self.parts, self.app, self.clock = parts, app, clock
        self.codes: list[tuple[str, int]] = []
        self.failed: list[BaseException] = []
        self.watermarks: dict[int, int] = {}

    def steps(self, chance: random.Random) -> Sequence[Step]:
        """Return what the threads of a round do."""
        return [self._step(chance) for _ in range(CHANCES)]

    def _step(self, chance: random.Random) -> Step:
        links, now = self.parts.links, self.clock.now()
        with self.parts.database.reading() as work:
            subscriptions = work.session.scalars(select(Subscription.id)).all()
            persons = work.session.scalars(select(Subscriber.id)).all()
            asked = work.session.execute(select(Request.id, Request.kind)).all()
        moving = [number for number, kind in asked if kind is RequestKind.CHANGE_ADDRESS]
        confirming = [number for number, kind in asked if kind is RequestKind.CONFIRMATION]
        subscription, person = chance.choice(subscriptions[-4:]), chance.choice(persons[-3:])
        opened = f"/preferences/{links.preferences_token(person, at=now)}"
        who = chance.choice([SALMA, SAMIR, NEW])
        leave = f"/u/{links.unsubscribe_token(subscription, 0)}"
        posts: list[tuple[str, dict[str, object]]] = [
            ("/fr/subscriptions", {"address": who, "newsletters": list(SLUGS), "form": "embedded-1"}),
            (leave, {"List-Unsubscribe": "One-Click"}),
            (leave, {"from": "page", "all": "yes"}),
            (f"/undo/{links.undo_token(subscription, at=now)}", {}),
            (f"/p/{links.manage_token(subscription, 0)}", {}),
            ("/fr/preferences", {"address": who}),
            (f"{opened}/address", {"address": who}),
            (f"{opened}/subscribe", {"newsletter": chance.choice(SLUGS)}),
            (opened, {"shown": "hebdo", "topics.hebdo": ["regions"], "language.hebdo.1": "ar"}),
            (f"{opened}/address", {"address": NEW}),
            *([(f"{opened}/erase", dict[str, object]())] if chance.random() < SELDOM else []),
            *((f"/confirm/{links.confirm_token(number, at=now)}", {}) for number in confirming[-2:]),
            *((f"/address/{links.change_address_token(number, at=now)}", {}) for number in moving[-2:]),
        ]
        rare: list[Step] = [lambda: forget(self.parts.database), lambda: run_due(self.parts.postroom)]
        rare += [lambda: erase_anew(self.parts.database, self.parts.erasures), lambda: self._import(who)]
        if chance.random() < SELDOM:
            return chance.choice(rare)
        path, data = chance.choice(posts)
        return lambda: self._post(path, data)

    def _post(self, path: str, data: dict[str, object]) -> None:
        code = self.app.test_client().post(path, data=data).status_code
        self.codes.append((path.split("/")[1], code))

    def _import(self, address: str) -> None:
        data = f"email,confirmed_at\n{address},2024-06-01 10:00".encode()
        import_subscribers(
            self.parts.database,
            source=Source(io.BufferedReader(io.BytesIO(data)), "readers.csv"),  # type: ignore[arg-type]
            newsletter="second",
            terms=Terms(languages=["fr"]),
            address_key=self.parts.address_key,
            dry_run=False,
            tell=lambda _: None,
            progress=lambda _: None,
        )

    def at_once(self, steps: Sequence[Step]) -> None:
        start = threading.Barrier(len(steps))

        def run(step: Step) -> None:
            start.wait(10)
            try:
                step()
            except Unavailable:
                pass  # cron comes again
            except BaseException as error:  # noqa: BLE001 (a thread's own would be lost)
                self.failed.append(error)

        threads = [threading.Thread(target=run, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def check(self) -> None:
        """Hold what is there to what must always be true."""
        assert not self.failed, "".join(traceback.format_exception(self.failed[0]))
        assert not [each for each in self.codes if each[1] >= 500 and each[1] != 503]
        with self.parts.database.reading() as work:
            rows = work.session.scalars(select(Subscription)).all()
            kept = set(work.session.scalars(select(Subscriber.id).where(Subscriber.address.is_not(None))))
        is_open = [row for row in rows if row.state is not SubscriptionState.ENDED]
        assert len({(row.subscriber_id, row.newsletter_id) for row in is_open}) == len(is_open)
        assert {row.subscriber_id for row in is_open} <= kept, "who has no address receives nothing"
        for row in rows:
            if row.watermark is not None:
                assert row.watermark >= self.watermarks.get(row.id, 0)
                self.watermarks[row.id] = row.watermark

    def answer_all(self) -> None:
        """Let the budgets forget, so that the next round writes mails, too."""
        with self.parts.database.work() as work:
            work.session.execute(update(BudgetEntry).values(answered_at=work.now))


def rounds(parts: Parts, clock: SetClock, number: int, seed: int) -> Town:
    for slug in SLUGS:
        make_newsletter(parts, slug=slug)
    make_reader(parts, SALMA)
    make_reader(parts, SAMIR, slug="second")
    town, chance = Town(parts, create_app(parts), clock), random.Random(seed)
    for _ in range(number):
        clock.advance(timedelta(minutes=chance.choice([1, 1, 1, 60 * 26])))
        town.at_once(town.steps(chance))
        town.check()
        town.answer_all()
        with parts.database.reading() as work:
            active = Subscription.state == SubscriptionState.ACTIVE
            if not work.session.scalar(select(func.count()).select_from(Subscription).where(active)):
                for address in (SALMA, SAMIR):
                    make_reader(parts, address)
    return town


def test_whatever_happens_to_two_people_at_once_is_one_thing_after_the_other(parts: Parts, clock: SetClock) -> None:
    town = rounds(parts, clock, 12, seed=1)
    assert {200} < {code for _, code in town.codes}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_it_is_so_for_a_long_time(parts: Parts, clock: SetClock, seed: int) -> None:
    rounds(parts, clock, 60, seed=seed)
