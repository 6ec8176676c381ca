"""A sender holds at most one window of rows in doubt, whatever plan the database chooses."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from factories import make_newsletter, make_reader
from newsletter.bootstrap import Parts
from newsletter.db.database import Work
from newsletter.deliveries import actions, queries, steps
from newsletter.deliveries.counting import Moves
from newsletter.deliveries.models import Delivery, DeliveryState, LaneName

LEASE = timedelta(seconds=60)


def _avoid_joins_that_read_the_chosen_once(work: Work) -> None:
    """Make PostgreSQL plan as it does on large tables of which it knows little."""
    if not work.is_sqlite:
        for way in ("hashjoin", "mergejoin", "material", "hashagg", "sort"):
            work.session.execute(text(f"SET LOCAL enable_{way} = off"))


def test_a_claim_never_takes_more_rows_than_one_window(parts: Parts) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, "lectrice@example.com")
    with parts.database.work() as work:
        batch_id = queries.standing_batch(work, lane=LaneName.NOTICE, kind="many", patience=timedelta(days=1))
        for occasion in range(400):
            actions.put(
                work,
                batch_id=batch_id,
                subscriber_id=reader.subscriber_id,
                content_id=occasion,
                occasion=occasion,
                family="gmail",
            )
    for owner, taken in (("first", 32), ("second", 32), ("greedy", 336), ("late", 0)):
        most = 1000 if owner == "greedy" else 32
        with parts.database.work() as work:
            _avoid_joins_that_read_the_chosen_once(work)
            held = steps.claim(
                work, batch_id=batch_id, owner=owner, lease=LEASE, most=most, after=0, without=(), moves=Moves()
            )
            assert len(held) == taken
    with parts.database.reading() as work:
        owners = [row.owner for row in work.session.query(Delivery).filter_by(state=DeliveryState.SENDING)]
        assert {owner: owners.count(owner) for owner in set(owners)} == {"first": 32, "second": 32, "greedy": 336}
