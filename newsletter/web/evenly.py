"""Answers that take a whole multiple of a time, so that how long they took tells nothing about an address."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from newsletter.web.current import parts

P = ParamSpec("P")
R = TypeVar("R")


def evenly(view: Callable[P, R]) -> Callable[P, R]:
    """Let this view's answers take a whole multiple of the time that the settings name, errors included."""

    @wraps(view)
    def slower(*args: P.args, **kwargs: P.kwargs) -> R:
        with whole_multiple_of(parts().settings.answers_take):
            return view(*args, **kwargs)

    return slower


@contextmanager
def whole_multiple_of(
    seconds: float,
    *,
    stopwatch: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Let what is done inside take a whole multiple of so many seconds; what it wrote is committed before the rest."""
    start = stopwatch()
    try:
        yield
    finally:
        if seconds > 0:
            sleep(seconds - (stopwatch() - start) % seconds)
