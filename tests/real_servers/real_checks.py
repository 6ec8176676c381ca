"""Comparing what was sent with what arrived."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from email import message_from_bytes, policy

from real_mails import SUBJECT, digest_text
from real_parts import Arrived, RealServer

from newsletter.mail.port import Message, Verdict

ARRIVING = 30.0  # seconds that a server may take to deliver what it accepted
LINGERING = 0.2  # and for one mail too many


def await_arrival(server: RealServer, mails: Sequence[Message], keys: Collection[int] | None = None) -> list[Arrived]:
    """Return what arrived of these mails, when those of these keys (None: all) have, and one too many might have."""
    recipients = {each.recipient for each in mails}
    awaited = {each.recipient for each in mails if keys is None or each.key in keys}
    until = time.monotonic() + ARRIVING
    while not awaited <= {each.recipient for each in server.arrived()} and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(LINGERING)
    return [each for each in server.arrived() if each.recipient in recipients]


def assert_same(sent: Sequence[Message], arrived: Sequence[Arrived]) -> None:
    """Make sure that each mail is there once, from its sender to its recipient, octet by octet."""
    times = Counter(each.recipient for each in arrived)
    assert {to: times[to] for to in times if times[to] > 1} == {}
    assert {each.recipient for each in sent} - times.keys() == set()
    mails = {each.recipient: each for each in sent}
    for each in arrived:
        before = mails[each.recipient]
        assert each.sender == before.sender
        assert each.data.endswith(before.data), f"{each.data!r} is not {before.data!r}"
        if before.is_checked and before.key % 25 == 0:
            assert_readable(each, before.key)


def assert_readable(arrived: Arrived, key: int) -> None:
    """Make sure that a mail program finds in there what the reader was to read."""
    read = message_from_bytes(arrived.data, policy=policy.default)
    text = read.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == digest_text(key)
    assert (read["Subject"], read["Message-ID"]) == (SUBJECT, f"<delivery.{key}@news.test>")


def only(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the one verdict."""
    assert len(verdicts) == 1
    return verdicts[0]
