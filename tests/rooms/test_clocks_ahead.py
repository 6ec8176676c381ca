"""A sender whose clock is ahead takes living leases for dead ones: each copy that follows is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from ledger_parts import Channeled, make_batch, rows, send, verdict

from newsletter.base.clock import SetClock
from newsletter.bootstrap import Parts
from newsletter.db.database import Database
from newsletter.deliveries import steps
from newsletter.deliveries.counting import Moves
from newsletter.mail.port import Message, Verdict


@pytest.mark.parametrize("mails", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
@pytest.mark.parametrize("thefts", [1, 2, 50])
def test_what_is_taken_from_a_living_sender_is_sent_again_only_where_it_is_counted(
    parts: Parts, clock: SetClock, mails: int, window: int, thefts: int
) -> None:
    database = parts.database
    batch_id = make_batch(database, mails)
    ahead = Database(parts.settings.database, clock=SetClock(clock.now() + timedelta(hours=1)))
    sent: Counter[int] = Counter()
    left = [thefts]

    def take_and_be_robbed(messages: Sequence[Message]) -> Iterator[Verdict]:
        sent.update(message.key for message in messages)
        if left[0]:
            left[0] -= 1
            with ahead.work() as work:
                steps.take_back(work, batch_id=batch_id, in_doubt="resend", moves=Moves())
                steps.give_up_doubtful(work, batch_id=batch_id, moves=Moves())
        return (verdict(message) for message in messages)

    send(database, Channeled(take_and_be_robbed), batch_id, window=window)
    for row in rows(database, batch_id):
        assert sent[row.id] - 1 <= row.possible_copies, (row.id, sent[row.id], row.possible_copies)
        assert row.state in {"accepted", "uncertain"}, row.state
    assert sum(sent.values()) >= mails
    ahead.close()
