"""Holds a JSON value to a schema: the part of JSON Schema 2020-12 that our document uses, said in the page's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from newsletter.web.speech import gettext

MOST_MISTAKES = 20
Schema = Mapping[str, Any]


class Mistake(NamedTuple):
    """What is wrong, and where: a JSON pointer into the body as a fragment (RFC 6901 section 6), or a parameter."""

    detail: str
    pointer: str = ""
    parameter: str = ""

    def as_dict(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value}


def mistakes(value: object, schema: Schema, known: Mapping[str, Schema]) -> list[Mistake]:
    """Return the first mistakes in a value; `known` are the schemas that others name."""
    return list(islice(_within(value, schema, known, "#"), MOST_MISTAKES))


def pointer(*steps: str | int) -> str:
    """Write the way to a value inside the body."""
    return "/".join(["#", *(str(step).replace("~", "~0").replace("/", "~1") for step in steps)])


def _within(value: object, schema: Schema, known: Mapping[str, Schema], at: str) -> Iterator[Mistake]:
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    match schema["type"], value:
        case "object", dict():
            yield from _in_object(value, schema, known, at)
        case "array", list():
            yield from _of_length(value, schema, "Items", at)
            for position, item in enumerate(value):
                yield from _within(item, schema["items"], known, f"{at}/{position}")
        case "string", str():
            yield from _in_text(value, schema, at)
        case "object", _:
            yield Mistake(gettext("This must be an object."), at)
        case "array", _:
            yield Mistake(gettext("This must be a list."), at)
        case _:
            yield Mistake(gettext("This must be a text."), at)


def _in_object(value: Mapping[str, object], schema: Schema, known: Mapping[str, Schema], at: str) -> Iterator[Mistake]:
    yield from _of_length(value, schema, "Properties", at)
    for name in schema.get("required", ()):
        if name not in value:
            yield Mistake(gettext("This is missing."), _below(at, name))
    members, others = schema.get("properties", {}), schema["additionalProperties"]
    for name, member in value.items():
        expected = members.get(name, others)
        if expected is False:
            yield Mistake(gettext("This member is not known."), _below(at, name))
        else:
            yield from _within(member, expected, known, _below(at, name))


def _in_text(value: str, schema: Schema, at: str) -> Iterator[Mistake]:
    too_long_or_short = list(_of_length(value, schema, "Length", at))
    yield from too_long_or_short
    if "enum" in schema and value not in schema["enum"]:
        yield Mistake(gettext("This is none of: %(choices)s.", choices=", ".join(schema["enum"])), at)
    if not too_long_or_short and not re.fullmatch(schema.get("pattern", r"[\s\S]*"), value):
        yield Mistake(gettext("This is not written as it should be."), at)


def _of_length(
    value: str | list[object] | Mapping[str, object], schema: Schema, what: str, at: str
) -> Iterator[Mistake]:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if len(value) < least:
        yield Mistake(gettext("This is too short. The least is: %(number)s.", number=least), at)
    if most is not None and len(value) > most:
        yield Mistake(gettext("This is too long. The most is: %(number)s.", number=most), at)


def _below(at: str, name: str) -> str:
    return at + pointer(name)[1:]
