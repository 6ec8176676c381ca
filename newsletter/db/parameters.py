"""How many values one statement may name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from newsletter.db.database import Work

MOST_PARAMETERS = 10_000  # SQLite takes 32,766 and PostgreSQL 65,535, each statement some of its own among them
T = TypeVar("T")


def in_chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield the values in lists that one statement can name."""
    every = list(values)
    for start in range(0, len(every), MOST_PARAMETERS):
        yield every[start : start + MOST_PARAMETERS]


def among(work: Work, column: InstrumentedAttribute[Any], numbers: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that a number is one of these: one parameter however many, so that the statement is kept."""
    if work.is_sqlite:
        listed = func.json_each(json.dumps(list(numbers))).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(literal(list(numbers), ARRAY(BigInteger)))
