"""How many values one statement may name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Result, any_, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute

from newsletter.db.database import Work
from newsletter.db.schema import Moment

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


class Statement:
    """A statement that is run thousands of times a second: written out once for both databases.

    `{ids}` in it stands for "is one of these numbers"; parameters named in `moments` are moments.
    """

    def __init__(self, sql: str, *, moments: Sequence[str] = ()) -> None:
        typed = [bindparam(name, type_=Moment()) for name in moments]
        self._on_sqlite = text(sql.format(ids="IN (SELECT value FROM json_each(:ids))")).bindparams(*typed)
        self._on_postgresql = text(sql.format(ids="= ANY(:ids)")).bindparams(
            *typed, bindparam("ids", type_=ARRAY(BigInteger))
        )

    def run(self, work: Work, ids: Sequence[int], **values: object) -> Result[Any]:
        """Run it for these numbers, which need no order and may be none."""
        if work.is_sqlite:
            return work.session.execute(self._on_sqlite, {"ids": json.dumps(ids), **values})
        return work.session.execute(self._on_postgresql, {"ids": list(ids), **values})
