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
from newsletter.deliveries.sending import STOPPING
from newsletter.operations.reconciling import EVERY as RECONCILE_EVERY
from newsletter.operations.reconciling import take_back
from newsletter.operations.sending import TRANSACTIONAL, Postroom, send_due
from newsletter.worker.pauses import REST

log = logging.getLogger(__name__)
EVERY = 0.3  # seconds between two looks: a confirmation leaves within one
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds, while the database does not answer


def keep_sending(postroom: Postroom, *, lanes: Sequence[LaneName], stop: threading.Event) -> None:
    """Send what is due of these lanes until `stop` is set; then finish the window in flight and give the rest back."""
    postroom = replace(postroom, stop=stop)
    troubles, wait = 0, 0.0
    told: str | None = None
    while not stop.wait(wait):
        try:
            stopped = send_due(postroom, lanes=lanes).stopped
        except Unavailable as error:
            log.warning("%s", error)
        except Exception:
            # A door's outermost wall, as a web server's is: the site stays up, and the next look may fare better.
            log.exception("sending failed")
        else:
            if stopped not in {None, STOPPING, told}:
                log.warning("sending stopped: %s", stopped)
            troubles, wait, told = 0, REST if stopped else EVERY, stopped
            continue
        wait = _doubled(FIRST_PAUSE, LONGEST_PAUSE, troubles)
        troubles += 1


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


def keep_reconciling(postroom: Postroom, *, stop: threading.Event) -> None:
    """Take back the rows of dead senders every half minute until `stop` is set."""
    wait = 0.0
    while not stop.wait(wait):
        wait = RECONCILE_EVERY
        try:
            take_back(postroom.database, postroom.lanes, in_doubt=postroom.in_doubt)
        except Unavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("reconciling failed")


def send_in_threads(postroom: Postroom, *, transactional: int, digests: int, stop: threading.Event) -> None:
    """Send until `stop` is set; confirmations and notices in threads of their own, so that none waits for an issue."""
    loops = [threading.Thread(target=keep_reconciling, args=(postroom,), kwargs={"stop": stop}, name="reconciling")]
    for lanes, count in ((TRANSACTIONAL, transactional), ((LaneName.DIGEST,), digests)):
        wanted = {"lanes": lanes, "stop": stop}
        loops += [
            threading.Thread(target=keep_sending, args=(postroom,), kwargs=wanted, name="sending") for _ in range(count)
        ]
    for thread in loops:
        thread.start()
    stop.wait()
    for thread in loops:
        thread.join()
