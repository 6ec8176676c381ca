"""The register of consents: who did what when, having been shown which text. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from newsletter.db.database import Work
from newsletter.subscriptions.models import Consent, ConsentKind, ConsentText, Subscription


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person was shown before pressing the button: the text, and the version of the form it stood in.

    `network` is the truncated network address that the form came from (/24 or /48); `language` is that of the text,
    where it is not the one that the action knows.
    """

    text: str
    form_version: str
    network: str | None = None
    language: str = ""


def witness(
    work: Work,
    subscription: Subscription,
    kind: ConsentKind,
    spoken: str,
    shown: Shown | None = None,
    *,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Write down what a person did; `spoken` is the language of the page. Each text shown is kept once."""
    spoken = shown.language if shown is not None and shown.language else spoken
    work.session.add(
        Consent(
            subscription_id=subscription.id,
            kind=kind,
            language=spoken,
            text_hash=None if shown is None else keep_text(work, shown.text, language=spoken),
            form_version=None if shown is None else shown.form_version,
            network=None if shown is None else shown.network,
            evidence=None if evidence is None else dict(evidence),
            at=work.now,
        )
    )


def keep_text(work: Work, text: str, *, language: str) -> str:
    """Keep a text that persons are shown, once, and return its hash. Safe when two do it at once."""
    key = sha256(text.encode()).hexdigest()
    insert = (sqlite if work.is_sqlite else postgresql).insert(ConsentText)
    work.session.execute(
        insert.values(hash=key, language=language, text=text, since=work.now).on_conflict_do_nothing(
            index_elements=[ConsentText.hash]
        )
    )
    return key
