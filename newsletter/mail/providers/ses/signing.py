"""Signature Version 4 of AWS, for requests whose query is written as it is to be signed."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """An access key, and what it signs for."""

    access_key: str
    secret: str = field(repr=False)
    region: str
    service: str = "ses"

    def headers(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, moment: datetime
    ) -> dict[str, str]:
        """Return these headers, Host among them, with the date and the signature that cover them all."""
        stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        dated = {**headers, "X-Amz-Date": stamp}
        canonical = {name.lower(): " ".join(value.split()) for name, value in sorted(_lowered(dated).items())}
        names = ";".join(canonical)
        lines = "".join(f"{name}:{value}\n" for name, value in canonical.items())
        place, _, query = path.partition("?")
        request = "\n".join([method, place, query, lines, names, sha256(body).hexdigest()])
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        text = "\n".join([_ALGORITHM, stamp, scope, sha256(request.encode()).hexdigest()])
        signature = hmac.new(self._key(stamp[:8]), text.encode(), sha256).hexdigest()
        credential = f"{self.access_key}/{scope}"
        value = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return {**dated, "Authorization": value}

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), sha256).digest()
        return key


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
