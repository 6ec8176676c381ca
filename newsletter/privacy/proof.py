"""The evidence of a person's consents, for whoever asks by what right an address was written to."""

from __future__ import annotations

from typing import Any

from newsletter.db.database import Work
from newsletter.privacy import queries
from newsletter.privacy.record import subscriptions

KEPT_WITHOUT_ADDRESS = "the evidence below, without the address: a keyed hash stands for it"
NOT_KEPT = "the address, the networks that forms came from, and what an import's evidence held of the person"
NOTHING_KEPT = "nothing but the keyed hash of the address and why it is closed"


def proof(work: Work, *, address: str, address_hash: str) -> dict[str, Any] | None:
    """Return the evidence kept under an address, or None if nothing is, and the address is not closed either.

    Each text is the one that was shown, and is checked against its hash.
    """
    persons = queries.persons(work, address_hash)
    suppressions = queries.suppressions(work, address_hash)
    if not persons and not suppressions:
        return None
    is_kept = any(person.address for person in persons)
    return {
        "made_at": work.now,
        "address": address,
        "keyed_hash": address_hash,
        "address_is_kept": is_kept,
        "address_removed_at": [person.removed_at for person in persons if person.removed_at is not None],
        "kept": None if is_kept else (KEPT_WITHOUT_ADDRESS if persons else NOTHING_KEPT),
        "not_kept": None if is_kept else NOT_KEPT,
        "closed_for": [{"reason": str(each.reason), "since": each.created_at} for each in suppressions],
        "subscriptions": subscriptions(work, persons),
    }
