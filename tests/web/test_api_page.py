"""What docs/api.md shows works as it is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
LINES = re.findall(r"^ {4}(curl (?:.|\n(?! *$))*?) +# (\d{3})$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("line", "status"), LINES, ids=[line[:60] for line, _ in LINES])
def test_every_line_that_the_page_shows_is_answered_as_it_says(client: FlaskClient, line: str, status: str) -> None:
    words = iter(shlex.split(line.replace("\\\n", " "))[1:])
    headers, body, path = {}, None, ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            url = urlsplit(word)
            assert url.netloc == "lettre.example.ma"
            path = f"{url.path}?{url.query}"
    answer = client.open(path, method="GET" if body is None else "POST", headers=headers, data=body)
    assert answer.status_code == int(status), answer.text


def test_the_page_shows_each_route() -> None:
    assert len(LINES) == PAGE.count("    curl ") == 5
    for route in ("newsletters", "subscriptions", "challenge", "openapi.json"):
        assert any(f"/api/v1/{route}" in line for line, _ in LINES)
