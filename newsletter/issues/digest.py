"""Which articles a reader gets, and in which language: the pure rules of “since last”."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """An availability, with what the rules need to know of its article."""

    sequence: int
    article_id: int
    group_id: int
    topic_id: int
    language: str
    carried: bool
    withdrawn: bool
    dated: datetime


@dataclass(frozen=True, slots=True)
class Reader:
    """What readers of one cohort have in common; each topic and language counts from a sequence on."""

    languages: tuple[tuple[str, int], ...]
    topics: tuple[tuple[int, int], ...]
    watermark: int
    held: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Chosen:
    """An article, and the topic under which it stands."""

    topic_id: int
    article_id: int


def is_checked(rows: Iterable[Candidate]) -> bool:
    """Say whether a group is given only to those whose editions hold it, whatever their watermark says.

    A carried group was passed by watermarks without being in the mail, and so may have been a withdrawn article.
    """
    return any(row.carried or row.withdrawn for row in rows)


def choose(
    groups: Mapping[int, Sequence[Candidate]], reader: Reader, *, cut: int, topic_order: Mapping[int, int]
) -> list[Chosen]:
    """Return what became available to this reader and was not given: one version of each group, in reading order.

    `groups` holds, for each group with a row above the reader's watermark, all its rows, old and new.
    """
    picked = []
    for group_id, rows in groups.items():
        counting = _counting(rows, reader, cut)
        if group_id not in reader.held and _is_eligible(rows, counting, reader.watermark):
            picked.append(_best(counting, reader, topic_order))
    newest_first = sorted(picked, key=lambda row: (row.dated, row.article_id), reverse=True)
    return [
        Chosen(row.topic_id, row.article_id) for row in sorted(newest_first, key=lambda row: topic_order[row.topic_id])
    ]


def _counting(rows: Sequence[Candidate], reader: Reader, cut: int) -> list[Candidate]:
    topics, languages = dict(reader.topics), dict(reader.languages)
    return [
        row
        for row in rows
        if row.sequence <= cut
        and row.topic_id in topics
        and row.language in languages
        and row.sequence > max(topics[row.topic_id], languages[row.language])
    ]


def _is_eligible(rows: Sequence[Candidate], counting: Sequence[Candidate], watermark: int) -> bool:
    if not any(row.sequence > watermark and not row.withdrawn for row in counting):
        return False
    return is_checked(rows) or all(row.sequence > watermark for row in counting)


def _best(counting: Sequence[Candidate], reader: Reader, topic_order: Mapping[int, int]) -> Candidate:
    """Pick the version in the most preferred language, under the first of its topics."""
    rank = {code: place for place, (code, _) in enumerate(reader.languages)}
    live = [row for row in counting if not row.withdrawn]
    return min(live, key=lambda row: (rank[row.language], -row.article_id, topic_order[row.topic_id]))
