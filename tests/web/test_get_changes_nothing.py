"""Nobody is subscribed or unsubscribed by a machine that follows links."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import everything, newest, path
from werkzeug.routing import Rule

from factories import ask, make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.links import Links
from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Request

TOKEN_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture
def tokens(client: FlaskClient, parts: Parts, clock: SetClock) -> dict[str, str]:
    """A good token for each rule that takes one: somebody is active, and pending for a second newsletter."""
    reader = make_reader(parts, "salma@example.org")
    make_newsletter(parts, slug="second")
    ask(parts, "salma@example.org", slug="second")
    request, links = newest(parts, Request), parts.links
    found = {
        "/confirm/<token>": links.confirm(request.id, at=clock.now()),
        "/never/<token>": links.never(request.id),
        "/u/<token>": links.unsubscribe(links.unsubscribe_token(reader.id, 0)),
        "/p/<token>": links.manage(links.manage_token(reader.id, 0)),
        "/preferences/<token>": links.preferences(reader.subscriber_id, at=clock.now()),
    }
    return {rule: link.rpartition("/")[2] for rule, link in found.items()}


def with_method(app: Flask, *methods: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if set(methods) & (rule.methods or set())]


def test_no_get_and_no_head_changes_a_row(
    app: Flask, client: FlaskClient, parts: Parts, tokens: dict[str, str]
) -> None:
    known = {"lang": "fr", "newsletter": "hebdo", "issue_id": 1, "filename": "site.css"}
    before = everything(parts)
    for rule in with_method(app, "GET", "HEAD"):
        values = {name: tokens[rule.rule] if name == "token" else known[name] for name in rule.arguments}
        built = app.url_map.bind("lettre.test").build(rule.endpoint, values, method="GET")
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = client.open(
                built, method=method, buffered=True, query_string={"from": "page", "List-Unsubscribe": "One-Click"}
            )
            assert answer.status_code in ({200, 302} if "issue_id" not in values else {200, 404}), rule
            assert everything(parts) == before, f"{method} {rule}"


@pytest.mark.parametrize(
    "rule", ["/confirm/<token>", "/never/<token>", "/u/<token>", "/p/<token>", "/preferences/<token>"]
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_link_opens_nothing_and_changes_nothing(
    client: FlaskClient, parts: Parts, tokens: dict[str, str], rule: str, data: st.DataObject
) -> None:
    token = tokens[rule]
    changed = data.draw(
        st.one_of(
            st.builds(
                lambda at, letter: token[:at] + letter + token[at + 1 :],
                st.integers(0, len(token) - 1),
                st.sampled_from(TOKEN_LETTERS),
            ),
            st.builds(lambda at: token[:at], st.integers(1, len(token) - 1)),
            st.builds(lambda more: token + more, st.text(TOKEN_LETTERS, min_size=1, max_size=5)),
            st.sampled_from([other for name, other in tokens.items() if name != rule]),
            st.text(min_size=1, max_size=60).filter(lambda text: text.lower() != token and not set(text) & set("/?#.")),
        ).filter(lambda text: text != token)
    )
    before = everything(parts)
    for method in ("GET", "HEAD", "POST"):
        assert client.open(rule.replace("<token>", quote(changed, safe="")), method=method).status_code in {404, 410}
    assert everything(parts) == before


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


def test_the_guard_would_see_a_change(client: FlaskClient, parts: Parts, tokens: dict[str, str]) -> None:
    before = everything(parts)
    client.post(f"/u/{tokens['/u/<token>']}")
    after = everything(parts)
    assert {name for name in before if before[name] != after[name]} >= {"subscription", "consent"}
