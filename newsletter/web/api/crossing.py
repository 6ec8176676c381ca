"""What scripts on the institution's own site may reach (CORS): the form's routes and scripts, from those sites only."""

from __future__ import annotations

from flask import Blueprint, Response, request

from newsletter.web.current import parts

ACCESS = "public"
ROUTES = ("/api/v1/subscriptions", "/api/v1/challenge")
SCRIPTS = ("/static/embed.js", "/static/proof.js")  # modules are fetched by the rules of CORS
ASKED_ANEW_AFTER = 3600  # seconds
blueprint = Blueprint("crossing", __name__)


@blueprint.after_app_request
def let_cross(response: Response) -> Response:
    """Tell a browser whether the page that asks may read this answer. No cookie and no password ever crosses."""
    if request.path not in {*ROUTES, *SCRIPTS}:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin not in parts().settings.embed_origins:
        return response
    response.access_control_allow_origin = origin
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.access_control_max_age = ASKED_ANEW_AFTER
    return response
