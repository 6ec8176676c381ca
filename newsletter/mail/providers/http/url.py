"""What the mail URLs of all HTTP providers share: options behind the question mark, secrets in front of the at sign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.base.errors import ConfigError
from newsletter.mail.providers.http.line import USUAL_CONNECTIONS, Endpoint, Limits

MOST_CONNECTIONS = 64

_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]+)?")
_SHARED: dict[str, re.Pattern[str]] = {
    "connections": re.compile(r"[1-9][0-9]?"),
    "endpoint": re.compile(r"https?://[^/?#@]+/?"),
    **dict.fromkeys(("connect", "answer", "deadline"), _SECONDS),
}


def read_options(parts: SplitResult, **own: str) -> dict[str, str]:
    """Return the options of the URL, those of all HTTP providers and the provider's `own` (name, pattern).

    :raises ConfigError: saying which options there are
    """
    known = {**_SHARED, **{name: re.compile(pattern) for name, pattern in own.items()}}
    if parts.fragment or parts.path.strip("/"):
        raise ConfigError("the mail URL has a path or #: characters such as / # ? @ in a key are written as %2F …")
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        pattern = known.get(name)
        if pattern is None or not pattern.fullmatch(value) or name in options or _is_out_of_bounds(name, value):
            raise ConfigError(f"the mail URL {parts.scheme}:// takes {', '.join(known)}, once each, with a fit value")
        options[name] = value
    return options


def read_secret(parts: SplitResult, *, form: str, has_user: bool = False) -> tuple[str, str]:
    """Return what stands in front of the at sign: (user, secret), or ("", secret) where there is only a key.

    :raises ConfigError: naming the `form` the URL should have
    """
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user or bool(password) != has_user:
        raise ConfigError(f"the mail URL should have the form {form}")
    if not (user + password).isascii() or not (user + password).isprintable() or " " in user + password:
        raise ConfigError("the key of the mail URL holds a blank, a control character or one that is not ASCII")
    return (user, password) if has_user else ("", user)


def read_host(parts: SplitResult, *, form: str, pattern: str) -> str:
    """Return the word behind the at sign: a region, a domain, a stream.

    :raises ConfigError: naming the `form` the URL should have
    """
    if parts.port is not None or not re.fullmatch(pattern, parts.hostname or ""):
        raise ConfigError(f"the mail URL should have the form {form}")
    return parts.hostname or ""


def endpoint_of(options: Mapping[str, str], *, host: str) -> Endpoint:
    """Return where the API is: at its usual `host`, or where ?endpoint= says, with TLS unless on this machine.

    :raises ConfigError: if a secret would leave this machine in clear text
    """
    seconds = {name: float(options[name]) for name in Limits.__dataclass_fields__ if name in options}
    limits, connections = Limits(**seconds), int(options.get("connections", USUAL_CONNECTIONS))
    if "endpoint" not in options:
        return Endpoint(host, connections=connections, limits=limits)
    try:
        parts = urlsplit(options["endpoint"])
        named, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError("the endpoint of the mail URL cannot be read") from None
    has_tls = parts.scheme == "https"
    if not _HOST.fullmatch(named) or port == 0:
        raise ConfigError("the endpoint of the mail URL cannot be read")
    if not has_tls and not _is_loopback(named):
        raise ConfigError("the endpoint of the mail URL would take the key in clear text: use https://")
    return Endpoint(named, port or (443 if has_tls else 80), has_tls, connections, limits)


def _is_out_of_bounds(name: str, value: str) -> bool:
    if name == "connections":
        return int(value) > MOST_CONNECTIONS
    return name in Limits.__dataclass_fields__ and float(value) <= 0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
