"""The numbers on the page about privacy are those of the program."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.base.links import PREFERENCES_FOR
from newsletter.privacy import erasures, retention
from newsletter.subscriptions.actions import UNCONFIRMED_FOR
from newsletter.subscriptions.budgets import CONFIRMATIONS_A_DAY, CONFIRMATIONS_A_MONTH

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip(): cells[3].strip()
    for cells in (line.split("|") for line in PAGE.splitlines() if line.startswith("| "))
    if cells[1].strip() != "what"
}
DAY = timedelta(days=1)


def row(start: str) -> str:
    """Return how long something is kept, by how its row begins."""
    (found,) = [kept for what, kept in ROWS.items() if what.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("start", "kept"),
    [
        ("address", f"until {retention.ADDRESS_FOR // DAY} days after the last subscription"),
        ("address", f"{UNCONFIRMED_FOR // DAY} days if it was never confirmed"),
        ("subscriptions", f"{retention.HISTORY_FOR // (365 * DAY)} year after the address"),
        ("consents", f"{retention.HISTORY_FOR // (365 * DAY)} year after the address"),
        ("mails", f"{retention.HISTORY_FOR // (365 * DAY)} year after the address"),
        ("network", f"{retention.NETWORK_FOR // DAY} days"),
        ("a second address", f"{retention.REQUEST_ADDRESS_FOR // DAY} day,"),
        ("how many confirmations", f"{retention.BUDGET_FOR // DAY} days"),
        ("how many sign-ups", f"{retention.SIGN_UPS_FOR // DAY} days"),
    ],
)
def test_each_time_is_the_programs(start: str, kept: str) -> None:
    assert kept in row(start)


def test_budgets_links_and_names_are_the_programs() -> None:
    assert f"at most {CONFIRMATIONS_A_DAY} a day and {CONFIRMATIONS_A_MONTH} a month" in PAGE
    assert timedelta(hours=1) == PREFERENCES_FOR
    assert "good for one hour" in PAGE
    assert f"**{erasures.FILE}**" in PAGE


def test_every_rule_of_retention_has_its_row() -> None:
    rows = {
        "unconfirmed": "address",
        "addresses": "address",
        "networks": "network",
        "request_addresses": "a second address",
        "late_replies": "mails",
        "persons": "consents",
        "sign_up_counts": "how many sign-ups",
        "proofs_of_work": "proofs of work",
        "budget_entries": "how many confirmations",
    }
    assert set(rows) == {rule.name for rule in retention.rules()}
    assert all(row(start) for start in rows.values())
