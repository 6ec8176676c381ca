"""Which articles a reader is given: the rules of “since last”, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from newsletter.issues.digest import Candidate, Chosen, Reader, choose, is_checked

HEALTH, WORK, SCHOOLS = 30, 10, 20  # their positions, not their numbers, decide
ORDER = {HEALTH: 1, WORK: 2, SCHOOLS: 3}
DAY = datetime(2026, 11, 16, tzinfo=UTC)


def row(sequence: int, article: int, topic: int = HEALTH, language: str = "fr", **more: Any) -> Candidate:
    values = {"group_id": article, "carried": False, "withdrawn": False, "dated": DAY, **more}
    return Candidate(sequence=sequence, article_id=article, topic_id=topic, language=language, **values)


def reader(*languages: str, watermark: int = 0, topics: Sequence[int] = (HEALTH, WORK, SCHOOLS), **more: Any) -> Reader:
    spoken = tuple((code, 0) for code in languages or ("fr",))
    return Reader(spoken, tuple((topic, 0) for topic in topics), watermark, **more)


def given_to(who: Reader, *rows: Candidate, cut: int = 99) -> list[Chosen]:
    groups: dict[int, list[Candidate]] = {}
    for each in rows:
        groups.setdefault(each.group_id, []).append(each)
    return choose(groups, who, cut=cut, topic_order=ORDER)


def articles(who: Reader, *rows: Candidate, cut: int = 99) -> list[int]:
    return [each.article_id for each in given_to(who, *rows, cut=cut)]


def test_what_is_new_is_given_and_what_was_there_before_is_not() -> None:
    assert articles(reader(watermark=5), row(5, 1), row(6, 2)) == [2]


def test_what_became_available_after_the_cut_waits() -> None:
    assert articles(reader(), row(5, 1), row(6, 2), cut=5) == [1]


def test_only_chosen_topics_and_languages_count() -> None:
    french_health = reader("fr", topics=[HEALTH])
    assert articles(french_health, row(1, 1), row(2, 2, topic=WORK), row(3, 3, language="ar")) == [1]


def test_of_several_versions_the_preferred_language_is_given_once() -> None:
    versions = (row(1, 1, language="fr"), row(2, 2, language="ar", group_id=1))
    assert articles(reader("ar", "fr"), *versions) == [2]
    assert articles(reader("fr", "ar"), *versions) == [1]
    assert articles(reader("en", "ar"), *versions) == [2]
    assert articles(reader("en"), *versions) == []


def test_of_two_versions_in_one_language_the_newest_is_given() -> None:
    assert articles(reader(), row(1, 1), row(2, 2, group_id=1)) == [2]


def test_an_article_stands_under_the_first_of_its_topics_that_the_reader_chose() -> None:
    rows = (row(1, 1, topic=SCHOOLS), row(2, 1, topic=HEALTH), row(3, 1, topic=WORK))
    assert given_to(reader(), *rows) == [Chosen(HEALTH, 1)]
    assert given_to(reader(topics=[SCHOOLS, WORK]), *rows) == [Chosen(WORK, 1)]


def test_a_late_topic_brings_nothing_twice() -> None:
    rows = (row(3, 1, topic=WORK), row(8, 1, topic=HEALTH))
    assert articles(reader(watermark=5), *rows) == []
    assert articles(reader(watermark=5, topics=[HEALTH]), *rows) == [1]


def test_a_late_translation_brings_nothing_twice() -> None:
    rows = (row(3, 1, language="fr"), row(8, 2, language="ar", group_id=1))
    assert articles(reader("ar", "fr", watermark=5), *rows) == []
    assert articles(reader("ar", watermark=5), *rows) == [2]


def test_a_topic_counts_from_where_it_was_added() -> None:
    late = replace(reader(), topics=((HEALTH, 4),))
    assert articles(late, row(4, 1), row(5, 2)) == [2]


def test_a_language_counts_from_where_it_was_added() -> None:
    late = replace(reader(), languages=(("ar", 0), ("fr", 4)))
    assert set(articles(late, row(4, 1), row(5, 2), row(1, 3, language="ar"))) == {2, 3}


def test_what_the_reader_holds_is_not_given_again() -> None:
    assert articles(reader(held=frozenset({1})), row(1, 1), row(2, 2)) == [2]


def test_a_withdrawn_article_is_not_given() -> None:
    assert articles(reader(), row(1, 1, withdrawn=True)) == []


def test_a_translation_stands_in_for_a_withdrawn_version() -> None:
    rows = (row(1, 1, withdrawn=True), row(2, 2, language="ar", group_id=1))
    assert articles(reader("fr", "ar"), *rows) == [2]


def test_a_withdrawn_version_below_the_watermark_does_not_count_as_given() -> None:
    """It may have been passed by the watermark without having been in a mail."""
    rows = (row(3, 1, withdrawn=True), row(8, 2, language="ar", group_id=1))
    assert articles(reader("fr", "ar", watermark=5), *rows) == [2]
    assert articles(reader("fr", "ar", watermark=5, held=frozenset({1})), *rows) == []


def test_a_carried_group_is_given_to_whoever_does_not_hold_it() -> None:
    rows = (row(3, 1), row(8, 1, carried=True))
    assert articles(reader(watermark=5), *rows) == [1]
    assert articles(reader(watermark=5, held=frozenset({1})), *rows) == []
    assert articles(reader(watermark=8), *rows) == []


def test_groups_that_watermarks_cannot_speak_for_are_checked() -> None:
    assert is_checked([row(1, 1), row(2, 1, carried=True)])
    assert is_checked([row(1, 1), row(2, 2, withdrawn=True)])
    assert not is_checked([row(1, 1), row(2, 2)])


def test_topics_stand_in_their_order_and_the_newest_article_first() -> None:
    rows = (
        row(1, 1, topic=WORK, dated=DAY),
        row(2, 2, topic=HEALTH, dated=DAY),
        row(3, 3, topic=HEALTH, dated=DAY + timedelta(hours=1)),
        row(4, 4, topic=HEALTH, dated=DAY),
    )
    assert given_to(reader(), *rows) == [Chosen(HEALTH, 3), Chosen(HEALTH, 4), Chosen(HEALTH, 2), Chosen(WORK, 1)]


@st.composite
def stories(draw: st.DrawFn) -> list[Candidate]:
    """Return availabilities as articles really have them: one language, one group, one moment each."""
    known = {
        number: {
            "language": draw(st.sampled_from(["fr", "ar", "en"])),
            "group_id": draw(st.integers(1, 4)),
            "withdrawn": draw(st.booleans()),
            "dated": DAY + timedelta(hours=draw(st.integers(0, 5))),
        }
        for number in range(1, draw(st.integers(1, 6)) + 1)
    }
    pairs = draw(st.lists(st.tuples(st.sampled_from(sorted(known)), st.sampled_from(sorted(ORDER))), max_size=12))
    return [
        row(sequence, article, topic, carried=draw(st.booleans()), **known[article])
        for sequence, (article, topic) in enumerate(pairs, 1)
    ]


readers = st.builds(
    Reader,
    st.lists(st.sampled_from(["fr", "ar", "en"]), min_size=1, unique=True).flatmap(
        lambda codes: st.tuples(*(st.tuples(st.just(code), st.integers(0, 6)) for code in codes))
    ),
    st.lists(st.sampled_from(sorted(ORDER)), min_size=1, unique=True).flatmap(
        lambda topics: st.tuples(*(st.tuples(st.just(topic), st.integers(0, 6)) for topic in topics))
    ),
    st.integers(0, 12),
    st.frozensets(st.integers(1, 4), max_size=2),
)


@given(stories(), readers, st.integers(0, 14))
def test_a_reader_is_never_given_what_is_not_theirs(rows: list[Candidate], who: Reader, cut: int) -> None:
    chosen = given_to(who, *rows, cut=cut)
    by_article = {each.article_id: each for each in rows}
    groups = [by_article[each.article_id].group_id for each in chosen]
    assert len(groups) == len(set(groups)), "two versions of one piece"
    assert not who.held & set(groups)
    for each in chosen:
        article = by_article[each.article_id]
        assert not article.withdrawn
        assert article.language in dict(who.languages)
        assert each.topic_id in dict(who.topics)


@given(stories(), readers, st.integers(0, 14))
def test_what_was_given_is_not_given_again(rows: list[Candidate], who: Reader, cut: int) -> None:
    """Whatever becomes of watermarks: what a reader holds after an issue is in no later one."""
    by_article = {each.article_id: each.group_id for each in rows}
    first = {by_article[each.article_id] for each in given_to(who, *rows, cut=cut)}
    served = replace(who, watermark=max(who.watermark, cut))
    assert articles(served, *rows, cut=cut) == []
    later = {by_article[each.article_id] for each in given_to(replace(served, held=who.held | first), *rows)}
    assert not first & later


@given(stories(), readers)
def test_nobody_loses_by_being_served_in_two_steps(rows: list[Candidate], who: Reader) -> None:
    """A piece that one issue would have held is in the first or the second of two."""
    plain = [replace(each, carried=False, withdrawn=False) for each in rows]
    by_article = {each.article_id: each.group_id for each in plain}
    whole = {by_article[article] for article in articles(who, *plain)}
    first = {by_article[article] for article in articles(who, *plain, cut=5)}
    served = replace(who, watermark=max(who.watermark, 5), held=who.held | first)
    second = {by_article[article] for article in articles(served, *plain)}
    assert whole <= first | second
    assert not first & second
