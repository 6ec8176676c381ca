"""How many values one statement may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

MOST_PARAMETERS = 10_000  # SQLite takes 32,766 and PostgreSQL 65,535, each statement some of its own among them
T = TypeVar("T")


def in_chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield the values in lists that one statement can name."""
    every = list(values)
    for start in range(0, len(every), MOST_PARAMETERS):
        yield every[start : start + MOST_PARAMETERS]
