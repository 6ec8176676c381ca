"""The headers of every answer: nothing from elsewhere, nothing told to others; links with a token leave no trace."""

from __future__ import annotations

from flask import Response, request

from newsletter.web.speech import depends_on_header

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def add_headers(response: Response) -> Response:
    """Put our headers on an answer."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if _is_private(response):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
    if depends_on_header():
        response.vary.add("Accept-Language")
    return response


def _is_private(response: Response) -> bool:
    about_a_person = "token" in (request.view_args or {}) or request.method == "POST"
    return about_a_person or response.status_code >= 400
