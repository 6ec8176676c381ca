"""Taking turns at SQLite's one lock, over all threads and processes of a machine.

SQLite lets whoever asks at the right moment have the lock: a sender that asks again at once would keep a person who
signs up waiting for seconds. Here one waits for the lock while the others wait behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = "-turn"  # of the file beside the database


@contextmanager
def in_turn(path: str | None) -> Iterator[None]:
    """Be the only one who asks for the lock of the database at `path`; whoever has it is not waited for."""
    try:
        descriptor = os.open(f"{path}{ENDING}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        # A folder that takes no file takes no work either, and SQLite says so best.
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
