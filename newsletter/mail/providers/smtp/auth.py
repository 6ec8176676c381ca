"""Saying who we are: AUTH PLAIN, CRAM-MD5, LOGIN and XOAUTH2 (RFC 4954, 4616, 2195)."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass

from newsletter.mail.providers.smtp.relay import Login, Mechanism

PREFERRED: tuple[Mechanism, ...] = ("plain", "cram-md5", "login")


class NoChallenge(Exception):
    """The server's challenge cannot be read."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What we send: the argument of AUTH, then an answer to each challenge, made from it."""

    command: bytes
    answers: tuple[Callable[[bytes], bytes], ...] = ()


def choose(login: Login, mechanism: Mechanism | None, offered: Collection[str]) -> Exchange | None:
    """Return how to log in to a server that offers these mechanisms (in capitals); None if there is no way."""
    for each in (mechanism,) if mechanism else PREFERRED:
        if each.upper() in offered:
            return _exchange(login, each)
    return None


def _exchange(login: Login, mechanism: Mechanism) -> Exchange:
    user, password = login.user.encode(), login.password.encode()
    match mechanism:
        case "plain":
            return Exchange(b"PLAIN " + b64encode(b"\0" + user + b"\0" + password))
        case "login":
            return Exchange(b"LOGIN", (lambda _: b64encode(user), lambda _: b64encode(password)))
        case "cram-md5":
            return Exchange(b"CRAM-MD5", (lambda challenge: _keyed(user, password, challenge),))
        case "xoauth2":
            return Exchange(b"XOAUTH2 " + b64encode(b"user=" + user + b"\1auth=Bearer " + password + b"\1\1"))


def _keyed(user: bytes, password: bytes, challenge: bytes) -> bytes:
    try:
        text = b64decode(challenge, validate=True)
    except binascii.Error:
        raise NoChallenge from None
    return b64encode(user + b" " + hmac.new(password, text, "md5").hexdigest().encode())
