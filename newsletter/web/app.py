"""Builds the WSGI application from the parts."""

from __future__ import annotations

import traceback
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from flask import Flask, Response, request, url_for
from jinja2 import Environment, StrictUndefined
from werkzeug.exceptions import InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix

from newsletter.base.languages import LANGUAGES
from newsletter.base.resources import resource
from newsletter.bootstrap import Parts
from newsletter.mail.rendering import direction_of_text, runs
from newsletter.web import (
    archive,
    asking,
    confirming,
    current,
    embedding,
    errors,
    headers,
    health,
    leaving,
    moving_address,
    own_data,
    paths,
    preferences,
    preferences_by_address,
    rhythm,
    signup,
    speech,
    theme,
)
from newsletter.web.api import crossing, routes
from newsletter.web.mounting import Mounted

LARGEST_FORM = 64 * 1024
MOST_FIELDS = 500
ROOMS = (
    signup,
    asking,
    confirming,
    leaving,
    preferences,
    own_data,
    preferences_by_address,
    moving_address,
    archive,
    theme,
    health,
    routes,
    crossing,
    embedding,
)


class Site(Flask):
    """An application whose log tells where an error was, and never whose address or link it was about."""

    jinja_options = {  # noqa: RUF012 (Flask's own form)
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "extensions": ["jinja2.ext.i18n"],
    }

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log kind and place of an error; its message may hold what a person typed."""
        error, trail = exc_info[1], []
        while error is not None:
            trail.append(f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}")
            error = error.__cause__ or error.__context__
        self.logger.error("%s %s failed: %s", request.method, request.url_rule, "from ".join(trail))

    def handle_exception(self, e: Exception) -> Response:
        """Answer even where the page about an error fails: a WSGI server would log the path, and with it a token."""
        try:
            return super().handle_exception(e)
        except Exception as error:
            if error is e:  # while testing
                raise
            self.log_exception((type(error), error, error.__traceback__))  # type: ignore[arg-type]
            plain = Response(InternalServerError().name, status=500, mimetype="text/plain")
            return self.finalize_request(plain, from_error_handler=True)


def create_app(parts: Parts) -> Flask:
    """Build the application that answers with these parts."""
    app = Site("newsletter.web", template_folder=str(resource("templates") / "web"), static_folder="static")
    app.extensions[current.KEY] = parts
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
        MAX_FORM_PARTS=MOST_FIELDS,
        SEND_FILE_MAX_AGE_DEFAULT=24 * 3600,
    )
    # A mail program's POST must never meet a redirect, not even for a slash too many.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters.update(spoken=paths.SpokenLanguage, slug=paths.Slug, number=paths.Number)
    for room in ROOMS:
        app.register_blueprint(room.blueprint)
    errors.register(app)
    app.before_request(_read_form)
    app.after_request(headers.add_headers)
    _teach_templates(app.jinja_env, Path(str(app.static_folder)))
    if prefix := urlsplit(parts.links.base_url).path:
        app.wsgi_app = Mounted(app.wsgi_app, prefix=prefix)  # type: ignore[method-assign]
    if hops := parts.settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _read_form() -> None:
    """Read the form before anything is done, so that one which is too large changes nothing."""
    if request.method == "POST":
        request.form  # noqa: B018 (read for its effect)


def _teach_templates(environment: Environment, static: Path) -> None:
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        speech.translate, speech.translate_number, newstyle=True
    )
    prints = {path.name: sha256(path.read_bytes()).hexdigest()[:8] for path in static.iterdir()}

    def static_url(name: str) -> str:
        """Return the address of a static file, another one after each change."""
        return url_for("static", filename=name, v=prints[name])

    environment.filters["runs"] = runs
    environment.globals.update(
        direction_of_text=direction_of_text,
        spoken=speech.spoken,
        said=speech.said,
        language_name=speech.language_name,
        listed=speech.listed,
        day=speech.day,
        rhythms_in_words=rhythm.rhythms_in_words,
        frequency_in_words=rhythm.frequency_in_words,
        static_url=static_url,
        languages_known=LANGUAGES,
    )
