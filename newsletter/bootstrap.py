"""Builds the parts from the settings; the only module that knows every provider and every lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from newsletter.base import languages
from newsletter.base.clock import Clock, SystemClock
from newsletter.base.config import Settings
from newsletter.base.errors import ConfigError
from newsletter.base.links import Links
from newsletter.db.database import Database
from newsletter.deliveries.lanes import Lane
from newsletter.deliveries.models import LaneName
from newsletter.issues.lane import DigestLane
from newsletter.mail.port import MailBackend
from newsletter.mail.registry import backend_from_url
from newsletter.mail.rendering import MailTemplates
from newsletter.operations.sending import Postroom
from newsletter.privacy.erasures import ErasureLog
from newsletter.subscriptions.lane import RequestLane


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a door needs, built once."""

    settings: Settings
    clock: Clock
    database: Database
    links: Links
    templates: MailTemplates
    backend: MailBackend
    lanes: Mapping[LaneName, Lane]
    address_key: bytes

    @property
    def postroom(self) -> Postroom:
        """What sending needs of the parts."""
        return Postroom(
            self.database, self.backend, self.lanes, window=self.settings.window, in_doubt=self.settings.in_doubt
        )

    @property
    def erasures(self) -> ErasureLog:
        """Who was erased, kept apart from the database."""
        return ErasureLog(self.settings.home)


def build(settings: Settings, *, clock: Clock | None = None) -> Parts:
    """Build the parts; nothing is connected yet.

    :raises ConfigError: if the home was not initialised, a catalogue or a DKIM key cannot be used
    """
    if not settings.keys or not settings.address_key.get_secret_value():
        raise ConfigError("NEWSLETTER_SECRET_KEYS or NEWSLETTER_ADDRESS_KEY is missing: run `newsletter init`")
    languages.learn(settings.catalogues)
    clock = clock or SystemClock()
    links = Links(base_url=settings.base_url, keys=settings.keys)
    templates = MailTemplates()
    requests = RequestLane(links=links, templates=templates)
    return Parts(
        settings=settings,
        clock=clock,
        database=Database(settings.database, clock=clock),
        links=links,
        templates=templates,
        backend=_backend(settings, clock),
        lanes={
            LaneName.DIGEST: DigestLane(links=links, templates=templates),
            LaneName.CONFIRMATION: requests,
            LaneName.NOTICE: requests,
        },
        address_key=settings.address_key.get_secret_value().encode(),
    )


def _backend(settings: Settings, clock: Clock) -> MailBackend:
    backend = backend_from_url(settings.mail_url.get_secret_value(), home=settings.home)
    if not settings.dkim_keys:
        return backend
    try:  # read only where it is asked for: its cryptography is an extra, and takes room
        signed = import_module("newsletter.mail.signed")
    except ImportError:
        message = "NEWSLETTER_DKIM needs cryptography: pip install 'newsletter-server[dkim]'"
        raise ConfigError(message) from None
    made: MailBackend = signed.signed_backend(backend, keys=settings.dkim_keys, clock=clock)
    return made
