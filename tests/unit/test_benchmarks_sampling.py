"""The benchmark's profile puts CPU time where it was spent."""

from __future__ import annotations

import sys
import time

from benchmarks.sending.sampling import Sampler, place_of
from newsletter.mail.port import Message


def test_the_time_of_a_function_is_its_own() -> None:
    message = Message(1, "", "reader@example.org", tuple(bytes(10) for _ in range(20_000)))
    sampler = Sampler()
    sampler.start()
    due = time.process_time() + 0.1
    while time.process_time() < due:
        assert message.size == 200_000
    spent = sampler.stop()
    assert spent[0][0] == "mail/port: size"
    assert spent[0][1] > 0.03


def test_what_is_not_ours_is_elsewhere() -> None:
    assert place_of(sys._getframe()) == ("elsewhere", False)
