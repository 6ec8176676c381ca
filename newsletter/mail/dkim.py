"""DKIM signatures, relaxed/relaxed and without l= (RFC 6376, 8301, 8463).

All headers are signed, From and Subject once more than they are there. What mails share is hashed once: the state of
the hash is copied where a reader's own begins.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from newsletter.base.config import DkimKey
from newsletter.base.errors import ConfigError
from newsletter.mail.port import Message

SHORTEST_RSA = 2048  # bits, RFC 8301 section 3.2
_OVERSIGNED = (b"from", b"subject")
_LINE = 74
_BLANK_LINE = b"\r\n\r\n"
_BLANKS = re.compile(rb"[ \t]+")
_ENDINGS = re.compile(rb"[ \t]+(?=\r\n)")
_NOT_RELAXED = re.compile(rb"[ \t][ \t\r]|\t|[ \t]\Z")
_LARGE = 1_000  # octets; only what mails share is that large
_KEPT = 32


class Signer:
    """Signs with an RSA key and, if there is one, an Ed25519 key besides; any number of threads may use it."""

    def __init__(self, keys: Sequence[DkimKey]) -> None:
        """Read the keys.

        :raises ConfigError: if one of them cannot be read or used, or they are not one RSA key and one Ed25519 key
        """
        self._sealers = [_read(key) for key in keys]
        kinds = sorted(sealer.key.algorithm for sealer in self._sealers)
        if kinds not in ([_Rsa.algorithm], [_Ed25519.algorithm, _Rsa.algorithm]):
            raise ConfigError("NEWSLETTER_DKIM wants one RSA key, and after it an Ed25519 key or none")
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="dkim")
        self._shared = lru_cache(maxsize=_KEPT)(_shared)
        self._large = lru_cache(maxsize=_KEPT)(_is_relaxed)
        self._forms = lru_cache(maxsize=_KEPT)(self._forms_for)

    def sign(self, message: Message, *, moment: datetime) -> Message:
        """Return the message with its signatures in front.

        Cheapest if its first part is a reader's own headers and its others are shared, as templates make them.
        """
        own = _relaxed(message.parts[0]) if self._is_spliced(message.parts) else ()
        if own:
            shared, rest = self._shared(message.parts[1]), message.parts[2:]
        else:
            shared, rest = _shared_whole(message.data), ()
        headers = shared.headers.copy()
        headers.update(b"".join([line for _, line in own]))
        body = shared.body.copy()
        for part in rest:
            body.update(part)
        words = (b"%d" % int(moment.timestamp()), b64encode(body.digest()))
        forms = self._forms((*shared.names, *[name for name, _ in own]))
        seals = [sealer.seal(form, words, headers) for sealer, form in zip(self._sealers, forms, strict=True)]
        parts = (b"".join([*seals, message.parts[0]]), *message.parts[1:])
        return Message(message.key, message.sender, message.recipient, parts, message.smtputf8, message.is_checked)

    def sign_all(self, messages: Sequence[Message], *, moment: datetime) -> list[Message]:
        """Sign several messages, on all processors: a thread that signs lets the others run."""
        sign = partial(self.sign, moment=moment)
        return list(map(sign, messages) if len(messages) == 1 else self._pool.map(sign, messages))

    def describe(self) -> str:
        """Say under which names the public halves of the keys are found."""
        return " and ".join(
            f"{sealer.selector.decode()}._domainkey.{sealer.domain.decode()}" for sealer in self._sealers
        )

    def _forms_for(self, names: tuple[bytes, ...]) -> list[_Form]:
        return [sealer.form(names) for sealer in self._sealers]

    def _is_spliced(self, parts: Sequence[bytes]) -> bool:
        """Whether own headers come first, and nothing behind them looks otherwise once it is canonical."""
        return (
            len(parts) > 1
            and parts[0].endswith(b"\r\n")
            and _BLANK_LINE not in parts[0]
            and parts[1][:1] not in b" \t\r"
            and parts[-1].endswith(b"--\r\n")
            and all(self._large(part) if len(part) > _LARGE else _is_relaxed(part) for part in parts[2:])
            and self._shared(parts[1]).is_relaxed
        )


class _Key(Protocol):
    """A private key that signs the digest of SHA-256."""

    algorithm: bytes

    def sign(self, digest: bytes) -> bytes: ...


class _Rsa:
    """RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2)."""

    algorithm = b"rsa-sha256"

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self._padding, self._prehashed = PKCS1v15(), Prehashed(SHA256())

    def sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest, self._padding, self._prehashed)


class _Ed25519:
    """PureEdDSA, of the digest (RFC 8463 section 3)."""

    algorithm = b"ed25519-sha256"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest)


@dataclass(frozen=True, slots=True)
class _Form:
    """A DKIM-Signature header as far as its b=, with places for t= and bh=: as it is sent, and as it is hashed."""

    sent: bytes
    hashed: bytes


@dataclass(frozen=True, slots=True)
class _Sealer:
    """A key, and the name under which the DNS has its public half."""

    key: _Key
    selector: bytes
    domain: bytes

    def form(self, names: Sequence[bytes]) -> _Form:
        start = b"DKIM-Signature: v=1; a=%b; c=relaxed/relaxed;" % self.key.algorithm
        lines = [start, b" d=%b;" % self.domain, b" s=%b; t=%%b;" % self.selector, b" bh=%b;"]
        line = b" h="
        for name in (*names, *_OVERSIGNED):
            if len(line) + len(name) > _LINE:
                lines.append(line)
                line = b" "
            line += name + b":"
        sent = b"\r\n".join([*lines, line[:-1] + b";", b" b="])
        ((_, hashed),) = _relaxed(sent + b"\r\n")
        return _Form(sent, hashed.removesuffix(b"\r\n"))

    def seal(self, form: _Form, words: tuple[bytes, bytes], headers: Any) -> bytes:
        """Write the DKIM-Signature header of hashed headers."""
        state = headers.copy()
        state.update(form.hashed % words)
        letters = b64encode(self.key.sign(state.digest()))
        lines = [letters[start : start + _LINE] for start in range(0, len(letters), _LINE)]
        return form.sent % words + b"\r\n ".join(lines) + b"\r\n"


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is known of messages with the same part: the hashes of its headers and of its body, and their names."""

    names: tuple[bytes, ...]
    headers: Any
    body: Any
    is_relaxed: bool


