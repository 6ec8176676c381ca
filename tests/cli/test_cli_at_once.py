"""Cron that overlaps itself: eight runs at the same moment, each in a process of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from command_line import MONDAY, SUNDAY, TUESDAY, Command

from factories import make_reader, parsed

READERS = 40


def test_eight_runs_at_once_give_each_reader_the_issue_once(ready: Command, feed: Callable[..., Path]) -> None:
    path = feed("Un guichet unique")
    ready("sources", "add", str(path))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        for number in range(READERS):
            make_reader(parts, f"reader{number}@example.org")
    feed("Un guichet unique", "Un nouveau portail")

    runs = [ready.start("run", "--due", "--at", MONDAY) for _ in range(8)]
    answers = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, answers
    assert [complaint for _, complaint in answers] == [""] * 8

    mails = [parsed(mail) for mail in ready.mails()]
    digests = Counter(mail["To"] for mail in mails if mail["List-Id"])
    assert digests == {f"reader{number}@example.org": 1 for number in range(READERS)}
    [issue] = ready.json("issues", "list")
    assert (issue["state"], issue["books"]["accepted"], issue["books"]["possible_copies"]) == ("finished", READERS, 0)
    assert issue["books"]["balance"]
    # The maildir replaces a mail by its copy, so the ledger has to say it, too.
    with ready.parts(MONDAY) as parts, parts.database.reading() as work:
        attempts = work.session.connection().exec_driver_sql("SELECT attempts FROM delivery WHERE subscription_id > 0")
        assert Counter(attempts.scalars()) == {1: READERS}
    assert sum("40 accepted" in said for said, _ in answers) >= 1
