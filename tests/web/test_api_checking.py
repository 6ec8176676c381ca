"""Our reading of JSON Schema is held to a validator that others wrote."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.web.api.checking import mistakes, pointer
from newsletter.web.api.examples import SIGN_UP, SIGN_UP_WITH_ALL
from newsletter.web.api.schemas import schemas

SLUGS = st.sampled_from(
    ["hebdo", "second", "a", "A", "a-b", "-a", "a-", "a1", "x" * 40, "x" * 41, "hebdo\n", "été", ""]
)
WORDS = st.sampled_from(
    ["fr", "ar", "en", "tlh", "daily", "weekly", "hourly", "e30=", "no base64!", "x" * 19, "x" * 20]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES | SLUGS | WORDS | st.text("\x00\t\n\x07\x1f\x7f\x80 a", min_size=15, max_size=25),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SLUGS | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [*SIGN_UP_WITH_ALL, "other"]
BODIES = VALUES | st.builds(
    lambda base, changes, gone: {name: value for name, value in {**base, **changes}.items() if name not in gone},
    st.sampled_from([SIGN_UP, SIGN_UP_WITH_ALL]),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=2),
    st.sets(st.sampled_from(MEMBERS), max_size=1),
)


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Validator:
    known = {"components": {"schemas": schemas()}}
    return jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/SignUp", **known})


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
@example(body={**SIGN_UP, "topics": {"hebdo": ["services"], "": ["a1"]}})
@example(body={**SIGN_UP, "newsletters": ["hebdo", "A"]})
@example(body={**SIGN_UP, "newsletters": ["hebdo"] * 51})
@example(body={**SIGN_UP, "address": "é" * 254})
@example(body={**SIGN_UP, "address": "𝕏" * 255})
def test_we_take_what_the_schema_takes_and_point_to_what_it_does_not(
    app: Flask, validator: jsonschema_rs.Validator, body: Any
) -> None:
    known = schemas()
    with app.test_request_context(headers={"Accept-Language": "en"}):
        found = mistakes(body, known["SignUp"], known)
    assert (not found) is validator.is_valid(body), (body, found)
    json.dumps([each.as_dict() for each in found])
    for each in found:
        assert resolves(body, each.pointer) or each.detail == "This is missing."


def resolves(body: Any, found: str) -> bool:
    """Follow a pointer as RFC 6901 says; tell whether it leads anywhere."""
    for step in found.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            body = body[int(name)] if isinstance(body, list) else body[name]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def test_a_pointer_is_written_as_the_rfc_says() -> None:
    assert pointer() == "#"
    assert pointer("topics", "a/b~c", 0) == "#/topics/a~1b~0c/0"
