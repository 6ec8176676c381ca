"""Reads the body of a request strictly: one JSON object in UTF-8 (RFC 8259), of a size that a wish can have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from newsletter.web.api.problems import InvalidBody
from newsletter.web.speech import gettext

LARGEST_BODY = 16 * 1024


def read_object() -> dict[str, Any]:
    """Return the JSON object that was sent.

    :raises UnsupportedMediaType: if it does not say that it is JSON
    :raises RequestEntityTooLarge: if it has more than 16 kB
    :raises InvalidBody: if it is no JSON object, or holds what no program should accept
    """
    if request.mimetype != "application/json" or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType
    sent = request.get_data()
    if len(sent) > LARGEST_BODY:
        raise RequestEntityTooLarge
    try:
        read = json.loads(sent.decode(), object_pairs_hook=_object, parse_constant=_no_number)
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeError:
        raise _not_json(gettext("It is not written in UTF-8, or holds half of a character.")) from None
    except RecursionError:
        raise _not_json(gettext("Its lists and objects are nested too deeply.")) from None
    except json.JSONDecodeError as error:
        raise _not_json(gettext("It breaks off or goes wrong at character %(at)s.", at=error.pos + 1)) from None
    except ValueError:
        raise _not_json(gettext("It holds a number that is none.")) from None
    if not isinstance(read, dict):
        raise _not_json(gettext("It is not an object: { … }."))
    return read


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise _not_json(gettext("A member stands in it twice."))
        made[name] = value
    return made


def _no_number(_word: str) -> NoReturn:
    raise ValueError


def _not_json(detail: str) -> InvalidBody:
    return InvalidBody(detail, code="invalid_json")
