"""A newsletter's logo and accent: given by its owner, shown on its pages, served by this site."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from pages import read

from newsletter.base.errors import InvalidInput
from newsletter.bootstrap import Parts
from newsletter.newsletters import queries
from newsletter.newsletters.logos import LARGEST, media_type_of, put_logo

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'


def give(parts: Parts, content: bytes | None) -> None:
    with parts.database.work() as work:
        put_logo(work, newsletter=queries.by_slug(work, "hebdo"), content=content)


def pictures(client: FlaskClient) -> list[str]:
    return [each["src"] for each in read(client.get("/fr/")).all("img")]


def test_pages_show_the_logo_that_was_given_last_and_none_after_it_was_taken_away(
    client: FlaskClient, parts: Parts
) -> None:
    assert pictures(client) == []
    for content, media_type in ((PNG, "image/png"), (SVG, "image/svg+xml")):
        give(parts, content)
        (source,) = pictures(client)
        answer = client.get(source)
        assert (answer.mimetype, answer.data) == (media_type, content)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), "a script in an SVG is dead"
    give(parts, None)
    assert pictures(client) == []
    assert client.get("/theme/hebdo/logo").status_code == 404


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"<html><svg></html>", b"PNG", SVG + b" " * LARGEST], ids=lambda each: repr(each[:12])
)
def test_what_is_no_picture_or_too_large_is_refused_and_the_old_one_stays(
    client: FlaskClient, parts: Parts, content: bytes
) -> None:
    give(parts, PNG)
    with pytest.raises(InvalidInput, match="logo"):
        give(parts, content)
    assert client.get("/theme/hebdo/logo").data == PNG


@given(st.binary(max_size=200))
def test_any_octets_are_told_apart_or_refused_in_words(content: bytes) -> None:
    with suppress(InvalidInput):
        assert media_type_of(content).startswith("image/")


def test_a_logo_that_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "logo.svg"
    file.write_bytes(b"\xef\xbb\xbf<!-- made by hand -->\n<svg></svg>")
    assert media_type_of(file.read_bytes()) == "image/svg+xml"
