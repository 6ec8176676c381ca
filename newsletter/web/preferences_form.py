"""The preferences of one subscription as fields: shown, read back, checked, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import sha256

from werkzeug.datastructures import MultiDict

from newsletter.base.clock import zone
from newsletter.base.errors import InvalidInput
from newsletter.db.database import Work
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscriptions.evidence import Shown
from newsletter.subscriptions.models import Form, Subscription
from newsletter.subscriptions.preferences import change, pause, resume
from newsletter.web.problems import Problem
from newsletter.web.speech import day, gettext, said, spoken

PREFERENCES_FORM = "preferences-1"
LONGEST_PAUSE = timedelta(days=365)
CATCH_UP, AFRESH = "missed", "afresh"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What stands in the fields of one subscription; `languages` in order of preference.

    `pause` is the first day with mail again, as typed ("" if there is no pause), and `after` what comes then. `seen`
    is what was in force when the page was shown, where the page told.
    """

    subscription: Subscription
    topics: Sequence[str]
    languages: Sequence[str]
    frequency: str
    is_light: bool
    pause: str
    after: str
    seen: str | None = None

    @property
    def slug(self) -> str:
        return self.subscription.newsletter.slug


def preferences_of(subscription: Subscription, *, now: datetime) -> Preferences:
    """Return what is in force."""
    chosen = set(subscription.choice.topic_ids)
    ends_on = paused_to(subscription, now=now)
    return Preferences(
        subscription,
        topics=[topic.slug for topic in subscription.newsletter.topics if topic.id in chosen],
        languages=subscription.choice.language_codes,
        frequency=str(subscription.frequency),
        is_light=subscription.choice.form is Form.LIGHT,
        pause=ends_on.isoformat() if ends_on else "",
        after=CATCH_UP if subscription.catches_up or ends_on is None else AFRESH,
    )


def read_preferences(values: MultiDict[str, str], subscription: Subscription, *, now: datetime) -> Preferences:
    """Read what was sent for this subscription; what was not shown stays as it is."""
    slug = subscription.newsletter.slug
    in_force = preferences_of(subscription, now=now)
    if slug not in values.getlist("shown"):
        return in_force
    ranks = range(1, len(subscription.newsletter.languages) + 1)
    chosen = [values.get(f"language.{slug}.{rank}", "") for rank in ranks]
    return Preferences(
        subscription,
        topics=values.getlist(f"topics.{slug}"),
        languages=list(dict.fromkeys(code for code in chosen if code)),
        frequency=values.get(f"frequency.{slug}", in_force.frequency),
        is_light=values.get(f"form.{slug}") == Form.LIGHT,
        pause=values.get(f"pause.{slug}", in_force.pause).strip(),
        after=values.get(f"after.{slug}", in_force.after),
        seen=values.get(f"seen.{slug}"),
    )


def version_of(subscription: Subscription, *, now: datetime) -> str:
    """Write down what is in force, so that a page shown before a change can be told."""
    until = subscription.paused_until
    paused = f"{until.timestamp():.0f}-{subscription.catches_up:d}" if until and until > now else "0"
    written = f"{subscription.choice.fingerprint}-{subscription.frequency}-{paused}"
    return sha256(written.encode()).hexdigest()[:16]


def is_stale(sent: Preferences, *, now: datetime) -> bool:
    """Say whether these fields were shown before another change, and would take that back."""
    return sent.seen not in (None, version_of(sent.subscription, now=now)) and (
        _differs(sent, now=now) or _pause_differs(sent, now=now)
    )


def problems_of(sent: Preferences, *, now: datetime) -> list[Problem]:
    """Return what keeps these preferences from being saved."""
    problems = []
    if not sent.topics:
        problems.append(Problem(f"topics-{sent.slug}", gettext("Choose at least one topic, or unsubscribe below.")))
    if not sent.languages:
        problems.append(Problem(f"language-{sent.slug}-1", gettext("Choose the language you read first.")))
    if sent.pause and _pause_differs(sent, now=now):
        problems += _pause_problems(sent, now=now)
    return problems


def save(work: Work, sent: Preferences) -> None:
    """Put these preferences in force, as far as they differ from what is.

    :raises InvalidInput: if a topic, a language or the frequency is not offered
    :raises Conflict: if the subscription ended meanwhile, or an earlier pause is just being ended
    """
    if sent.frequency not in set(Frequency):
        raise InvalidInput("no such frequency", code="unknown_frequency")
    subscription, newsletter = sent.subscription, sent.subscription.newsletter
    text = f"{gettext('Save my preferences')}: {said(newsletter.names).text}"
    shown = Shown(text, PREFERENCES_FORM, language=spoken().code)
    # Looked at before anything is changed.
    is_other, is_paused_otherwise = _differs(sent, now=work.now), _pause_differs(sent, now=work.now)
    if is_other:
        change(
            work,
            subscription=subscription,
            topics=sent.topics,
            languages=sent.languages,
            frequency=Frequency(sent.frequency),
            form=Form.LIGHT if sent.is_light else Form.DIGEST,
            shown=shown,
        )
    if is_paused_otherwise and sent.pause:
        until = datetime.combine(date.fromisoformat(sent.pause), time(), zone(newsletter.time_zone))
        pause(work, subscription=subscription, until=until, catches_up=sent.after != AFRESH, shown=shown)
    elif is_paused_otherwise:
        resume(work, subscription=subscription, shown=shown)


def paused_to(subscription: Subscription, *, now: datetime) -> date | None:
    """Return the day on which mail comes again, in the newsletter's zone; None if there is no pause."""
    if subscription.paused_until is None or subscription.paused_until <= now:
        return None
    return subscription.paused_until.astimezone(zone(subscription.newsletter.time_zone)).date()


def pause_days(newsletter: Newsletter, *, now: datetime) -> tuple[date, date]:
    """Return the first and the last day that a pause may last to: tomorrow, and in a year."""
    today = now.astimezone(zone(newsletter.time_zone)).date()
    return today + timedelta(days=1), today + LONGEST_PAUSE


def _differs(sent: Preferences, *, now: datetime) -> bool:
    in_force = preferences_of(sent.subscription, now=now)
    return (
        set(sent.topics) != set(in_force.topics)
        or list(sent.languages) != list(in_force.languages)
        or sent.frequency != in_force.frequency
        or sent.is_light != in_force.is_light
    )


def _pause_differs(sent: Preferences, *, now: datetime) -> bool:
    in_force = preferences_of(sent.subscription, now=now)
    return sent.pause != in_force.pause or bool(sent.pause and sent.after != in_force.after)


def _pause_problems(sent: Preferences, *, now: datetime) -> list[Problem]:
    field = f"pause-{sent.slug}"
    first, last = pause_days(sent.subscription.newsletter, now=now)
    try:
        chosen = date.fromisoformat(sent.pause)
    except ValueError:
        return [Problem(field, gettext("This is not a date: it looks like %(example)s.", example=first.isoformat()))]
    if chosen < first:
        return [Problem(field, gettext("Choose a day to come: %(day)s at the earliest.", day=day(first)))]
    if chosen > last:
        return [Problem(field, gettext("A pause lasts a year at most: %(day)s at the latest.", day=day(last)))]
    return []