def _shared(part: bytes) -> _Shared:
    """Take apart a piece of a message that begins among the headers and goes on into the body as it will be hashed."""
    lines, blank, body = part.partition(_BLANK_LINE)
    headers = _relaxed(lines + b"\r\n")
    return _Shared(
        tuple(name for name, _ in headers),
        sha256(b"".join([line for _, line in headers])),
        sha256(body),
        bool(blank) and _is_relaxed(body),
    )


def _shared_whole(data: bytes) -> _Shared:
    """Take a whole message apart, whatever it looks like (RFC 6376 section 3.4.4)."""
    lines, blank, body = data.partition(_BLANK_LINE)
    canonical = _BLANKS.sub(b" ", _ENDINGS.sub(b"", body))
    while canonical.endswith(b"\r\n"):
        canonical = canonical.removesuffix(b"\r\n")
    return _shared(lines + blank + canonical + b"\r\n" * bool(canonical))


def _relaxed(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Write headers in their canonical form, the last first as verifiers take them (RFC 6376 sections 3.4.2, 5.4.2)."""
    unfolded = lines.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    found = []
    for line in reversed(unfolded.split(b"\r\n")[:-1]):
        name, _, value = line.partition(b":")
        name = name.rstrip().lower()
        found.append((name, name + b":" + _BLANKS.sub(b" ", value).strip(b" ") + b"\r\n"))
    return found


def _is_relaxed(body: bytes) -> bool:
    """Whether a piece of a body is canonical as it is, wherever it stands but at the end."""
    return _NOT_RELAXED.search(body) is None


def _read(named: DkimKey) -> _Sealer:
    said = f"the DKIM key {named.path}"
    try:
        pem = named.path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{said} cannot be read: {error.strerror}") from None
    try:
        found = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"{said} is no private key in PEM without a password") from None
    key: _Key
    if isinstance(found, RSAPrivateKey):
        if found.key_size < SHORTEST_RSA:
            raise ConfigError(f"{said} has {found.key_size} bits: an RSA key needs at least {SHORTEST_RSA}")
        key = _Rsa(found)
    elif isinstance(found, Ed25519PrivateKey):
        key = _Ed25519(found)
    else:
        raise ConfigError(f"{said} is neither an RSA key nor an Ed25519 key")
    return _Sealer(key, named.selector.encode(), named.domain.encode())
