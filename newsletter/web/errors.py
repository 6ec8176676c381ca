"""Each family of errors, once: its status and a kind page, or a problem where a program asks."""

from __future__ import annotations

from flask import Flask, Response, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from newsletter.base.errors import (
    ConfigError,
    Conflict,
    ExpiredToken,
    InvalidInput,
    InvalidToken,
    NewsletterError,
    NotFound,
    TooMany,
    Unavailable,
)
from newsletter.newsletters import queries
from newsletter.web.api import problems
from newsletter.web.current import parts
from newsletter.web.error_words import BY_CODE, BY_STATUS, Words
from newsletter.web.frame import home_in_other_languages, page

STATUS: dict[type[NewsletterError], int] = {
    ExpiredToken: 410,
    InvalidToken: 404,
    NotFound: 404,
    InvalidInput: 400,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
    ConfigError: 503,  # for a visitor it is the same: nothing was done, come back later
}


def register(app: Flask) -> None:
    """Let this application answer every error in words."""
    app.register_error_handler(NewsletterError, of_ours)
    app.register_error_handler(HTTPException, of_http)


def of_ours(error: NewsletterError) -> ResponseReturnValue:
    status = next(STATUS[family] for family in type(error).__mro__ if family in STATUS)
    if status >= 500:
        current_app.logger.error("%s: %s", error.code, error.message)
    if problems.is_asked():
        answer = problems.of_ours(error, status)
    else:
        answer = _error_page(BY_CODE.get(error.code) or BY_STATUS[status], status)
    if status in {429, 503}:
        answer.headers["Retry-After"] = str(getattr(error, "retry_after", Unavailable.retry_after))
    return answer


def of_http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if problems.is_asked():
        answer = problems.problem(status)
    else:
        answer = _error_page(BY_STATUS.get(status) or BY_STATUS[400 if status < 500 else 500], status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return answer


def _error_page(words: Words, status: int) -> Response:
    alternates = home_in_other_languages()
    if status >= 500:  # then the database may be what failed
        return page("public/error.html", status=status, words=words, alternates=alternates)
    with parts().database.reading() as work:
        newsletters = queries.all_newsletters(work)
        return page("public/error.html", status=status, words=words, alternates=alternates, newsletters=newsletters)
