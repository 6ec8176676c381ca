from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pages import newest, press, read, subscriptions

from factories import make_newsletter
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.subscriptions.models import Request, SubscriptionState
from newsletter.web import wsgi
from newsletter.web.app import create_app

PREFIX = "/services/lettre"


@pytest.fixture
def mounted(settings: Settings) -> Iterator[Parts]:
    parts = build(settings.model_copy(update={"base_url": f"https://www.exemple.ma{PREFIX}"}))
    make_newsletter(parts)
    yield parts
    parts.database.close()


@pytest.fixture(params=["the proxy leaves the path", "the proxy strips the path"])
def visit(request: pytest.FixtureRequest, mounted: Parts) -> FlaskClient:
    """A client that sees the site as a browser does, whatever the proxy does."""
    app = create_app(mounted)
    if "strips" in request.param:
        inner = app.wsgi_app

        def proxy(environ, start_response):  # type: ignore[no-untyped-def]
            assert environ["PATH_INFO"].startswith(PREFIX)
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(PREFIX)
            return inner(environ, start_response)

        app.wsgi_app = proxy  # type: ignore[method-assign]
    return app.test_client()


def test_the_whole_way_stays_below_the_path(visit: FlaskClient, mounted: Parts) -> None:
    assert visit.get(f"{PREFIX}/").headers["Location"] == f"{PREFIX}/fr/"
    page = read(visit.get(f"{PREFIX}/ar/"))
    for link in [*page.links, *(each["href"] for each in page.all("link"))]:
        assert link.startswith((PREFIX, "#", "mailto:"))
        if link.startswith(PREFIX):
            assert visit.get(link, buffered=True).status_code == 200
    assert press(visit, page, {"address": "sam@example.org"}).status_code == 200
    link = mounted.links.confirm(newest(mounted, Request).id, at=mounted.clock.now())
    press(visit, read(visit.get(link.removeprefix("https://www.exemple.ma"))))
    (found,) = subscriptions(mounted)
    assert found.state is SubscriptionState.ACTIVE
    leave = mounted.links.unsubscribe(mounted.links.unsubscribe_token(found.id, 0))
    assert visit.post(leave.removeprefix("https://www.exemple.ma")).status_code == 200
    assert subscriptions(mounted)[0].state is SubscriptionState.ENDED


def test_a_wsgi_server_builds_the_application_from_the_environment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_HOME", str(tmp_path))
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", settings.database)
    monkeypatch.setenv("NEWSLETTER_MAIL_URL", "memory://")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", settings.keys[0])
    monkeypatch.setenv("NEWSLETTER_ADDRESS_KEY", settings.keys[0])
    app = wsgi.app()
    assert app.test_client().get("/healthz").status_code == 200
    app.extensions["newsletter.parts"].database.close()
