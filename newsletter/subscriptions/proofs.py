"""Proof of work: a number that a browser finds in a second, asked under load instead of a puzzle.

The challenges are those of ALTCHA's first version (SHA-256 of salt and number): any of its clients solves them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from altcha.v1 import ChallengeOptions, create_challenge, extract_params, verify_solution
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.db.database import Work
from newsletter.subscriptions.models import SpentProof

GOOD_FOR = timedelta(minutes=10)
LARGEST_NUMBER = 20_000  # half of it is tried on average: well under a second on a cheap phone
LONGEST_PROOF = 600  # characters; ours have some 350
CLEARED_AT_ONCE = 50
_ALGORITHM = "SHA-256"
_FIELDS: dict[str, type] = {"algorithm": str, "challenge": str, "number": int, "salt": str, "signature": str}


@dataclass(frozen=True, slots=True)
class Proof:
    """A challenge of ours that somebody solved, and until when it serves."""

    challenge: str
    until: datetime


class Proofs:
    """Makes challenges and reads their solutions; the first key signs, every key verifies."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hmac.new(key.encode(), b"newsletter.proof", sha256).digest() for key in keys]

    def challenge(self, *, now: datetime) -> dict[str, str | int]:
        """Return a challenge that is good for ten minutes; nothing is kept of it."""
        options = ChallengeOptions(
            algorithm="SHA-256", max_number=LARGEST_NUMBER, hmac_key=self._keys[0], expires=now + GOOD_FOR
        )
        made: dict[str, str | int] = create_challenge(options).to_dict()
        return made

    def read(self, text: str, *, now: datetime) -> Proof | None:
        """Return the proof that this text (JSON in base64) is; None if it is none of ours, wrong, or too old."""
        payload = _payload(text)
        if payload is None or not any(verify_solution(payload, key, False)[0] for key in self._keys):
            return None
        until = datetime.fromtimestamp(int(extract_params(payload)["expires"][0]), UTC)
        return Proof(str(payload["challenge"]), until) if now < until else None


def spend(work: Work, proof: Proof) -> bool:
    """Say whether this proof is used for the first time, and use it up. Safe when two do it at once."""
    insert = (sqlite if work.is_sqlite else postgresql).insert(SpentProof)
    spent = work.session.execute(
        insert.values(challenge=proof.challenge, until=proof.until)
        .on_conflict_do_nothing(index_elements=[SpentProof.challenge])
        .returning(SpentProof.challenge)
    ).all()
    expired = (
        select(SpentProof.challenge)
        .where(SpentProof.until <= work.now)
        .limit(CLEARED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    work.session.execute(delete(SpentProof).where(SpentProof.challenge.in_(expired)))
    return bool(spent)


def _payload(text: str) -> Any:
    if len(text) > LONGEST_PROOF:
        return None
    try:
        payload = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(payload, dict) or any(type(payload.get(name)) is not kind for name, kind in _FIELDS.items()):
        return None
    return payload if payload["algorithm"] == _ALGORITHM else None
