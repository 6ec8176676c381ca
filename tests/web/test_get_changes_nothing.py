"""Nobody is subscribed or unsubscribed by a machine that follows links."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from doors import good_tokens, purpose_of
from flask import Flask
from flask.testing import FlaskClient
from pages import everything, path, read
from werkzeug.routing import Rule

from newsletter.base.clock import SetClock
from newsletter.base.links import Links
from newsletter.bootstrap import Parts

MAY_LACK = {"archive.issue", "theme.picture"}  # there is no issue, and no logo


@pytest.fixture
def tokens(client: FlaskClient, parts: Parts) -> dict[str, str]:
    """A good token for each purpose."""
    return good_tokens(parts)


def with_method(app: Flask, *methods: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if set(methods) & (rule.methods or set())]


def test_no_get_and_no_head_changes_a_row(
    app: Flask, client: FlaskClient, parts: Parts, tokens: dict[str, str]
) -> None:
    known = {"lang": "fr", "newsletter": "hebdo", "issue_id": 1, "filename": "site.css"}
    before = everything(parts)
    for rule in with_method(app, "GET", "HEAD"):
        values = {name: tokens[purpose_of(rule)] if name == "token" else known[name] for name in rule.arguments}
        built = app.url_map.bind("lettre.test").build(rule.endpoint, values, method="GET")
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = client.open(
                built, method=method, buffered=True, query_string={"from": "page", "List-Unsubscribe": "One-Click"}
            )
            assert answer.status_code in {200, 302} or (rule.endpoint in MAY_LACK and answer.status_code == 404), rule
            assert everything(parts) == before, f"{method} {rule}"


def made_links(links: Links, clock: SetClock) -> dict[str, str]:
    """Call each method of Links that makes a link of the site, so that a new one cannot be forgotten."""
    examples: dict[str, Any] = {
        "language": "fr",
        "newsletter": "hebdo",
        "issue_id": 3,
        "topic_id": 4,
        "request_id": 5,
        "subscription_id": 7,
        "subscriber_id": 11,
        "delivery_id": 13,
        "batch_id": 17,
        "token": "a" * 40,
        "domain": "lettre.test",
        "at": clock.now(),
    }
    made = {}
    for name, method in inspect.getmembers(links, inspect.ismethod):
        if name.startswith(("_", "read_")):
            continue
        call: Callable[..., object] = method
        answer = call(**{each: examples[each] for each in inspect.signature(method).parameters})
        if isinstance(answer, str) and answer.startswith(links.base_url):
            made[name] = answer
    return made


def test_every_link_that_we_make_is_answered_by_a_page(app: Flask, parts: Parts, clock: SetClock) -> None:
    made = made_links(parts.links, clock)
    assert {"home", "archive", "archived_issue", "confirm", "never", "unsubscribe", "manage", "preferences"} <= set(
        made
    )
    site = app.url_map.bind("lettre.test")
    for name, link in made.items():
        endpoint, _ = site.match(path(link), method="GET")
        assert endpoint, name
    acting = {name for name in made if site.test(path(made[name]), method="POST")}
    assert {"confirm", "never", "unsubscribe", "manage", "preferences"} <= acting


def test_every_purpose_of_a_link_has_a_page_with_a_button(client: FlaskClient, tokens: dict[str, str]) -> None:
    for purpose in ("confirm", "never", "u", "p", "preferences", "undo", "topic"):
        page = read(client.get(f"/{purpose}/{tokens[purpose]}"))
        assert page.all("button"), purpose
        assert all(form["method"] == "post" for form in page.all("form")), purpose


def test_the_guard_would_see_a_change(client: FlaskClient, parts: Parts, tokens: dict[str, str]) -> None:
    before = everything(parts)
    client.post(f"/u/{tokens['u']}")
    after = everything(parts)
    assert {name for name in before if before[name] != after[name]} >= {"subscription", "consent"}
