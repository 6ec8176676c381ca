from __future__ import annotations

from datetime import time

import pytest
from flask import Flask

from newsletter.newsletters.models import Frequency, Newsletter, Rhythm
from newsletter.web.rhythm import frequencies_offered, in_words
from newsletter.web.speech import speak

NBSP = "\u00a0"
MONDAY = Rhythm(frequency=Frequency.WEEKLY, weekday=0, at=time(8))
SUNDAY = Rhythm(frequency=Frequency.WEEKLY, weekday=6, at=time(18, 5))
DAILY = Rhythm(frequency=Frequency.DAILY, at=time(7, 30))
FIRST = Rhythm(frequency=Frequency.MONTHLY, day=1, at=time(9))
MIDDLE = Rhythm(frequency=Frequency.MONTHLY, day=15, at=time(9))
AT_ONCE = Rhythm(frequency=Frequency.IMMEDIATE, at=time(0))


@pytest.mark.parametrize(
    ("code", "rhythm", "words"),
    [
        ("fr", MONDAY, f"chaque lundi à 8{NBSP}h"),
        ("fr", SUNDAY, f"chaque dimanche à 18{NBSP}h{NBSP}05"),
        ("fr", FIRST, f"le premier du mois à 9{NBSP}h"),
        ("fr", MIDDLE, f"le 15 du mois à 9{NBSP}h"),
        ("fr", AT_ONCE, "dès qu’il y a du nouveau"),
        ("ar", MONDAY, "كل يوم إثنين على الساعة 8:00"),
        ("ar", DAILY, "كل يوم على الساعة 7:30"),
        ("en", MONDAY, "every Monday at 8:00"),
        ("en", DAILY, "every day at 7:30"),
    ],
)
def test_a_rhythm_is_said_as_people_say_it(app: Flask, code: str, rhythm: Rhythm, words: str) -> None:
    with app.test_request_context():
        speak(code)
        assert in_words(rhythm) == words


def test_the_hour_is_said_only_where_it_is_the_same_for_all(app: Flask) -> None:
    one = Newsletter(rhythms=[Rhythm(frequency=Frequency.WEEKLY, weekday=0, at=time(8)), DAILY])
    other = Newsletter(rhythms=[Rhythm(frequency=Frequency.WEEKLY, weekday=3, at=time(8))])
    with app.test_request_context():
        speak("en")
        assert frequencies_offered([one, other]) == [
            (Frequency.WEEKLY, "every week"),
            (Frequency.DAILY, "every day at 7:30"),
        ]
