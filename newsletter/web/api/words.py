"""What each problem of the API says: to the person behind the program, and to whoever wrote it."""

from __future__ import annotations

from newsletter.web import error_words
from newsletter.web.error_words import Words
from newsletter.web.speech import N_

BY_CODE = {
    "invalid_json": Words(
        N_("The body is not JSON that can be read"),
        N_("Send one JSON object in UTF-8, in which each member stands once."),
    ),
    "invalid_body": Words(
        N_("The request cannot be taken as it is"),
        N_("Nothing was changed. What is wrong stands in “errors”, each with its place."),
    ),
    "invalid_parameter": Words(
        N_("A parameter of the address cannot be used"),
        N_("What is wrong stands in “errors”, each with the parameter’s name."),
    ),
}
CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "server_error",
    503: "unavailable",
}
BY_STATUS = {
    400: error_words.BY_STATUS[400],
    404: Words(N_("There is nothing at this address"), N_("What there is stands in /api/v1/openapi.json.")),
    405: Words(
        N_("This is asked with another method"), N_("The header Allow names the right ones. Nothing was changed.")
    ),
    409: error_words.BY_STATUS[409],
    413: Words(N_("The body is too large"), N_("It may have at most 16 kB. Nothing was changed.")),
    415: Words(
        N_("The body must be JSON"), N_("Send it with the header Content-Type: application/json. Nothing was changed.")
    ),
    429: error_words.BY_STATUS[429],
    500: error_words.BY_STATUS[500],
    503: error_words.BY_STATUS[503],
}
PROBLEMS = {code: (400, words) for code, words in BY_CODE.items()} | {
    code: (status, BY_STATUS[status]) for status, code in CODES.items()
}
