"""`run --due --dry-run`: the same counts as the run that follows, and not one changed row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_line import MONDAY, SUNDAY, TUESDAY, Command
from sqlalchemy import select

from factories import make_reader
from newsletter.db.schema import Table
from newsletter.subscribers import actions as subscriber_actions
from newsletter.subscribers.models import Subscriber, SuppressionReason


def rows(command: Command) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with command.parts(MONDAY) as parts, parts.database.reading() as work:
        return {
            name: [tuple(row) for row in work.session.execute(select(table))]
            for name, table in Table.metadata.tables.items()
        }


def test_it_counts_what_the_run_then_does_and_changes_nothing(ready: Command, feed: Callable[..., Path]) -> None:
    ready("sources", "add", str(feed("Une nouvelle")))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        for address, languages in (
            ("salma@example.org", ["fr"]),
            ("nour@example.org", ["fr"]),
            ("idris@example.org", ["ar", "fr"]),
            ("grace@example.org", ["en"]),
        ):
            make_reader(parts, address, languages=languages)
        with parts.database.work() as work:
            nour = work.session.scalars(select(Subscriber).where(Subscriber.address == "nour@example.org")).one()
            subscriber_actions.suppress(work, address_hash=nour.address_hash, reason=SuppressionReason.HARD_BOUNCE)
    feed("Une nouvelle", "Une autre")
    ready("fetch", "--at", TUESDAY)

    before = rows(ready)
    [told] = ready.json("run", "--due", "--dry-run", "--at", MONDAY)
    assert rows(ready) == before
    assert told["is_due"]
    assert told["slot"] == "2026-11-23T08:00:00+00:00"
    counts = {each["language"]: (each["readers"], each["would_get"], each["passed_over"]) for each in told["languages"]}
    assert counts == {
        "fr": (2, 1, {"suppressed": 1}),
        "ar": (1, 1, {}),
        "en": (1, 0, {"nothing new": 1}),
    }

    [issue] = ready.json("run", "--due", "--at", MONDAY)["issues"]
    assert issue["books"]["audience"] == 4
    assert issue["books"]["accepted"] == 2
    assert issue["books"]["reasons"] == {"skipped": {"suppressed": 1, "nothing new": 1}}


def test_between_slots_it_names_the_next_one_and_counts_as_if_it_were_now(
    ready: Command, feed: Callable[..., Path]
) -> None:
    ready("sources", "add", str(feed("Une nouvelle")))
    with ready.parts(TUESDAY) as parts:
        make_reader(parts, "salma@example.org")
    ready("fetch", "--at", TUESDAY)
    ready("run", "--due", "--at", MONDAY)
    said = ready("run", "--due", "--dry-run", "--at", "2026-11-24T12:00+00:00").stdout
    assert "next slot Mon 30 Nov 2026 08:00" in said
    assert "due now" not in said
    assert "1 nothing new" in said


def test_a_slot_that_is_too_late_is_told_to_wait_for_a_person(ready: Command) -> None:
    said = ready("run", "--due", "--dry-run", "--at", "2026-11-23T20:00+00:00").stdout
    assert "too late: it will wait for a person" in said
    assert "no readers yet" in said


def test_an_immediate_newsletter_is_due_once_something_is_published(
    newsletter: Command, feed: Callable[..., Path]
) -> None:
    newsletter("init")
    newsletter("newsletters", "add", "alertes", "--name", "fr=Alertes", "--immediate", "--at", SUNDAY)
    newsletter("sources", "add", str(feed("Une nouvelle")))
    assert "nothing was published" in newsletter("run", "--due", "--dry-run", "--at", TUESDAY).stdout
    newsletter("fetch", "--at", TUESDAY)
    assert "alertes immediate  due now" in newsletter("run", "--due", "--dry-run", "--at", TUESDAY).stdout
