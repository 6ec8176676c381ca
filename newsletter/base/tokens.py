"""Signed tokens: one salt per purpose, a list of keys, constant width, lower-case base32.

Relays fold the case of a mailbox's local part, so a token is read back the same when it was upper-cased on its way.
A token is payload and truncated HMAC-SHA256 (128 bits, RFC 2104 section 5) in base32 (RFC 4648) without padding.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from itsdangerous import Signer

from newsletter.base.errors import ExpiredToken, InvalidToken

MAC_BYTES = 16
_ALPHABET = re.compile(r"[a-z2-7]+")


@dataclass(frozen=True, slots=True)
class Read:
    """What a token said: its numbers, and when it was made if it carries a time."""

    numbers: tuple[int, ...]
    made_at: datetime | None = None


class Tokens:
    """Makes and reads the tokens of one purpose; the first key signs, every key verifies."""

    def __init__(self, keys: Sequence[str], *, purpose: str, numbers: int, timed: bool = False) -> None:
        self._signer = Signer(list(reversed(keys)), salt=f"newsletter.{purpose}", digest_method=sha256)
        self._derived = [self._signer.derive_key(key) for key in reversed(self._signer.secret_keys)]
        # Six bytes a number: 2.8e14 rows, and payload + MAC fill base32 groups of five bytes or come near.
        self._numbers = numbers
        self._timed = timed
        self._payload_bytes = 6 * numbers + (5 if timed else 0)
        self.width = len(self._encode(bytes(self._payload_bytes + MAC_BYTES)))

    def make(self, *numbers: int, at: datetime | None = None) -> str:
        """Sign these numbers, and the moment `at` (whole seconds) if the purpose is a timed one."""
        payload = b"".join(struct.pack(">Q", number)[2:] for number in numbers)
        if at is not None:
            payload += struct.pack(">Q", int(at.timestamp()))[3:]
        if len(payload) != self._payload_bytes:
            raise ValueError("a token of this purpose holds other things")
        return self._encode(payload + self._mac(self._derived[0], payload))

    def read(self, token: str, *, now: datetime | None = None, max_age: timedelta | None = None) -> Read:
        """Verify a token and return what it holds.

        :raises InvalidToken: if no key of ours made it for this purpose
        :raises ExpiredToken: if it is older than `max_age`
        """
        raw = self._decode(token)
        payload, mac = raw[: self._payload_bytes], raw[self._payload_bytes :]
        if not any(hmac.compare_digest(mac, self._mac(key, payload)) for key in self._derived):
            raise InvalidToken("this link was not made here")
        numbers = tuple(int.from_bytes(payload[i * 6 : i * 6 + 6]) for i in range(self._numbers))
        if not self._timed:
            return Read(numbers)
        made_at = datetime.fromtimestamp(int.from_bytes(payload[-5:]), UTC)
        if now is not None and max_age is not None and now - made_at > max_age:
            raise ExpiredToken("this link is too old")
        return Read(numbers, made_at)

    def _mac(self, key: bytes, payload: bytes) -> bytes:
        return self._signer.algorithm.get_signature(key, payload)[:MAC_BYTES]

    @staticmethod
    def _encode(raw: bytes) -> str:
        return base64.b32encode(raw).decode("ascii").rstrip("=").lower()

    def _decode(self, token: str) -> bytes:
        folded = token.lower()
        if len(folded) != self.width or not _ALPHABET.fullmatch(folded):
            raise InvalidToken("this link was not made here")
        try:
            raw = base64.b32decode(folded.upper() + "=" * (-len(folded) % 8))
        except binascii.Error:
            raise InvalidToken("this link was not made here") from None
        # The last letter holds unused bits: without this check several spellings would be one token.
        if self._encode(raw) != folded:
            raise InvalidToken("this link was not made here")
        return raw
