"""The headers of every answer: nothing from elsewhere, nothing told to others; links with a token leave no trace."""

from __future__ import annotations

from flask import Response, g, request

from newsletter.web.api.crossing import ROUTES, SCRIPTS
from newsletter.web.current import parts
from newsletter.web.speech import depends_on_header

POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
GIVEN_UP = (  # a newsletter needs none of them, and neither does what frames it
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in GIVEN_UP),
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Below the ministry's name there may be sites that speak no HTTPS yet: they are not included.
ONLY_HTTPS = f"max-age={2 * 365 * 24 * 3600}"
SHOWN_ELSEWHERE = {"theme.picture", "embedding.form", "embedding.subscribe"}  # in mails, and in an allowed frame


def allow(**directives: str) -> None:
    """Let the page that is answered with do what others may not; `script_src` stands for script-src."""
    g.policy = {**g.get("policy", {}), **{name.replace("_", "-"): value for name, value in directives.items()}}


def add_headers(response: Response) -> Response:
    """Put our headers on an answer."""
    response.headers["Content-Security-Policy"] = _policy()
    response.headers.update(ALWAYS)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin" if _is_for_others() else "same-origin"
    if parts().links.base_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = ONLY_HTTPS
    if _is_private(response):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
    if depends_on_header():
        response.vary.add("Accept-Language")
    return response


def _policy() -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in {**POLICY, **g.get("policy", {})}.items())


def _is_for_others() -> bool:
    return request.endpoint in SHOWN_ELSEWHERE or request.path in {*ROUTES, *SCRIPTS}


def _is_private(response: Response) -> bool:
    about_a_person = "token" in (request.view_args or {}) or request.method == "POST"
    return about_a_person or response.status_code >= 400
