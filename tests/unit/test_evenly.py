"""Answers take a whole multiple of a time, whatever was done and however it ended."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.web.evenly import whole_multiple_of


class Watch:
    """A stopwatch that runs only while somebody works or sleeps."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds


@given(st.floats(0.001, 5), st.floats(0, 20))
def test_an_answer_takes_a_whole_multiple(step: float, work: float) -> None:
    watch = Watch()
    with whole_multiple_of(step, stopwatch=watch, sleep=watch.sleep):
        watch.sleep(work)
    took = (watch.seconds - 1000) / step
    assert math.isclose(took, round(took), abs_tol=1e-6)
    assert work <= watch.seconds - 1000 + 1e-6
    assert took <= work / step + 1 + 1e-6


def test_an_answer_that_is_an_error_takes_as_long() -> None:
    watch = Watch()

    def fail() -> None:
        with whole_multiple_of(2, stopwatch=watch, sleep=watch.sleep):
            watch.sleep(0.5)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert watch.seconds == 1002


def test_where_it_is_set_to_nothing_nobody_waits() -> None:
    watch = Watch()
    with whole_multiple_of(0, stopwatch=watch, sleep=watch.sleep):
        watch.sleep(0.5)
    assert watch.seconds == 1000.5
