"""Reading options: texts by language, topics, moments of the week, month and day."""

from __future__ import annotations

from contextlib import suppress
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import LANGUAGES
from newsletter.cli.describing import (
    UNSET_DOMAIN,
    describe,
    read_daily,
    read_monthly,
    read_texts,
    read_topic,
    read_weekly,
)
from newsletter.newsletters.models import Frequency

SITE = "http://127.0.0.1:8000"
texts = st.text(min_size=1).filter(lambda text: "=" not in text)


@given(st.dictionaries(st.sampled_from(sorted(LANGUAGES)), texts, min_size=1))
def test_texts_by_language_are_read_back_as_they_were_written(written: dict[str, str]) -> None:
    assert read_texts([f"{code}={text}" for code, text in written.items()]) == written


@given(texts)
def test_a_text_without_a_language_is_for_all(text: str) -> None:
    new = describe(None, {"slug": "hebdo", "names": read_texts([text])}, base_url=SITE)
    assert new.names == dict.fromkeys(LANGUAGES, text)
    assert new.institution == new.names


@given(
    st.from_regex(r"[a-z][a-z0-9-]{1,20}", fullmatch=True),
    st.dictionaries(st.sampled_from(sorted(LANGUAGES)), texts, min_size=1),
)
def test_topics_are_read_back_as_they_were_written(slug: str, names: dict[str, str]) -> None:
    written = ",".join(f"{code}={name}" for code, name in names.items())
    assert read_topic(f"{slug}:{written}") == {"slug": slug, "names": names}


@given(st.text())
def test_whatever_is_written_is_read_or_refused_in_words(text: str) -> None:
    for read in (read_weekly, read_monthly, read_daily, read_topic, lambda value: read_texts([value])):
        with suppress(InvalidInput):
            read(text)


@pytest.mark.parametrize(
    ("written", "weekday", "at"),
    [("monday@08:00", 0, time(8)), ("lundi", 0, time(8)), ("Sun@23:30", 6, time(23, 30)), ("mer@7:05", 2, None)],
)
def test_days_of_the_week_are_read_in_english_and_french(written: str, weekday: int, at: time | None) -> None:
    options = {"slug": "hebdo", "names": {"": "L'hebdo"}}
    if at is None:
        with pytest.raises(InvalidInput, match="7:05"):
            read_weekly(written)
        return
    [rhythm] = describe(None, {**options, "weekly": read_weekly(written)}, base_url=SITE).rhythms
    assert (rhythm.frequency, rhythm.weekday, rhythm.at) == (Frequency.WEEKLY, weekday, at)


def test_the_languages_are_those_of_its_names() -> None:
    new = describe(None, {"slug": "hebdo", "names": {"ar": "الأسبوعية", "fr": "L’hebdo"}}, base_url=SITE)
    assert new.languages == ["fr", "ar"]


def test_one_language_may_be_named_and_the_others_share_a_name() -> None:
    new = describe(None, {"slug": "hebdo", "names": {"": "The Weekly", "fr": "L’hebdo"}}, base_url=SITE)
    assert new.names == {"fr": "L’hebdo", "ar": "The Weekly", "en": "The Weekly"}


@pytest.mark.parametrize(
    ("site", "domain"),
    [
        ("https://lettre.gov.ma", "lettre.gov.ma"),
        ("https://www.gov.ma/lettre", "gov.ma"),
        ("http://127.0.0.1:8000", UNSET_DOMAIN),
        ("http://localhost:8000", UNSET_DOMAIN),
    ],
)
def test_mail_comes_from_the_sites_domain_where_it_has_one(site: str, domain: str) -> None:
    assert describe(None, {"slug": "hebdo", "names": {"": "L'hebdo"}}, base_url=site).mail_domain == domain


def test_a_field_that_is_unknown_or_wrong_is_named() -> None:
    with pytest.raises(InvalidInput, match="colour"):
        describe(None, {"slug": "hebdo", "names": {"": "L'hebdo"}, "colour": "red"}, base_url=SITE)
    with pytest.raises(InvalidInput, match=r"weekly\.weekday"):
        describe(None, {"slug": "hebdo", "names": {"": "L'hebdo"}, "weekly": {"weekday": "x"}}, base_url=SITE)
