"""The books held against what the mail server wrote down: who was lost, who got a copy, and whether anybody knows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from house import House
from relay import Taken
from sqlalchemy import inspect, text

from newsletter.db.database import Work

ENDS = ("accepted", "failed", "skipped", "uncertain", "cancelled")
STATES = ("pending", "sending", "deferred", *ENDS)
ROWS = text(
    "SELECT subscriber.address, delivery.state, delivery.doubts, delivery.possible_copies, subscription.watermark, "
    "issue.cut FROM issue JOIN delivery ON delivery.batch_id = issue.batch_id "
    "JOIN subscriber ON subscriber.id = delivery.subscriber_id "
    "JOIN subscription ON subscription.id = delivery.subscription_id WHERE issue.id = 1"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as the database has it."""

    address: str
    state: str
    doubts: int
    possible_copies: int
    watermark: int
    cut: int


@dataclass(slots=True)
class Audit:
    """What an issue came to; `lost` and `unexplained` say of whom and why."""

    mails: int = 0
    copies: int = 0
    held: int = 0
    doubts: int = 0
    possible_copies: int = 0
    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        return [*self.lost, *self.unexplained, *self.unbalanced]


Judge = Callable[..., None]


def audit(house: House) -> Audit:
    """Compare every row with every mail that the server took."""
    house.relay.look()
    taken = defaultdict(list)
    for each in house.relay.taken:
        taken[each.recipient].append(each)
    with house.parts() as parts, parts.database.reading() as work:
        rows = [Row(*row) for row in work.session.execute(ROWS)]
        found = Audit(
            mails=len(rows),
            copies=sum(len(mails) - 1 for mails in taken.values()),
            held=sum(row.state == "uncertain" for row in rows),
            doubts=sum(row.doubts for row in rows),
            possible_copies=sum(row.possible_copies for row in rows),
        )
        _compare_progress(work, rows, found)
    for row in rows:
        _compare(row, taken.pop(row.address, []), found)
    found.unexplained += [f"{address}: got a mail that no row knows of" for address in taken]
    _compare_senders(house, found)
    _compare_books(house, rows, found)
    return found


def _compare(row: Row, taken: list[Taken], found: Audit) -> None:
    if row.state == "accepted" and not taken:
        found.lost.append(f"{row.address}: accepted in the books, never taken by the server")
    if row.state not in {"accepted", "uncertain"}:
        found.lost.append(f"{row.address}: {row.state}, though nothing speaks against it")
        if taken:
            found.unexplained.append(f"{row.address}: {row.state}, but the server took it")
    if row.state == "uncertain" and not row.doubts:
        found.unexplained.append(f"{row.address}: uncertain, and no doubt was counted")
    if len(taken) - 1 > row.possible_copies:
        found.unexplained.append(f"{row.address}: taken {len(taken)} times, {row.possible_copies} possible copies")
    if len({mail.message_id for mail in taken}) > 1:
        found.unexplained.append(f"{row.address}: two Message-IDs {sorted({mail.message_id for mail in taken})}")
    if row.state in {"accepted", "uncertain"} and row.watermark != row.cut:
        found.unbalanced.append(f"{row.address}: {row.state}, but its watermark is {row.watermark}, not {row.cut}")


def _compare_senders(house: House, found: Audit) -> None:
    """Ask of every copy whose it is: a sender that nobody disturbed gets its answers and never leaves a doubt."""
    disturbed = {hand.name: hand.disturbed for hand in house.hands if hand.disturbed}
    takers: dict[str, list[str]] = defaultdict(list)
    for mail in house.relay.taken:
        takers[mail.recipient].append(mail.sender)
    left_behind: Counter[str] = Counter()
    for recipient, names in takers.items():
        for first, second in pairwise(names):
            # A stopped one may come after the one who took over from it.
            blamed = first if first in disturbed else second
            left_behind[blamed] += 1
            if blamed not in disturbed:
                found.unexplained.append(f"{recipient}: sent again after an undisturbed sender, by {names}")
    for name, mails in left_behind.items():
        most = house.window * disturbed.get(name, 0)
        if mails > most:
            found.unexplained.append(f"{name}: {mails} of its mails were sent twice, {most} may be")


def _compare_books(house: House, rows: list[Row], found: Audit) -> None:
    books = house.books()
    states = Counter(row.state for row in rows)
    told = {state: books[state] for state in ENDS}
    counted: dict[str, Any] = {state: states[state] for state in ENDS}
    if told != counted:
        found.unbalanced.append(f"the books say {told}, the rows {counted}")
    if not books["balance"] or (books["audience"], books["open"]) != (house.readers, 0):
        found.unbalanced.append(f"of {house.readers} readers the books say {books}")
    if books["possible_copies"] != found.possible_copies:
        found.unbalanced.append(f"{books['possible_copies']} possible copies in the books, {found.possible_copies}")
    if books["state"] != "finished":
        found.unbalanced.append(f"the issue is {books['state']}")


def _compare_progress(work: Work, rows: list[Row], found: Audit) -> None:
    """Hold the counters to the rows, where there are counters."""
    if not inspect(work.session.connection()).has_table("progress"):
        return
    sums = ", ".join(f"sum({state})" for state in STATES)
    batch = "(SELECT batch_id FROM issue WHERE id = 1)"
    counters = work.session.execute(text(f"SELECT {sums} FROM progress WHERE batch_id = {batch}")).one()
    states = Counter(row.state for row in rows)
    told = {state: int(number or 0) for state, number in zip(STATES, counters, strict=True)}
    if told != {state: states[state] for state in STATES}:
        found.unbalanced.append(f"the counters say {told}, the rows {dict(states)}")
