"""From a mail URL to a provider."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.base.errors import ConfigError
from newsletter.mail.port import MailBackend
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.dialogue import Login, Relay
from newsletter.mail.providers.smtp.wire import Limits

_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_SECURITY: dict[str, tuple[Literal["none", "starttls", "tls"], int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}


def backend_from_url(url: str, *, home: Path) -> MailBackend:
    """Make the provider that a mail URL names.

    :raises ConfigError: saying what is wrong with the URL, never its password
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("the mail URL cannot be read: its host or port is malformed") from None
    if parts.scheme in _SECURITY:
        return _smtp(parts, port)
    make = _OTHERS.get(parts.scheme)
    if make is None:
        known = ", ".join(f"{scheme}://" for scheme in (*_OTHERS, *_SECURITY))
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


def _smtp(parts: SplitResult, port: int | None) -> MailBackend:
    security, usual_port = _SECURITY[parts.scheme]
    if parts.fragment or parts.path.strip("/"):
        raise ConfigError("the mail URL has a path or #: characters such as / # ? @ in a password are written as %2F …")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise ConfigError("the mail URL names no host, or one that is none")
    if port == 0:
        raise ConfigError("the mail URL has port 0")
    login = _login(parts)
    if login is not None and security == "none" and not _is_loopback(parts.hostname):
        raise ConfigError("the mail URL would send a password in clear text: use smtp+starttls:// or smtps://")
    helo, limits = _options(parts.query)
    return SmtpBackend(Relay(parts.hostname, port or usual_port, security, login, helo, limits))


def _login(parts: SplitResult) -> Login | None:
    if "@" not in parts.netloc:
        return None
    if not parts.username or not parts.password:
        raise ConfigError("the mail URL has a user without a password, or a password without a user")
    login = Login(unquote(parts.username), unquote(parts.password))
    if not (login.user + login.password).isprintable():
        raise ConfigError("the user or password of the mail URL holds a control character")
    return login


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(query: str) -> tuple[str | None, Limits]:
    """Read the name we greet with and the time-outs: ?helo=…&connect=30&command=300&dot=600&deadline=900."""
    helo, limits = None, Limits()
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "helo" and _HOST.fullmatch(value):
            helo = value
        elif name in Limits.__dataclass_fields__ and re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", value) and float(value) > 0:
            limits = replace(limits, **{name: float(value)})
        else:
            raise ConfigError(
                "the mail URL takes ?helo=HOST and seconds for connect, command, dot and deadline, nothing else"
            )
    return helo, limits
