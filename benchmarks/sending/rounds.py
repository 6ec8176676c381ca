"""Several senders in turns, on the same machine at the same moment, and the medians of what they cost."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import median
from typing import Protocol

from benchmarks.sending.measure import Cost
from benchmarks.sending.servers import Server


class Contender(Protocol):
    """Somebody who sends to a port."""

    @property
    def name(self) -> str: ...

    def send(self, port: int) -> Cost: ...


class Results:
    """What each contender cost in each round, by its name."""

    def __init__(self, costs: dict[str, list[Cost]], servers: dict[str, list[float]]) -> None:
        self.costs = costs
        self._servers = servers

    def rate(self, name: str) -> float:
        return median(cost.rate for cost in self.costs[name])

    def cpu_per_thousand(self, name: str) -> float:
        return median(cost.cpu_per_thousand for cost in self.costs[name])

    def peak_mb(self, name: str) -> float:
        return median(cost.peak_mb for cost in self.costs[name])

    def grown_mb(self, name: str) -> float:
        return median(cost.grown_mb for cost in self.costs[name])

    def ratio(self, name: str, other: str) -> float:
        """Return how many times as fast one is as the other: the median of the rounds' own ratios.

        Both sides of a ratio come from the same moment, so that a neighbour's load weighs on both.
        """
        pairs = zip(self.costs[name], self.costs[other], strict=True)
        return median(one.rate / another.rate for one, another in pairs)

    def server_shares(self) -> dict[str, float]:
        """Return how many cores were busy with the server, by whoever sent; empty if it does not say."""
        return {
            name: median(cpu / cost.seconds for cpu, cost in zip(cpus, self.costs[name], strict=True))
            for name, cpus in self._servers.items()
            if cpus
        }


def compare(
    contenders: Sequence[Contender], server: Callable[[], AbstractContextManager[Server]], *, runs: int
) -> Results:
    """Let each contender send once per round, each to a server of its own."""
    costs: dict[str, list[Cost]] = {each.name: [] for each in contenders}
    servers: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(runs):
        # In turns from either end, so that nobody always runs into what another left behind.
        for each in contenders if number % 2 == 0 else reversed(contenders):
            gc.collect()
            with server() as there:
                cost = each.send(there.port)
            if there.messages not in {None, cost.mails}:
                raise RuntimeError(f"{each.name} sent {cost.mails} mails, the server counted {there.messages}")
            costs[each.name].append(cost)
            servers[each.name] += [] if there.cpu is None else [there.cpu]
            print(f"  round {number + 1}: {each.name}: {cost.rate:,.0f}/s", file=sys.stderr, flush=True)
    return Results(costs, servers)
