"""Each press of a button on a page leaves evidence: what stood there, in which version, in which language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

import pytest
from flask.testing import FlaskClient
from pages import Page, newest, path, press, read
from sqlalchemy import select
from werkzeug.test import TestResponse

from factories import make_newsletter
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.subscriptions.leaving import leave
from newsletter.subscriptions.models import Consent, ConsentKind, ConsentText, EndReason, Request, Subscription

ADDRESS = "salma.bennani@gmail.com"
K = ConsentKind


@dataclass
class Citizen:
    """Presses buttons, and looks each time at the evidence that this left."""

    client: FlaskClient
    parts: Parts
    clock: SetClock
    language: str
    seen: int = 0
    kinds: set[ConsentKind] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)

    def presses(self, url: str, *kinds: ConsentKind, to: str | None = None, **changes: object) -> TestResponse:
        """Open a page, press its button, and hold the new consents to what stood there."""
        self.clock.advance(timedelta(minutes=1))
        page = read(self.client.get(url))
        assert page.language == self.language
        answer = press(self.client, page, changes, to=None if to is None else url + to)
        assert answer.status_code == 200, answer.text
        self.holds(page, *kinds)
        return answer

    def holds(self, page: Page, *kinds: ConsentKind) -> None:
        with self.parts.database.reading() as work:
            fresh = work.session.scalars(select(Consent).where(Consent.id > self.seen).order_by(Consent.id)).all()
            assert [each.kind for each in fresh] == list(kinds)
            for each in fresh:
                assert each.form_version, each.kind
                assert each.language == self.language
                text = work.session.get(ConsentText, each.text_hash)
                assert text is not None, each.kind
                assert sha256(text.text.encode()).hexdigest() == each.text_hash
                assert text.language == self.language
                head = re.split(r"\s?:|\. ", text.text)[0].strip(" .")
                assert head in " ".join(page.one("html").text.split("\n")), (each.kind, text.text)
                self.kinds.add(each.kind)
                self.versions.add(each.form_version)
                self.seen = each.id


@pytest.fixture(params=["fr", "ar", "en"])
def citizen(request: pytest.FixtureRequest, client: FlaskClient, parts: Parts, clock: SetClock) -> Citizen:
    return Citizen(client, parts, clock, request.param)


def confirm_link(citizen: Citizen) -> str:
    number = newest(citizen.parts, Request).id
    return path(citizen.parts.links.confirm(number, at=citizen.clock.now()))


def preferences_link(citizen: Citizen) -> str:
    person = newest(citizen.parts, Subscription).subscriber_id
    return path(citizen.parts.links.preferences(person, at=citizen.clock.now()))


def unsubscribe_link(citizen: Citizen) -> str:
    links = citizen.parts.links
    return path(links.unsubscribe(links.unsubscribe_token(newest(citizen.parts, Subscription).id, 0)))


def signs_up(citizen: Citizen) -> None:
    citizen.presses(f"/{citizen.language}/", K.REQUESTED, address=ADDRESS)
    citizen.presses(confirm_link(citizen), K.CONFIRMED)


def test_from_signing_up_to_being_erased_everything_is_witnessed(citizen: Citizen) -> None:
    signs_up(citizen)
    languages = {"fr": ["fr", "ar"], "ar": ["ar", "fr"], "en": ["en", "fr"]}[citizen.language]
    changes = {"frequency.hebdo": "daily", "language.hebdo.2": languages[1]}
    citizen.presses(preferences_link(citizen), K.CHANGED, **changes)
    pause = f"{citizen.clock.now() + timedelta(days=9):%Y-%m-%d}"
    citizen.presses(preferences_link(citizen), K.CHANGED, **{"pause.hebdo": pause})
    citizen.presses(preferences_link(citizen), K.CHANGED, to="/resume")
    topic = citizen.parts.links.topic_token(newest(citizen.parts, Subscription).id, 1)
    citizen.presses(f"/topic/{topic}", K.CHANGED)
    make_newsletter(citizen.parts, slug="second")
    citizen.presses(preferences_link(citizen), K.REQUESTED, K.CONFIRMED, to="/subscribe")
    left = citizen.presses(unsubscribe_link(citizen), K.LEFT)
    page = read(left)
    press(citizen.client, page)
    citizen.holds(page, K.UNDONE)
    citizen.presses(preferences_link(citizen) + "/address", address="new@example.org")
    number = newest(citizen.parts, Request).id
    token = citizen.parts.links.change_address_token(number, at=citizen.clock.now())
    citizen.presses(f"/address/{token}", K.ADDRESS_CHANGED, K.ADDRESS_CHANGED)
    citizen.presses(preferences_link(citizen) + "/erase", K.LEFT, K.LEFT)
    assert citizen.kinds == set(ConsentKind) - {K.IMPORTED}  # which no page asks for
    assert len(citizen.versions) >= 9


@pytest.mark.parametrize("way", ["all", "never"])
def test_leaving_everything_is_witnessed(citizen: Citizen, way: str) -> None:
    signs_up(citizen)
    if way == "never":
        citizen.presses(path(citizen.parts.links.never(newest(citizen.parts, Request).id)), K.LEFT)
        return
    make_newsletter(citizen.parts, slug="second")
    citizen.presses(preferences_link(citizen), K.REQUESTED, K.CONFIRMED, to="/subscribe")
    citizen.presses(unsubscribe_link(citizen), K.LEFT, K.LEFT, all="yes")


def test_a_change_of_language_is_witnessed_in_that_of_the_page(citizen: Citizen) -> None:
    signs_up(citizen)
    other = "ar" if citizen.language != "ar" else "fr"
    citizen.presses(preferences_link(citizen), K.CHANGED, **{"language.hebdo.1": other})


def test_one_click_has_no_page_and_claims_none(citizen: Citizen) -> None:
    signs_up(citizen)
    links = citizen.parts.links
    with citizen.parts.database.work() as work:
        token = links.unsubscribe_token(newest_id(work.session.scalar), 0)
        leave(work, token=token, links=links, reason=EndReason.ONE_CLICK)
    with citizen.parts.database.reading() as work:
        last = work.session.scalars(select(Consent).order_by(Consent.id.desc())).first()
    assert last is not None
    assert (last.kind, last.text_hash, last.form_version) == (K.LEFT, None, None)


def newest_id(scalar: Callable[..., int | None]) -> int:
    found = scalar(select(Subscription.id).order_by(Subscription.id.desc()).limit(1))
    assert found is not None
    return found
