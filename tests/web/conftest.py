"""The site as a citizen meets it: the real application on a real database."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from factories import make_newsletter
from newsletter.bootstrap import Parts
from newsletter.newsletters.models import Newsletter
from newsletter.web.app import create_app


@pytest.fixture
def hebdo(parts: Parts) -> Newsletter:
    return make_newsletter(parts)


@pytest.fixture
def app(parts: Parts) -> Flask:
    return create_app(parts)


@pytest.fixture
def client(app: Flask, hebdo: Newsletter) -> FlaskClient:
    return app.test_client()
