"""The preferences of one subscription as fields: shown, read back, checked, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from newsletter.base.errors import InvalidInput
from newsletter.db.database import Work
from newsletter.newsletters.models import Frequency
from newsletter.subscriptions.models import Subscription
from newsletter.subscriptions.preferences import change
from newsletter.web.problems import Problem
from newsletter.web.speech import gettext


@dataclass(frozen=True, slots=True)
class Preferences:
    """What stands in the fields of one subscription; `languages` in order of preference."""

    subscription: Subscription
    topics: Sequence[str]
    languages: Sequence[str]
    frequency: str

    @property
    def slug(self) -> str:
        return self.subscription.newsletter.slug

    @property
    def differs(self) -> bool:
        """Whether anything was chosen that is not in force."""
        now = preferences_of(self.subscription)
        same_topics = set(self.topics) == set(now.topics)
        return not same_topics or list(self.languages) != list(now.languages) or self.frequency != now.frequency


def preferences_of(subscription: Subscription) -> Preferences:
    """Return what is in force."""
    chosen = set(subscription.choice.topic_ids)
    return Preferences(
        subscription,
        [topic.slug for topic in subscription.newsletter.topics if topic.id in chosen],
        subscription.choice.language_codes,
        str(subscription.frequency),
    )


def read_preferences(values: MultiDict[str, str], subscription: Subscription) -> Preferences:
    """Read what was sent for this subscription; what was not shown stays as it is."""
    slug = subscription.newsletter.slug
    now = preferences_of(subscription)
    if slug not in values.getlist("shown"):
        return now
    ranks = range(1, len(subscription.newsletter.languages) + 1)
    chosen = [values.get(f"language.{slug}.{rank}", "") for rank in ranks]
    return Preferences(
        subscription,
        values.getlist(f"topics.{slug}"),
        list(dict.fromkeys(code for code in chosen if code)),
        values.get(f"frequency.{slug}", now.frequency),
    )


def problems_of(preferences: Preferences) -> list[Problem]:
    """Return what keeps these preferences from being saved."""
    problems = []
    if not preferences.topics:
        problems.append(
            Problem(f"topics-{preferences.slug}", gettext("Choose at least one topic, or unsubscribe below."))
        )
    if not preferences.languages:
        problems.append(Problem(f"language-{preferences.slug}-1", gettext("Choose the language you read first.")))
    return problems


def save(work: Work, preferences: Preferences) -> None:
    """Put these preferences in force.

    :raises InvalidInput: if a topic, a language or the frequency is not offered
    """
    if preferences.frequency not in set(Frequency):
        raise InvalidInput("no such frequency", code="unknown_frequency")
    change(
        work,
        subscription=preferences.subscription,
        topics=preferences.topics,
        languages=preferences.languages,
        frequency=Frequency(preferences.frequency),
    )
