"""The headers of every answer: nothing from elsewhere, nothing told to others; links with a token leave no trace."""

from __future__ import annotations

from flask import Response, g, request

from newsletter.web.speech import depends_on_header

POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def allow(**directives: str) -> None:
    """Let the page that is answered with do what others may not; `script_src` stands for script-src."""
    g.policy = {**g.get("policy", {}), **{name.replace("_", "-"): value for name, value in directives.items()}}


def add_headers(response: Response) -> Response:
    """Put our headers on an answer."""
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if _is_private(response):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
    if depends_on_header():
        response.vary.add("Accept-Language")
    return response


def _policy() -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in {**POLICY, **g.get("policy", {})}.items())


def _is_private(response: Response) -> bool:
    about_a_person = "token" in (request.view_args or {}) or request.method == "POST"
    return about_a_person or response.status_code >= 400
