"""The door for WSGI servers: `gunicorn 'newsletter.web.wsgi:app()'`."""

from __future__ import annotations

import logging

from flask import Flask

from newsletter.base.config import load_settings
from newsletter.base.errors import NewsletterError
from newsletter.bootstrap import Parts, build
from newsletter.privacy.actions import erase_anew
from newsletter.web.app import create_app

log = logging.getLogger(__name__)


def app() -> Flask:
    """Build the settings, the parts and the application.

    :raises ConfigError: naming the setting that must be mended
    """
    parts = build(load_settings())
    _erase_anew(parts)
    return create_app(parts)


def _erase_anew(parts: Parts) -> None:
    """Erase whom a restored backup brought back; a site whose database is away for a while starts all the same.

    It mails nobody: whoever does begins with this, too.
    """
    try:
        erase_anew(parts.database, parts.erasures)
    except NewsletterError as error:
        log.error("%s: %s", error.code, error.message)  # noqa: TRY400 (the message is all there is to know)
