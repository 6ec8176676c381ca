"""Proof of work: what any ALTCHA client solves is read, and nothing else is."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from altcha.v1 import create_challenge, solve_challenge
from hypothesis import given
from hypothesis import strategies as st

from newsletter.subscriptions.proofs import GOOD_FOR, LARGEST_NUMBER, Proofs

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
OLD, NEW = "old-" * 12, "new-" * 12
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


def solved(challenge: dict[str, Any]) -> dict[str, Any]:
    """Do what a browser does."""
    found = solve_challenge(
        challenge["challenge"], challenge["salt"], challenge["algorithm"], max_number=challenge["maxNumber"], start=0
    )
    assert found is not None
    return {
        **{name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")},
        "number": found.number,
    }


def sent(payload: Any) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


def test_a_solved_challenge_is_a_proof_for_ten_minutes() -> None:
    proofs = Proofs([NEW])
    challenge = proofs.challenge(now=NOW)
    assert challenge["maxNumber"] == LARGEST_NUMBER
    proof = proofs.read(sent(solved(challenge)), now=NOW + timedelta(minutes=9))
    assert proof is not None
    assert (proof.challenge, proof.until) == (challenge["challenge"], NOW + GOOD_FOR)
    assert proofs.read(sent(solved(challenge)), now=NOW + GOOD_FOR) is None


def test_a_challenge_made_before_the_keys_changed_still_serves() -> None:
    text = sent(solved(Proofs([OLD]).challenge(now=NOW)))
    assert Proofs([NEW, OLD]).read(text, now=NOW) is not None
    assert Proofs([NEW]).read(text, now=NOW) is None


def test_a_challenge_that_somebody_made_for_himself_is_none() -> None:
    own = create_challenge(
        hmac_key="mine",
        max_number=10,
        algorithm="SHA-256",
        salt_length=12,
        salt="",
        number=1,
        expires=NOW + timedelta(days=1),
        params=None,
    ).to_dict()
    assert Proofs([NEW]).read(sent(solved(own)), now=NOW) is None


@pytest.mark.parametrize("part", ["algorithm", "challenge", "salt", "signature", "number"])
def test_no_part_of_a_proof_can_be_changed(part: str) -> None:
    proofs = Proofs([NEW])
    payload = solved(proofs.challenge(now=NOW))
    assert proofs.read(sent(payload), now=NOW) is not None
    other = payload["number"] + 1 if part == "number" else "SHA-512" if part == "algorithm" else f"{payload[part]}0"
    assert proofs.read(sent({**payload, part: other}), now=NOW) is None
    assert proofs.read(sent({name: value for name, value in payload.items() if name != part}), now=NOW) is None


def test_the_time_of_a_proof_cannot_be_prolonged() -> None:
    proofs = Proofs([NEW])
    payload = solved(proofs.challenge(now=NOW))
    nonce, _, rest = payload["salt"].partition("?")
    late = NOW + timedelta(hours=1)
    for salt in (f"{nonce}?expires={int(late.timestamp()) + 60}&{rest}", f"{nonce}?{rest}expires=99999999999&", nonce):
        assert proofs.read(sent({**payload, "salt": salt}), now=late) is None


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()) | JSON.map(sent))
def test_whatever_is_sent_as_a_proof_is_read_or_left_aside(text: str) -> None:
    assert Proofs([NEW]).read(text, now=NOW) is None


@given(st.dictionaries(st.sampled_from(["algorithm", "challenge", "salt", "signature", "number"]), JSON))
def test_strange_values_in_a_proof_are_left_aside(values: dict[str, Any]) -> None:
    proofs = Proofs([NEW])
    payload = {"algorithm": "SHA-256", "challenge": "0", "salt": "0", "signature": "0", "number": 1, **values}
    assert proofs.read(sent(payload), now=NOW) is None
