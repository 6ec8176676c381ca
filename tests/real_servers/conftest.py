"""The servers, one after the other; and at the end a table of what each of them took, and what arrived there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_chosen import CHOSEN, MORTAL, running
from real_parts import RealServer

from smtp_faults import CERTIFICATE

COLUMNS = ("server", "version", "TLS", "AUTH", "sent", "accepted", "arrived", "seconds")


@pytest.fixture(scope="session", params=CHOSEN)
def server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """Each of the servers, shared by all tests."""
    yield from running(request.param)


@pytest.fixture(params=MORTAL)
def mortal(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """Each of the servers that have processes of their own, for this test alone."""
    yield from running(request.param)


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the certificate of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        row
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, row in report.user_properties
        if name == "real server"
    ]
    if not rows:
        return
    table = [COLUMNS, *sorted(tuple(str(cell) for cell in row) for row in rows if isinstance(row, list | tuple))]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    terminalreporter.section("real servers")
    for row in table:
        cells = [
            cell.rjust(width) if column > 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        terminalreporter.write_line("  ".join(cells).rstrip())
