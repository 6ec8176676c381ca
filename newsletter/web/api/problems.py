"""Errors below /api/ are problem details (RFC 9457), in the language of the page that asked, else of the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, json, make_response, request

from newsletter.base.errors import InvalidInput, NewsletterError
from newsletter.web.api.checking import MOST_MISTAKES, Mistake
from newsletter.web.api.words import BY_CODE, CODES, PROBLEMS
from newsletter.web.current import parts
from newsletter.web.speech import spoken, translate

ROOT = "/api/"
MEDIA_TYPE = "application/problem+json"


class InvalidBody(InvalidInput):
    """What was sent to the API cannot be used; `mistakes` tells where. The message is in the page's language."""

    code = "invalid_body"

    def __init__(self, message: str = "", *, code: str | None = None, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(message, code=code)
        self.mistakes = mistakes


def is_asked() -> bool:
    """Say whether a program asks, not a person with a browser."""
    return request.path.startswith(ROOT)


def of_ours(error: NewsletterError, status: int) -> Response:
    """Answer with an error of our families."""
    code = error.code if error.code in BY_CODE else CODES.get(status, CODES[500])
    if isinstance(error, InvalidBody):
        return problem(status, code, detail=error.message, mistakes=error.mistakes)
    return problem(status, code)


def problem(status: int, code: str = "", *, detail: str = "", mistakes: Sequence[Mistake] = ()) -> Response:
    """Answer with a problem; `detail`, already translated, stands in for the usual words."""
    code = code or CODES.get(status) or CODES[400 if status < 500 else 500]
    words = PROBLEMS[code][1]
    told: dict[str, Any] = {
        "type": f"{parts().links.base_url}/api/v1/openapi.json#/components/x-problems/{code}",
        "title": translate(words.title),
        "status": status,
        "detail": detail or translate(words.text),
    }
    if mistakes:
        told["errors"] = [mistake.as_dict() for mistake in mistakes[:MOST_MISTAKES]]
    answer = make_response(json.dumps(told, ensure_ascii=False), status)
    answer.mimetype = MEDIA_TYPE
    answer.content_language.add(spoken().code)
    return answer
