"""What a run costs, as its own process sees it."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What one measured process used: moments of the machine's monotonic clock, CPU seconds, memory in MB.

    `grown_mb` is how far the peak rose above what the process held when it was ready to begin.
    """

    mails: int
    began: float
    ended: float
    cpu: float
    peak_mb: float
    grown_mb: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def rate(self) -> float:
        return self.mails / self.seconds

    @property
    def cpu_per_thousand(self) -> float:
        return self.cpu / self.mails * 1000


def joined(costs: list[Cost]) -> Cost:
    """Return what several processes that worked on the same mails at once cost together; memory is the largest's."""
    return Cost(
        mails=sum(cost.mails for cost in costs),
        began=min(cost.began for cost in costs),
        ended=max(cost.ended for cost in costs),
        cpu=sum(cost.cpu for cost in costs),
        peak_mb=max(cost.peak_mb for cost in costs),
        grown_mb=max(cost.grown_mb for cost in costs),
    )


class Meter:
    """Runs from its making to `stop`."""

    def __init__(self) -> None:
        self._held = peak_mb()
        self._cpu = cpu_seconds()
        self._began = time.monotonic()

    def stop(self, mails: int) -> Cost:
        ended = time.monotonic()
        peak = peak_mb()
        return Cost(mails, self._began, ended, cpu_seconds() - self._cpu, peak, peak - self._held)


def cpu_seconds() -> float:
    """Return the user and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb(process: int | str = "self") -> float:
    """Return the peak of a process's resident memory; getrusage would count that of its parent before exec."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


class PeakOf:
    """Looks at the memory of a process that cannot tell itself, ten times a second until `stop`."""

    def __init__(self, process: int) -> None:
        self.megabytes = 0.0
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            with suppress(OSError):
                self.megabytes = max(self.megabytes, peak_mb(self._process))
