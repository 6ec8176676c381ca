"""The log says where something failed, and never whose link or address it was about."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from doors import ADDRESS, good_tokens, purpose_of
from flask import Flask
from flask.testing import FlaskClient

from newsletter.bootstrap import Parts
from newsletter.web import frame, speech

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
NEW = "somebody.else@mail.example"


@pytest.fixture(params=["rendering", "speaking"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours in what every page needs; its message holds all that it was given."""

    def fail(*given: object, **more: object) -> None:
        raise RuntimeError(f"{given} {more}")

    owner, name = (frame, "render_template") if request.param == "rendering" else (speech, "translate")
    monkeypatch.setattr(owner, name, fail)


def visit_all(app: Flask, visitor: FlaskClient, tokens: dict[str, str]) -> int:
    """Call every route by every method, with good tokens and an address; return how many answers were errors."""
    others = {"lang": "fr", "newsletter": "hebdo", "issue_id": 1, "filename": "site.css"}
    adapter, errors = app.url_map.bind("localhost"), 0
    form = {"address": NEW, "newsletters": "hebdo", "language": "fr", "topics.hebdo": "services"}
    for method in ("GET", "POST"):
        for rule in app.url_map.iter_rules():
            values = {**others, "token": tokens.get(purpose_of(rule), "") if "token" in rule.arguments else ""}
            link = adapter.build(str(rule.endpoint), {name: values[name] for name in rule.arguments})
            for each in {link, link[:-3] + "aaa"}:
                asked = {"query_string": {"for": ADDRESS}, "headers": {"Referer": f"https://mail.example/?{ADDRESS}"}}
                answer = visitor.open(
                    each, method=method, data=form if method == "POST" else None, buffered=True, **asked
                )
                errors += answer.status_code >= 500
    return errors


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Return everything that any logger was told, arguments and all."""
    written = logging.Formatter("%(name)s %(pathname)s %(message)s")
    return "\n".join(written.format(record) + repr(record.args) for record in caplog.records)


def test_every_error_is_logged_without_its_token_and_address(
    app: Flask, client: FlaskClient, parts: Parts, broken: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = good_tokens(parts)
    assert visit_all(app, client, tokens) > 10
    log = told(caplog)
    assert log.count(" failed: ") > 10
    assert not [token for token in tokens.values() if token[:16] in log]
    assert not [each for each in (ADDRESS, NEW, "mail.example", "example.org") if each in log]


def test_nothing_is_logged_of_what_goes_well(
    app: Flask, client: FlaskClient, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tokens = good_tokens(parts)
    assert visit_all(app, client, tokens) == 0
    assert told(caplog) == ""


def test_the_proxys_log_that_we_advise_keeps_no_token(app: Flask, client: FlaskClient, parts: Parts) -> None:
    found = re.search(r"~\*(\^.+)  \$before/-;", OPERATIONS)
    assert found
    pattern = re.compile(found[1].strip().replace("(?<", "(?P<"), re.IGNORECASE)
    tokens, adapter = good_tokens(parts), app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if "token" in rule.arguments:
            values = {"lang": "fr", "token": tokens[purpose_of(rule)]}
            link = adapter.build(str(rule.endpoint), {name: values[name] for name in rule.arguments})
            kept = pattern.sub(r"\g<before>/-", link)
            assert kept.endswith("/-"), rule
            assert tokens[purpose_of(rule)][:8] not in kept
    for link in ("/fr/", "/fr/preferences", "/archive/hebdo/fr/1", "/static/site.css"):
        assert pattern.sub("", link) == link
