"""Says in words when a newsletter comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import time

from newsletter.newsletters.models import Frequency, Newsletter, Rhythm
from newsletter.web.speech import N_, gettext

WEEKDAYS = (
    N_("every Monday at %(time)s"),
    N_("every Tuesday at %(time)s"),
    N_("every Wednesday at %(time)s"),
    N_("every Thursday at %(time)s"),
    N_("every Friday at %(time)s"),
    N_("every Saturday at %(time)s"),
    N_("every Sunday at %(time)s"),
)
PLAIN = {
    Frequency.IMMEDIATE: N_("as soon as there is news"),
    Frequency.DAILY: N_("every day"),
    Frequency.WEEKLY: N_("every week"),
    Frequency.MONTHLY: N_("every month"),
}


def in_words(rhythm: Rhythm) -> str:
    """Write a rhythm: every Monday at 8:00."""
    at = _clock(rhythm.at)
    if rhythm.frequency is Frequency.DAILY:
        return gettext("every day at %(time)s", time=at)
    if rhythm.frequency is Frequency.WEEKLY and rhythm.weekday is not None:
        return gettext(WEEKDAYS[rhythm.weekday], time=at)
    if rhythm.frequency is Frequency.MONTHLY and rhythm.day is not None:
        if rhythm.day == 1:
            return gettext("on the first of the month at %(time)s", time=at)
        return gettext("on day %(day)s of the month at %(time)s", day=rhythm.day, time=at)
    return gettext(PLAIN[rhythm.frequency])


def rhythms_in_words(newsletter: Newsletter) -> list[str]:
    """Write every rhythm that a newsletter offers."""
    return [in_words(rhythm) for rhythm in newsletter.rhythms]


def frequency_in_words(newsletter: Newsletter, frequency: Frequency) -> str:
    """Write a newsletter's rhythm of this frequency, or the bare frequency where it has none any more."""
    found = (in_words(rhythm) for rhythm in newsletter.rhythms if rhythm.frequency is frequency)
    return next(found, gettext(PLAIN[frequency]))


def frequencies_offered(newsletters: Sequence[Newsletter]) -> list[tuple[Frequency, str]]:
    """Return what one can choose among these newsletters; with the hour where it is the same for all."""
    offered = dict.fromkeys(rhythm.frequency for newsletter in newsletters for rhythm in newsletter.rhythms)
    return [(frequency, _common(newsletters, frequency)) for frequency in offered]


def _common(newsletters: Iterable[Newsletter], frequency: Frequency) -> str:
    words = {in_words(each) for newsletter in newsletters for each in newsletter.rhythms if each.frequency is frequency}
    return words.pop() if len(words) == 1 else gettext(PLAIN[frequency])


def _clock(at: time) -> str:
    if at.minute:
        return gettext("%(hour)s:%(minute)s", hour=at.hour, minute=f"{at.minute:02}")
    return gettext("%(hour)s:00", hour=at.hour)
