"""The OpenAPI document is held to the code: its routes, its examples, and whatever schemathesis thinks of."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from pages import subscriptions
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from sqlalchemy import select

from newsletter.bootstrap import Parts
from newsletter.deliveries.models import Delivery, DeliveryState
from newsletter.web.api.examples import SIGN_UP
from newsletter.web.api.words import PROBLEMS
from newsletter.web.app import create_app

DOCUMENT = "/api/v1/openapi.json"
Part = dict[str, Any]


@pytest.fixture
def document(client: FlaskClient) -> Part:
    found: Part = json.loads(client.get(DOCUMENT).text)
    return found


def operations(document: Part) -> Iterator[tuple[str, str, Part]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def held_to(schema: Part, document: Part) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)


def test_every_route_and_method_is_in_the_document_and_no_other(app: Flask, document: Part) -> None:
    routed = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert {(path, method) for path, method, _ in operations(document)} == routed


def test_the_document_is_an_openapi_3_1_document(document: Part) -> None:
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def test_every_object_that_is_sent_or_answered_is_closed(document: Part) -> None:
    for name, schema in document["components"]["schemas"].items():
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False, name


def test_every_example_fits_its_schema(document: Part) -> None:
    answers = [answer for _, _, operation in operations(document) for answer in operation["responses"].values()]
    bodies = [operation["requestBody"] for _, _, operation in operations(document) if "requestBody" in operation]
    found = 0
    for part in (*answers, *bodies, *document["components"]["responses"].values()):
        for content in part.get("content", {}).values():
            for example in content.get("examples", {}).values():
                held_to(content["schema"], document).validate(example["value"])
                found += 1
    assert found >= 7


def test_every_example_of_a_body_is_taken(client: FlaskClient, document: Part) -> None:
    body = document["paths"]["/api/v1/subscriptions"]["post"]["requestBody"]
    for example in body["content"]["application/json"]["examples"].values():
        answer = client.post("/api/v1/subscriptions", json=example["value"])
        assert answer.status_code == 202
        held_to({"$ref": "#/components/schemas/Accepted"}, document).validate(json.loads(answer.text))


def test_answers_fit_their_schemas(client: FlaskClient, document: Part) -> None:
    for path, name in (("newsletters", "Newsletters"), ("challenge", "Challenge")):
        told = json.loads(client.get(f"/api/v1/{path}").text)
        held_to({"$ref": f"#/components/schemas/{name}"}, document).validate(told)


def test_every_problem_leads_to_its_description(client: FlaskClient, document: Part) -> None:
    told = json.loads(client.post("/api/v1/subscriptions", json={}, headers={"Accept-Language": "en"}).text)
    held_to({"$ref": "#/components/schemas/Problem"}, document).validate(told)
    name = told["type"].rpartition("/")[2]
    assert document["components"]["x-problems"][name]["title"] == told["title"]
    assert set(document["components"]["x-problems"]) == set(PROBLEMS)


def test_the_document_tells_how_to_prove_work(parts: Parts, hebdo: object, document: Part) -> None:
    busy = create_app(replace(parts, settings=parts.settings.model_copy(update={"sign_ups_in_all": 1}))).test_client()
    told = json.loads(busy.get("/api/v1/challenge?domain=example.org").text)
    held_to({"$ref": "#/components/schemas/Challenge"}, document).validate(told)
    number = next(
        number
        for number in range(told["maxNumber"] + 1)
        if sha256(f"{told['salt']}{number}".encode()).hexdigest() == told["challenge"]
    )
    solved = {name: told[name] for name in ("algorithm", "challenge", "salt", "signature")} | {"number": number}
    for proof, waits in ((None, True), (base64.b64encode(json.dumps(solved).encode()).decode(), False)):
        sent = {**SIGN_UP, "address": f"waits-{waits}@example.org"} | ({"proof": proof} if proof else {})
        assert busy.post("/api/v1/subscriptions", json=sent).status_code == 202
        with parts.database.reading() as work:
            delivery = work.session.scalars(select(Delivery).order_by(Delivery.id.desc()).limit(1)).one()
            assert (delivery.state is DeliveryState.DEFERRED) is waits


SEED = 20261123
EVERYTHING = {
    "seed": SEED,
    "generation": {"max-examples": 40, "database": "none", "deterministic": True},
    "checks": {"positive_data_acceptance": {"enabled": False}},  # a schema cannot know which newsletters there are
}


def failures_found(parts: Parts, config: Part, *, narrow: Callable[[Part], None] = lambda _: None) -> list[str]:
    """Let schemathesis try an installation that takes as much as a machine can ask."""
    no_end = {"sign_ups_per_network": 10**6, "sign_ups_per_domain": 10**6, "sign_ups_in_all": 10**6}
    app = create_app(replace(parts, settings=parts.settings.model_copy(update=no_end)))
    served = json.loads(app.test_client().get(DOCUMENT).text)
    narrow(served)
    schema = schemathesis.openapi.from_dict(served, config=SchemathesisConfig.from_dict(config))
    schema.app = app
    found, tried = [], set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))
        elif isinstance(event, events.ScenarioFinished):
            tried |= {case.value.operation.label for case in event.recorder.cases.values()}
            found += [
                f"{check.failure_info.failure}\n{check.failure_info.code_sample}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.failure_info is not None
            ]
    assert len(tried) == len(list(operations(served)))
    return found


@pytest.mark.slow
def test_schemathesis_finds_nothing(parts: Parts, hebdo: object) -> None:
    assert failures_found(parts, EVERYTHING) == []


def test_schemathesis_would_find_a_status_that_is_not_told(parts: Parts, hebdo: object) -> None:
    def hide(document: Part) -> None:
        del document["paths"]["/api/v1/subscriptions"]["post"]["responses"]["400"]

    found = failures_found(parts, EVERYTHING, narrow=hide)
    assert any(each.startswith("Undocumented status code\n\nReceived: 400") for each in found)


def only_what_is_offered(document: Part) -> None:
    """Name what this installation offers, so that whatever fits the document must be taken."""
    members = document["components"]["schemas"]["SignUp"]["properties"]
    members["address"] |= {"format": "", "pattern": r"^[a-z][a-z0-9]{0,20}@[a-z]{1,20}\.example\.org$"}
    members["newsletters"]["items"] = {"const": "hebdo"}
    members["frequency"] = {"enum": ["weekly", "daily"]}
    topics = {"type": "array", "items": {"enum": ["services", "regions"]}, "minItems": 1, "maxItems": 5}
    members["topics"] = {"type": "object", "properties": {"hebdo": topics}, "additionalProperties": False}


def test_whatever_fits_the_document_and_the_offer_is_taken(parts: Parts, hebdo: object) -> None:
    strict = {"positive_data_acceptance": {"enabled": True, "expected-statuses": [200, 202, 304]}}
    generation = {**EVERYTHING["generation"], "mode": "positive"}
    config = {**EVERYTHING, "checks": strict, "generation": generation}
    assert failures_found(parts, config, narrow=only_what_is_offered) == []
    assert len(subscriptions(parts)) > 10
