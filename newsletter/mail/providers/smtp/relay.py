"""The server that mail goes to, and how it is spoken to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Security = Literal["none", "starttls", "tls"]
Mechanism = Literal["plain", "login", "cram-md5", "xoauth2"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait: for a connection, for each sign of life, for the answer to the dot, and in all.

    `deadline` bounds the setting up of a connection, and a message up to its dot; the answer to the dot always has the
    whole of `dot` (RFC 5321 section 4.5.3.2).
    """

    connect: float = 30
    command: float = 300
    dot: float = 600
    deadline: float = 900


@dataclass(frozen=True, slots=True)
class Login:
    """Whom we say to be. The password is the access token where the mechanism is XOAUTH2."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that mail goes to, how it is reached, and how long we wait for it.

    A host that begins with a slash is a socket in the file system. Without a `mechanism` what the server offers decides
    how we log in; XOAUTH2 is never chosen unasked, for a password is no token.
    """

    host: str
    port: int
    security: Security = "none"
    login: Login | None = None
    helo: str | None = None  # None: this machine's name
    limits: Limits = field(default_factory=Limits)
    connections: int = 16  # that a channel opens at most
    mechanism: Mechanism | None = None
    is_lmtp: bool = False
