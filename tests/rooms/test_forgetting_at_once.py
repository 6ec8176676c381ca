"""Two runs forget at once: each thing goes once, and neither run fails."""

from __future__ import annotations

import threading
from datetime import timedelta

from privacy_parts import erase, leave, newer_rows, rich_reader

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.operations.run_due import run_due
from newsletter.privacy.forgetting import forget


def test_two_runs_at_once_share_what_is_to_be_forgotten(parts: Parts, clock: SetClock) -> None:
    make_newsletter(parts)
    for number in range(30):
        gone, left = rich_reader(parts, f"gone{number}@example.org"), make_reader(parts, f"left{number}@example.org")
        run_due(parts.postroom)
        erase(parts, gone.subscriber_id)
        leave(parts, left.id)
    clock.advance(timedelta(days=2))
    newer_rows(parts, clock)
    clock.advance(timedelta(days=365))
    counted = forget(parts.database, dry_run=True)
    assert counted["persons"] == 30
    assert counted["addresses"] >= 30
    done: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: done.append(forget(parts.database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 3
    for name in ("unconfirmed", "addresses", "networks", "persons", "budget_entries"):
        assert sum(each[name] for each in done) == counted[name], name
    assert not any(forget(parts.database).values())
