"""From what a row says to what can be imported: checked against the newsletter, the calendar, and the law."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.base.addresses import Address, address_hash, read_address
from newsletter.base.errors import InvalidInput
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.exchange.formats import Said, Unreadable
from newsletter.subscriptions.models import EndReason, Form, SubscriptionState
from newsletter.subscriptions.wishes import Wish, checked_wish

MOST_WISHES = 10_000  # different ones kept in memory
_SHOWN = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_CLOSING = {
    EndReason.BOUNCE: SuppressionReason.HARD_BOUNCE,
    EndReason.COMPLAINT: SuppressionReason.COMPLAINT,
    EndReason.NEVER: SuppressionReason.NEVER,
    EndReason.ERASURE: SuppressionReason.ERASURE,
}
_MOMENTS = ("created_at", "confirmed_at", "ended_at", "consent_at")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator says of all rows that do not say it themselves.

    `evidence` is how they know that these persons consented; without it every active row needs its own moment.
    """

    languages: Sequence[str] = ()
    topics: Sequence[str] = ()
    frequency: Frequency | None = None
    state: SubscriptionState = SubscriptionState.ACTIVE
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be imported of one row.

    `state` is None where only the address is closed. `consented_at` is since when the consent counts, None if nobody
    knows, and `evidence_at` the moment of its evidence; `confirmed_at` is when a person who left had confirmed, and
    `ended_at` when that person left.
    """

    line: int
    address: Address
    address_hash: str
    state: SubscriptionState | None
    closes: SuppressionReason | None
    wish: Wish
    form: Form
    created_at: datetime | None
    confirmed_at: datetime | None
    consented_at: datetime | None
    evidence_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    paused_until: datetime | None
    spoken: str
    form_version: str | None
    text_hash: str | None
    kind: str

    @property
    def leaves(self) -> bool:
        """Whether it tells that somebody is written to no more."""
        return self.state in {None, SubscriptionState.ENDED}


class LeftAlone(Exception):
    """Why a row that can be read is none of ours, in words that are safe to show."""


@dataclass(slots=True)
class Checker:
    """Checks rows against a newsletter at a moment."""

    newsletter: Newsletter
    terms: Terms
    now: datetime
    address_key: bytes
    _wishes: dict[tuple[str, ...], Wish] = field(default_factory=dict)

    def check_terms(self) -> None:
        """Check what the operator says of all rows.

        :raises InvalidInput: if the newsletter does not offer it
        """
        languages = self.terms.languages or self.newsletter.languages[:1]
        topics = self.terms.topics or [topic.slug for topic in self.newsletter.topics]
        often = self.terms.frequency or self.newsletter.rhythms[0].frequency
        checked_wish(self.newsletter, topics=topics, languages=languages, frequency=often)

    def entry(self, line: int, said: Said, *, is_guessed: bool) -> Entry:
        """Check what a row says; with `is_guessed` its letters beyond ASCII are a guess.

        :raises Unreadable: if it cannot be used
        :raises LeftAlone: if it is not about this newsletter
        """
        if said.newsletter and said.newsletter != self.newsletter.slug:
            raise LeftAlone("of another newsletter")
        if said.not_for_us:
            raise LeftAlone(said.not_for_us)
        address = self._address(said.address, is_guessed=is_guessed)
        for name in _MOMENTS:
            moment = getattr(said, name)
            if moment is not None and moment > self.now:
                raise Unreadable(f"{name} lies in the future")
        state = None if said.closes else said.state or self.terms.state
        wish = self._wish(said) if state in {SubscriptionState.ACTIVE, SubscriptionState.PENDING} else self._any(said)
        kind, consented_at = self._evidence(said, state)
        return Entry(
            line=line,
            address=address,
            address_hash=address_hash(self.address_key, address.key),
            state=state,
            closes=said.closes or (_CLOSING.get(said.end_reason) if said.end_reason and _is_end(state) else None),
            wish=wish,
            form=said.form,
            created_at=said.created_at or said.confirmed_at,
            confirmed_at=said.confirmed_at if _is_end(state) else None,
            consented_at=consented_at,
            evidence_at=said.consent_at or consented_at,
            ended_at=said.ended_at,
            end_reason=(said.end_reason or EndReason.PAGE) if _is_end(state) else None,
            paused_until=self._pause(said, state),
            spoken=said.spoken or wish.languages[0],
            form_version=said.form_version,
            text_hash=said.text_hash,
            kind=kind,
        )

    def _address(self, text: str, *, is_guessed: bool) -> Address:
        if is_guessed and not text.isascii():
            raise Unreadable("the address has letters in an unknown encoding: save the file as UTF-8")
        try:
            return read_address(text)
        except InvalidInput as error:
            # What is wrong with an address may quote it, and reports go where addresses must not.
            told = {"address_empty": "no address", "address_invalid": "not a mail address"}
            raise Unreadable(told.get(error.code, "not a mail address")) from None

    def _evidence(self, said: Said, state: SubscriptionState | None) -> tuple[str, datetime | None]:
        """Say what the row, or the operator, knows of the consent, and since when it counts."""
        match state:
            case SubscriptionState.ACTIVE:
                if said.confirmed_at is None and not self.terms.evidence:
                    raise Unreadable("no evidence of consent: the row has no moment of confirmation; see --evidence")
                if said.confirmed_at is None:
                    return "stated", said.consent_at or said.created_at
                return "confirmed", said.confirmed_at
            case SubscriptionState.PENDING:
                return "requested", said.created_at
            case SubscriptionState.ENDED:
                return "left", said.confirmed_at or said.created_at
            case None:
                return "closed", None

    def _pause(self, said: Said, state: SubscriptionState | None) -> datetime | None:
        is_paused = said.paused_until is not None and said.paused_until > self.now
        return said.paused_until if is_paused and state is SubscriptionState.ACTIVE else None

    def _any(self, said: Said) -> Wish:
        """Return what somebody who left had wished, or something like it: that they left is what counts."""
        try:
            return self._wish(said)
        except Unreadable:
            every = [topic.slug for topic in self.newsletter.topics]
            return self._checked(self.newsletter.languages[:1], every, "")

    def _wish(self, said: Said) -> Wish:
        only = self.newsletter.languages if len(self.newsletter.languages) == 1 else ()
        languages = said.languages or self.terms.languages or only
        if not languages:
            raise Unreadable("no language; see --language")
        topics = said.topics or self.terms.topics or [topic.slug for topic in self.newsletter.topics]
        return self._checked(languages, topics, said.frequency)

    def _checked(self, languages: Sequence[str], topics: Sequence[str], frequency: str) -> Wish:
        key = (frequency, *languages, "|", *topics)
        if key not in self._wishes:
            if len(self._wishes) >= MOST_WISHES:
                self._wishes.clear()
            self._wishes[key] = self._check(languages, topics, frequency)
        return self._wishes[key]

    def _check(self, languages: Sequence[str], topics: Sequence[str], frequency: str) -> Wish:
        try:
            often = Frequency(frequency) if frequency else self.terms.frequency or self.newsletter.rhythms[0].frequency
            return checked_wish(self.newsletter, topics=topics, languages=languages, frequency=often)
        except ValueError:
            raise Unreadable(f"unknown frequency{_quoted([frequency])}") from None
        except InvalidInput as error:
            slugs = {topic.slug for topic in self.newsletter.topics}
            topic = _quoted([each for each in topics if each not in slugs])
            language = _quoted([each for each in languages if each not in self.newsletter.languages])
            told = {
                "unknown_topic": f"unknown topic{topic}",
                "unknown_language": f"unknown language{language}",
                "unknown_frequency": f"the newsletter does not come {often}",
            }
            raise Unreadable(told.get(error.code, "no topic or language")) from None


def _is_end(state: SubscriptionState | None) -> bool:
    return state is SubscriptionState.ENDED


def _quoted(words: Sequence[str]) -> str:
    """Show what was not known if it looks like one of our words: it may be an address in the wrong column."""
    return f" “{words[0]}”" if words and _SHOWN.fullmatch(words[0]) else ""
