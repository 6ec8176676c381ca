"""Tells a load balancer whether this process can answer."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from newsletter.base.errors import ConfigError, NewsletterError, Unavailable
from newsletter.newsletters import queries
from newsletter.web.current import parts

ACCESS = "public"
blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    with parts().database.reading() as work:
        queries.current_sequence(work)
    return jsonify(status="ok", database="ok")


@blueprint.errorhandler(Unavailable)
@blueprint.errorhandler(ConfigError)
def unwell(_error: NewsletterError) -> ResponseReturnValue:
    return jsonify(status="unavailable", database="unavailable"), 503
