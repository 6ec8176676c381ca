"""Signed tokens: one salt per purpose, a list of keys, constant width, lower-case base32.

Relays fold the case of a mailbox's local part, so a token is read back the same when it was upper-cased on its way.
A token is a veiled payload and its truncated HMAC-SHA256 (128 bits, RFC 2104 section 5) in base32 (RFC 4648) without
padding. The veil is the HMAC of that HMAC under a second key (as in RFC 5297): the same payload is always the same
token, and nobody else reads a number in it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from itsdangerous import Signer

from newsletter.base.errors import ExpiredToken, InvalidToken

MAC_BYTES = 16
NUMBER_BYTES = 6
_ALPHABET = re.compile(r"[a-z2-7]+")
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567".ljust(256, b"?")
_BLOCK = 64  # octets, of SHA-256
_INNER_PAD = bytes(octet ^ 0x36 for octet in range(256))
_OUTER_PAD = bytes(octet ^ 0x5C for octet in range(256))


@dataclass(frozen=True, slots=True)
class Read:
    """What a token said: its numbers, and when it was made if it carries a time."""

    numbers: tuple[int, ...]
    made_at: datetime | None = None


class Tokens:
    """Makes and reads the tokens of one purpose; the first key signs, every key verifies."""

    def __init__(self, keys: Sequence[str], *, purpose: str, numbers: int, timed: bool = False) -> None:
        self._macs = _derived(keys, f"newsletter.{purpose}")
        self._veils = _derived(keys, f"newsletter.{purpose}.veil")
        # Six bytes a number: 2.8e14 rows, and payload + MAC fill base32 groups of five bytes or come near.
        self._numbers = numbers
        self._timed = timed
        self._payload_bytes = NUMBER_BYTES * numbers + (5 if timed else 0)
        self._filling = bytes(-(self._payload_bytes + MAC_BYTES) % 5)
        self.width = -(-(self._payload_bytes + MAC_BYTES) * 8 // 5)
        self.whole_width = (self._payload_bytes + MAC_BYTES + len(self._filling)) * 8 // 5

    def make(self, *numbers: int, at: datetime | None = None) -> str:
        """Sign these numbers, and the moment `at` (whole seconds) if the purpose is a timed one."""
        return base32(self.signed(*numbers, at=at))[: self.width].decode("ascii")

    def signed(self, *numbers: int, at: datetime | None = None) -> bytes:
        """Return what a token's letters stand for, zeros behind it up to a whole group of five bytes."""
        payload = b"".join([number.to_bytes(NUMBER_BYTES) for number in numbers])
        if at is not None:
            payload += int(at.timestamp()).to_bytes(5)
        if len(payload) != self._payload_bytes:
            raise ValueError("a token of this purpose holds other things")
        return self.sealed(payload)

    def sealed(self, payload: bytes) -> bytes:
        """Sign a payload that is known to be one of this purpose."""
        mac = self._macs[0](payload)
        return _veiled(payload, self._veils[0](mac)) + mac + self._filling

    def read(self, token: str, *, now: datetime | None = None, max_age: timedelta | None = None) -> Read:
        """Verify a token and return what it holds.

        :raises InvalidToken: if no key of ours made it for this purpose
        :raises ExpiredToken: if it is older than `max_age`
        """
        raw = self._decode(token)
        payload = self._verified(raw[: self._payload_bytes], raw[self._payload_bytes :])
        numbers = tuple(int.from_bytes(payload[i * 6 : i * 6 + 6]) for i in range(self._numbers))
        if not self._timed:
            return Read(numbers)
        made_at = datetime.fromtimestamp(int.from_bytes(payload[-5:]), UTC)
        if now is not None and max_age is not None and now - made_at > max_age:
            raise ExpiredToken("this link is too old")
        return Read(numbers, made_at)

    def _verified(self, veiled: bytes, mac: bytes) -> bytes:
        for make_mac, veil in zip(self._macs, self._veils, strict=True):
            payload = _veiled(veiled, veil(mac))
            if hmac.compare_digest(mac, make_mac(payload)):
                return payload
        raise InvalidToken("this link was not made here")

    def _decode(self, token: str) -> bytes:
        folded = token.lower()  # of a Kelvin sign it makes a k, too
        if not token.isascii() or len(folded) != self.width or not _ALPHABET.fullmatch(folded):
            raise InvalidToken("this link was not made here")
        try:
            raw = base64.b32decode(folded.upper() + "=" * (-len(folded) % 8))
        except binascii.Error:
            raise InvalidToken("this link was not made here") from None
        # The last letter holds unused bits: without this check several spellings would be one token.
        if base32(raw + self._filling)[: self.width] != folded.encode():
            raise InvalidToken("this link was not made here")
        return raw


def _derived(keys: Sequence[str], salt: str) -> list[Callable[[bytes], bytes]]:
    """Return the MACs of a purpose, one for each key."""
    signer = Signer(list(reversed(keys)), salt=salt, digest_method=sha256)
    return [_mac(signer.derive_key(key)) for key in reversed(signer.secret_keys)]


def _veiled(payload: bytes, veil: bytes) -> bytes:
    """Put a veil on a payload, or take it off: the numbers of rows would tell how many people came in between."""
    size = len(payload)
    return (int.from_bytes(payload) ^ int.from_bytes(veil[:size])).to_bytes(size)


def _mac(key: bytes) -> Callable[[bytes], bytes]:
    """Return truncated HMAC-SHA256 with this key, whose two first blocks are hashed only once (RFC 2104 section 4)."""
    block = key.ljust(_BLOCK, b"\0")  # a derived key is shorter than a block
    start, finish = sha256(block.translate(_INNER_PAD)).copy, sha256(block.translate(_OUTER_PAD)).copy

    def mac(payload: bytes) -> bytes:
        inner, outer = start(), finish()
        inner.update(payload)
        outer.update(inner.digest())
        return outer.digest()[:MAC_BYTES]

    return mac


def base32(octets: bytes) -> bytes:
    """Write groups of five octets in base32 (RFC 4648 section 6), in small letters.

    One integer is spread from five bits a letter to eight, halves first: several tokens together cost little more
    than one.
    """
    number = int.from_bytes(octets)
    for low, high, shift in _spreading(len(octets) // 5 * 8):
        number = number & low | (number & high) << shift
    return number.to_bytes(len(octets) // 5 * 8).translate(_LETTERS)


@cache
def _spreading(letters: int) -> list[tuple[int, int, int]]:
    """Return the steps that spread `letters` fields: masks of what stays and of what moves, and how far it moves."""
    steps = []
    half = 1 << (letters - 1).bit_length() >> 1
    while half:
        field = sum((1 << half * 5) - 1 << start * 8 for start in range(0, letters, half * 2))
        steps.append((field, field << half * 5, half * 3))
        half >>= 1
    return steps
