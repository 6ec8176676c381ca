"""The OpenAPI 3.1 document: made of the schemas that bodies are held to, so that it cannot say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from newsletter.web.api.examples import ACCEPTED, CHALLENGE, NEWSLETTERS, NOT_NEEDED, SIGN_UP, SIGN_UP_WITH_ALL, WRONG
from newsletter.web.api.problems import MEDIA_TYPE
from newsletter.web.api.schemas import ref, schemas
from newsletter.web.api.words import CODES, PROBLEMS

JSON = "application/json"
Part = dict[str, Any]
TEXT: Part = {"type": "string"}


def document(*, base_url: str) -> Part:
    """Return the document of an installation at this address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Newsletter server",
            "version": "1",
            "summary": "Signing up to the newsletters of an institution.",
            "description": "A sign-up is answered alike for every address. What the person does next stands in a mail.",
        },
        "servers": [{"url": base_url}],
        "security": [],
        "paths": {
            "/api/v1/subscriptions": {"post": _subscribe(), "options": _options("subscriptions")},
            "/api/v1/challenge": {"get": _challenge(), "options": _options("challenge")},
            "/api/v1/newsletters": {"get": _newsletters(), "options": _options("newsletters")},
            "/api/v1/openapi.json": {"get": _openapi(), "options": _options("openapi")},
        },
        "components": {
            "schemas": schemas(),
            "responses": {name: _problem(status) for name, status in _PROBLEMS_MET.items()},
            "headers": _headers(),
            "x-problems": {
                code: {"title": words.title, "text": words.text, "status": status}
                for code, (status, words) in PROBLEMS.items()
            },
        },
    }


_PROBLEMS_MET = {
    "Wrong": 400,
    "TooLarge": 413,
    "NotJson": 415,
    "TooMany": 429,
    "Unavailable": 503,
}


def _subscribe() -> Part:
    examples = {"shortest": {"value": SIGN_UP}, "with everything": {"value": SIGN_UP_WITH_ALL}}
    return {
        "operationId": "subscribe",
        "summary": "Ask for subscriptions: a mail with a button goes to the address.",
        "description": "The body has at most 16 kB, and no member twice. The answer never tells whether an address is "
        "known. A proof of work that is missing or wrong does not refuse anything: the mail leaves later.",
        "requestBody": {"required": True, "content": {JSON: {"schema": ref("SignUp"), "examples": examples}}},
        "responses": {
            "202": _answer("Taken. Show the person what it says.", "Accepted", {"taken": {"value": ACCEPTED}})
            | {"headers": _named("Content-Language", "Cache-Control")},
            "400": _met("Wrong"),
            "413": _met("TooLarge"),
            "415": _met("NotJson"),
            "429": _met("TooMany"),
            "503": _met("Unavailable"),
        },
    }


def _challenge() -> Part:
    examples = {"needed": {"value": CHALLENGE}, "not needed": {"value": NOT_NEEDED}}
    return {
        "operationId": "challenge",
        "summary": "Whether a sign-up needs a proof of work just now, and the challenge.",
        "description": "The proof is the JSON object {algorithm, challenge, number, salt, signature} in base64, with "
        "the number for which SHA-256(salt + number) is the challenge. It is good once, for ten minutes.",
        "parameters": [
            {
                "name": "domain",
                "in": "query",
                "description": "The part of the address after the @; with it the answer is more exact.",
                "schema": TEXT,
            }
        ],
        "responses": {
            "200": _answer("The challenge, or that none is needed.", "Challenge", examples)
            | {"headers": _named("Cache-Control")},
            "503": _met("Unavailable"),
        },
    }


def _newsletters() -> Part:
    language = {
        "name": "language",
        "in": "query",
        "description": "In which language to tell; without it Accept-Language decides.",
        "schema": ref("Language"),
    }
    return {
        "operationId": "newsletters",
        "summary": "The newsletters, what they promise, their topics, languages and frequencies.",
        "parameters": [language, _header("Accept-Language"), _header("If-None-Match")],
        "responses": {
            "200": _answer("All newsletters.", "Newsletters", {"one newsletter": {"value": NEWSLETTERS}})
            | {"headers": _named("Content-Language", "Cache-Control", "ETag")},
            "304": {"description": "Not changed since.", "headers": _named("ETag")},
            "400": _met("Wrong"),
            "503": _met("Unavailable"),
        },
    }


def _openapi() -> Part:
    return {
        "operationId": "openapi",
        "summary": "This document.",
        "parameters": [_header("If-None-Match")],
        "responses": {
            "200": {
                "description": "The document.",
                "content": {JSON: {"schema": {"type": "object", "required": ["openapi", "paths"]}}},
                "headers": _named("Cache-Control", "ETag"),
            },
            "304": {"description": "Not changed since.", "headers": _named("ETag")},
        },
    }


def _options(name: str) -> Part:
    return {
        "operationId": f"options_of_{name}",
        "summary": "The methods; for the sites of NEWSLETTER_EMBED_ORIGINS also what a browser asks before it sends.",
        "responses": {"200": {"description": "Nothing but headers.", "headers": _named("Allow")}},
    }


def _answer(description: str, schema: str, examples: Mapping[str, Part]) -> Part:
    return {"description": description, "content": {JSON: {"schema": ref(schema), "examples": dict(examples)}}}


def _met(name: str) -> Part:
    return {"$ref": f"#/components/responses/{name}"}


def _problem(status: int) -> Part:
    words = PROBLEMS[CODES[status]][1]
    told: Part = {"schema": ref("Problem")}
    if status == 400:
        told["examples"] = {"a wrong address": {"value": WRONG}}
    headers = ["Content-Language", "Cache-Control"] + (["Retry-After"] if status in {429, 503} else [])
    return {"description": f"{words.title}.", "content": {MEDIA_TYPE: told}, "headers": _named(*headers)}


def _header(name: str) -> Part:
    return {"name": name, "in": "header", "schema": TEXT}


def _named(*names: str) -> Part:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> Part:
    seconds = {"type": "integer", "minimum": 1}
    return {
        "Allow": {"description": "The methods that this address takes.", "required": True, "schema": TEXT},
        "Cache-Control": {"description": "How long the answer may be kept.", "required": True, "schema": TEXT},
        "Content-Language": {"description": "The language of the texts.", "required": True, "schema": ref("Language")},
        "ETag": {"description": "For If-None-Match.", "required": True, "schema": TEXT},
        "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": seconds},
    }
