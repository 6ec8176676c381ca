"""What somebody wishes of a newsletter, checked against what it offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.base.errors import InvalidInput
from newsletter.newsletters.models import Frequency, Newsletter


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked wish for one newsletter."""

    newsletter: Newsletter
    topics: Sequence[int]
    languages: Sequence[str]
    frequency: Frequency


def checked_wish(
    newsletter: Newsletter, *, topics: Sequence[str], languages: Sequence[str], frequency: Frequency
) -> Wish:
    """Check what somebody wishes of a newsletter; `topics` are slugs.

    :raises InvalidInput: if a topic, a language or the frequency cannot be used
    """
    return Wish(
        newsletter, _topic_ids(newsletter, topics), _languages(newsletter, languages), _frequency(newsletter, frequency)
    )


def comes(newsletter: Newsletter, frequency: Frequency) -> bool:
    """Say whether a newsletter offers this frequency."""
    return frequency in {rhythm.frequency for rhythm in newsletter.rhythms}


def _topic_ids(newsletter: Newsletter, slugs: Sequence[str]) -> list[int]:
    known = {topic.slug: topic.id for topic in newsletter.topics}
    unknown = [slug for slug in slugs if slug not in known]
    if unknown:
        raise InvalidInput(f"the newsletter has no topic “{unknown[0]}”", code="unknown_topic")
    if not slugs:
        raise InvalidInput("no topic was chosen", code="no_topic")
    return sorted({known[slug] for slug in slugs})


def _languages(newsletter: Newsletter, codes: Sequence[str]) -> list[str]:
    chosen = list(dict.fromkeys(codes))
    if not chosen:
        raise InvalidInput("no language was chosen", code="no_language")
    for code in chosen:
        if code not in newsletter.languages:
            raise InvalidInput(f"the newsletter does not speak “{code}”", code="unknown_language")
    return chosen


def _frequency(newsletter: Newsletter, frequency: Frequency) -> Frequency:
    if not comes(newsletter, frequency):
        raise InvalidInput(f"the newsletter does not come {frequency}", code="unknown_frequency")
    return frequency
