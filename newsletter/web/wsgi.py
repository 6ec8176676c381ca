"""The door for WSGI servers: `gunicorn 'newsletter.web.wsgi:app()'`."""

from __future__ import annotations

from flask import Flask

from newsletter.base.config import load_settings
from newsletter.bootstrap import build
from newsletter.web.app import create_app


def app() -> Flask:
    """Build the settings, the parts and the application.

    :raises ConfigError: naming the setting that must be mended
    """
    return create_app(build(load_settings()))
