"""The table at the end: what each server took, and what arrived there."""

from __future__ import annotations

import pytest

COLUMNS = ("server", "version", "TLS", "AUTH", "sent", "accepted", "arrived", "seconds")


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
    table = [COLUMNS, *(tuple(str(cell) for cell in row) for row in rows if isinstance(row, list | tuple))]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    terminalreporter.section("real servers")
    for row in table:
        cells = [
            cell.rjust(width) if column > 3 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        terminalreporter.write_line("  ".join(cells).rstrip())
