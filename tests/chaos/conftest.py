"""What the chaos tests ask for: how many kills, a place to send from, and the table that they fill in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from audit import Audit, Judge
from house import Furnish, House, house
from relay import counting_server

COLUMNS = (
    "scenario",
    "database",
    "mails",
    "kills",
    "lost",
    "unexplained",
    "copies",
    "held",
    "in doubt",
    "allowed",
    "verdict",
)


@pytest.fixture
def kills() -> int:
    """How often to kill: `make chaos` says so by CHAOS_KILLS."""
    return int(os.environ.get("CHAOS_KILLS", "6"))


@pytest.fixture
def furnish(tmp_path: Path, fresh_database: Callable[[Path], str]) -> Iterator[Furnish]:
    """Return a function that makes a house with a counting server beside it."""
    with ExitStack() as stack:

        def make(
            *, readers: int, rate: float, in_doubt: str = "resend", refused: float = 2, database_url: str = ""
        ) -> House:
            relay = stack.enter_context(counting_server(tmp_path, rate=rate, refused=refused))
            url = database_url or fresh_database(tmp_path)
            return stack.enter_context(house(tmp_path, url, relay, readers=readers, in_doubt=in_doubt))

        yield make


@pytest.fixture
def judge(request: pytest.FixtureRequest, database_kind: str) -> Judge:
    """Return a function that writes a line of the table, and fails the test if anybody was lost or doubled unseen."""

    def say(scenario: str, found: Audit, *, allowed: int, disturbances: int) -> None:
        complaints = list(found.complaints)
        if max(found.doubts, found.copies, found.held) > allowed:
            complaints.append(
                f"{found.doubts} doubts, {found.copies} copies and {found.held} held, allowed are {allowed}"
            )
        cells = [scenario, database_kind, found.mails, disturbances, len(found.lost), len(found.unexplained)]
        cells += [found.copies, found.held, found.doubts, allowed, "FAILED" if complaints else "ok"]
        request.node.user_properties.append(("chaos", [str(cell) for cell in cells]))
        assert not complaints, f"{len(complaints)} complaints, such as " + "; ".join(complaints[:5])

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    rows = [
        cells
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, cells in report.user_properties
        if name == "chaos"
    ]
    if not rows:
        return
    widths = [max(len(row[place]) for row in [list(COLUMNS), *rows]) for place in range(len(COLUMNS))]
    terminalreporter.section("chaos")
    for row in (list(COLUMNS), ["-" * width for width in widths], *rows):
        terminalreporter.write_line(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
