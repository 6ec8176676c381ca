"""From a mail URL to an SMTP or LMTP backend."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import get_args
from urllib.parse import SplitResult, parse_qsl, unquote

from newsletter.base.errors import ConfigError
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Limits, Login, Mechanism, Relay, Security

MOST_CONNECTIONS = 256

_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_SECURITY: dict[str, tuple[Security, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
    "lmtp": ("none", 24),
}
SMTP_SCHEMES = tuple(_SECURITY)


def smtp_from_url(parts: SplitResult) -> SmtpBackend:
    """Make the backend that a URL of one of SMTP_SCHEMES names, its port known to be readable.

    :raises ConfigError: saying what is wrong with the URL, never its password
    """
    is_lmtp = parts.scheme == "lmtp"
    if is_lmtp and not parts.netloc and parts.path.strip("/"):
        relay = Relay(unquote(parts.path), 0, is_lmtp=True)
    else:
        relay = replace(_relay(parts), is_lmtp=is_lmtp)
    if parts.fragment:
        raise ConfigError("the mail URL has a path or #: characters such as / # ? @ in a password are written as %2F …")
    return SmtpBackend(_with_options(relay, parts.query))


def _relay(parts: SplitResult) -> Relay:
    security, usual_port = _SECURITY[parts.scheme]
    if parts.fragment or parts.path.strip("/"):
        raise ConfigError("the mail URL has a path or #: characters such as / # ? @ in a password are written as %2F …")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise ConfigError("the mail URL names no host, or one that is none")
    if parts.port == 0:
        raise ConfigError("the mail URL has port 0")
    login = _login(parts)
    if login is not None and security == "none" and not _is_loopback(parts.hostname):
        raise ConfigError("the mail URL would send a password in clear text: use smtp+starttls:// or smtps://")
    return Relay(parts.hostname, parts.port or usual_port, security, login)


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


def _with_options(relay: Relay, query: str) -> Relay:
    """Read ?helo=…&connections=16&auth=xoauth2 and the time-outs, connect=30&command=300&dot=600&deadline=900."""
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "helo" and _HOST.fullmatch(value):
            relay = replace(relay, helo=value)
        elif name == "connections" and re.fullmatch("[1-9][0-9]{0,2}", value) and int(value) <= MOST_CONNECTIONS:
            relay = replace(relay, connections=int(value))
        elif name == "auth" and relay.login is not None and value in get_args(Mechanism):
            relay = replace(relay, mechanism=value)  # type: ignore[arg-type]
        elif name in Limits.__dataclass_fields__ and re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", value) and float(value) > 0:
            relay = replace(relay, limits=replace(relay.limits, **{name: float(value)}))
        else:
            raise ConfigError(
                f"the mail URL takes ?helo=HOST, connections=1 to {MOST_CONNECTIONS}, "
                f"auth={'|'.join(get_args(Mechanism))} for a user, "
                "and seconds for connect, command, dot and deadline, nothing else"
            )
    return relay
