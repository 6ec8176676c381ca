"""The site as a citizen meets it: the real application on a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pages import path
from playwright.sync_api import Browser, sync_playwright

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Newsletter
from newsletter.subscriptions.models import Subscription
from newsletter.web.app import create_app
from scripts.walk_pages import launched


@pytest.fixture
def hebdo(parts: Parts) -> Newsletter:
    return make_newsletter(parts)


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


@pytest.fixture
def client(app: Flask, hebdo: Newsletter) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def reader(client: FlaskClient, parts: Parts) -> Subscription:
    """A reader of the newsletter, in French and otherwise in Arabic."""
    return make_reader(parts, "salma.bennani@gmail.com", languages=["fr", "ar"])


@pytest.fixture
def link(parts: Parts, reader: Subscription, clock: SetClock) -> str:
    """The path of the reader's preferences."""
    return path(parts.links.preferences(reader.subscriber_id, at=clock.now()))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, for all tests of a file."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()
