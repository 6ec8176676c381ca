"""What each cohort of an issue is to get, remembered for as long as nothing it follows from changes.

Articles may be withdrawn, reinstated, paired or corrected between two slices, and no reader shall pay for the slice he
happens to be in: what was chosen is used again only while all that it was chosen from is the same. Nothing here is
a number that a work which failed might have given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from newsletter.issues import digest
from newsletter.issues.digest import Candidate, Chosen, Reader
from newsletter.subscriptions.models import Choice, Form


@dataclass(frozen=True, slots=True)
class CohortKey:
    """What readers of one cohort have in common; `held` lists group numbers, separated by commas."""

    choice_id: int
    watermark: int
    held: str


@dataclass(frozen=True, slots=True)
class Content:
    """What an edition holds; the fingerprint is the same for the same content only."""

    language: str
    form: Form
    chosen: Sequence[Chosen]
    versions: Mapping[int, int]
    fingerprint: str

    @classmethod
    def of(cls, language: str, form: Form, chosen: Sequence[Chosen], versions: Mapping[int, int]) -> Content:
        """Return the content with these articles in these versions (others in `versions` do not matter)."""
        own = {each.article_id: versions[each.article_id] for each in chosen}
        articles = " ".join(f"{each.topic_id}:{each.article_id}.{own[each.article_id]}" for each in chosen)
        return cls(language, form, chosen, own, sha256(f"{language} {form} {articles}".encode()).hexdigest())


@dataclass(frozen=True)
class Basis:
    """What one chooses from: the groups with an availability of the newsletter's topics in (above, cut]."""

    above: int
    cut: int
    topic_order: Mapping[int, int]
    groups: Mapping[int, Sequence[Candidate]]
    versions: Mapping[int, int]

    def agrees(self, other: Basis) -> bool:
        """Say whether readers with watermarks that both know get the same from either."""
        above = max(self.above, other.above)
        return (self.cut, self.topic_order) == (other.cut, other.topic_order) and self._from(above) == other._from(
            above
        )

    def newer(self, topic_ids: Iterable[int], *, watermark: int) -> dict[int, Sequence[Candidate]]:
        """Return the groups with an availability under one of these topics above the watermark."""
        return {
            number: self.groups[number]
            for topic_id in topic_ids
            for number, newest in self._by_topic.get(topic_id, {}).items()
            if newest > watermark
        }

    @cached_property
    def _by_topic(self) -> dict[int, dict[int, int]]:
        """By topic, each group with the newest sequence under it."""
        found: dict[int, dict[int, int]] = {}
        for number, rows in self.groups.items():
            for row in rows:
                groups = found.setdefault(row.topic_id, {})
                groups[number] = max(row.sequence, groups.get(number, 0))
        return found

    def _from(self, above: int) -> dict[int, tuple[Sequence[Candidate], list[int]]]:
        return {
            number: (rows, [self.versions[row.article_id] for row in rows])
            for number, rows in self.groups.items()
            if any(row.sequence > above and row.topic_id in self.topic_order for row in rows)
        }


class Remembered:
    """What was chosen for the cohorts of earlier slices."""

    def __init__(self) -> None:
        self._basis = Basis(above=0, cut=0, topic_order={}, groups={}, versions={})
        self._contents: dict[CohortKey, Content | None] = {}

    def choose_from(self, basis: Basis) -> None:
        """Choose from this from now on, and forget what does not follow from it."""
        if not self._basis.agrees(basis):
            self._contents.clear()
            self._basis = basis
        elif basis.above < self._basis.above:
            self._basis = basis

    def knows(self, key: CohortKey) -> bool:
        return key in self._contents

    def content(self, key: CohortKey, choices: Mapping[int, Choice]) -> Content | None:
        """Return what readers with this in common get; None if there is nothing new for them."""
        if key not in self._contents:
            self._contents[key] = _chosen(self._basis, key, choices[key.choice_id])
        return self._contents[key]


def _chosen(basis: Basis, key: CohortKey, choice: Choice) -> Content | None:
    reader = Reader(
        languages=tuple(choice.languages_since),
        topics=tuple(choice.topics_since),
        watermark=key.watermark,
        held=frozenset(int(group) for group in key.held.split(",") if group),
    )
    newer = basis.newer(choice.topic_ids, watermark=key.watermark)
    chosen = digest.choose(newer, reader, cut=basis.cut, topic_order=basis.topic_order)
    return Content.of(choice.language_codes[0], choice.form, chosen, basis.versions) if chosen else None
