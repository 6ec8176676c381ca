"""The loop that sends: looks often and cheaply, backs off when something does not answer, stops in good order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from newsletter.base.errors import Unavailable
from newsletter.bootstrap import Parts
from newsletter.deliveries.models import LaneName
from newsletter.operations.sending import TRANSACTIONAL, Postroom, send_due
from newsletter.operations.stopping import STOPPING, StoppableBackend

log = logging.getLogger(__name__)
EVERY = 0.3  # seconds between two looks: a confirmation leaves within one
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds, while the database does not answer
FIRST_STOP, LONGEST_STOP = 60.0, 900.0  # seconds, while the mail server stops us


def keep_sending(postroom: Postroom, *, lanes: Sequence[LaneName], stop: threading.Event) -> None:
    """Send what is due of these lanes until `stop` is set; then finish the window in flight and give the rest back."""
    postroom = replace(postroom, backend=StoppableBackend(postroom.backend, stop))
    troubles, wait = 0, 0.0
    while not stop.wait(wait):
        trouble, wait = _once(postroom, lanes, troubles)
        troubles = troubles + 1 if trouble else 0


def _once(postroom: Postroom, lanes: Sequence[LaneName], troubles: int) -> tuple[bool, float]:
    """Send once; say whether that was any trouble, and how long to wait."""
    try:
        sent = send_due(postroom, lanes=lanes)
    except Unavailable as error:
        log.warning("%s", error)
        return True, _doubled(FIRST_PAUSE, LONGEST_PAUSE, troubles)
    except Exception:
        # A door's outermost wall, as a web server's is: the site stays up, and the next look may fare better.
        log.exception("sending failed")
        return True, _doubled(FIRST_PAUSE, LONGEST_PAUSE, troubles)
    if sent.stopped is not None and not sent.stopped.startswith(STOPPING):
        pause = _doubled(FIRST_STOP, LONGEST_STOP, troubles)
        log.warning("sending stopped, again in %.0f s: %s", pause, sent.stopped)
        return True, pause
    return False, EVERY


def _doubled(first: float, longest: float, troubles: int) -> float:
    return min(first * 2.0 ** min(troubles, 20), longest)


@contextmanager
def sending_beside(parts: Parts) -> Iterator[None]:
    """Mail confirmations and notices in a thread of its own as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(
        target=keep_sending, args=(parts.postroom,), kwargs={"lanes": TRANSACTIONAL, "stop": stop}, name="sending"
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
