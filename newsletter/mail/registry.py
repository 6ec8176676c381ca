"""From a mail URL to a provider."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from newsletter.base.errors import ConfigError
from newsletter.mail.port import MailBackend
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.smtp.url import SMTP_SCHEMES, smtp_from_url


def backend_from_url(url: str, *, home: Path) -> MailBackend:
    """Make the provider that a mail URL names.

    :raises ConfigError: saying what is wrong with the URL, never its password
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (reading it is what raises)
    except ValueError:
        raise ConfigError("the mail URL cannot be read: its host or port is malformed") from None
    if parts.scheme in SMTP_SCHEMES:
        return smtp_from_url(parts)
    make = _OTHERS.get(parts.scheme)
    if make is None:
        known = ", ".join(f"{scheme}://" for scheme in (*_OTHERS, *SMTP_SCHEMES))
        raise ConfigError(f"the mail URL begins with none of {known}")
    if parts.query or parts.fragment:
        raise ConfigError(f"the mail URL {parts.scheme}:// takes nothing after ? or #")
    return make(parts, home)


def _maildir(parts: SplitResult, home: Path) -> MailBackend:
    if parts.netloc:
        raise ConfigError("the mail URL of a maildir is maildir:// or maildir:///absolute/path, with three slashes")
    return MaildirBackend(Path(unquote(parts.path)) if parts.path.strip("/") else home / "mail")


def _without_place(make: Callable[[], MailBackend]) -> Callable[[SplitResult, Path], MailBackend]:
    def make_it(parts: SplitResult, _home: Path) -> MailBackend:
        if parts.netloc or parts.path.strip("/"):
            raise ConfigError(f"the mail URL {parts.scheme}:// takes nothing after it")
        return make()

    return make_it


_OTHERS: dict[str, Callable[[SplitResult, Path], MailBackend]] = {
    "maildir": _maildir,
    "console": _without_place(lambda: ConsoleBackend(sys.stdout)),
    "memory": _without_place(MemoryBackend),
}
