"""SIGKILL at random moments while an issue leaves: nobody is lost, copies are few and counted, one Message-ID each."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from command_line import MONDAY, SUNDAY, TUESDAY, Command

from factories import make_reader, parsed
from loopback import LoopbackController

READERS = 240
KILLS = 6
WINDOW = 8


class SlowServer:
    """Takes its time, and writes every recipient and Message-ID down before it answers."""

    def __init__(self) -> None:
        self.taken: dict[str, list[str]] = defaultdict(list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd)
        await asyncio.sleep(0.004)
        mail = parsed(bytes(envelope.original_content or b""))
        self.taken[envelope.rcpt_tos[0]].append(str(mail["Message-ID"]))
        return "250 taken"


@pytest.fixture
def slow_server() -> Iterator[tuple[SlowServer, int]]:
    memory = SlowServer()
    controller = LoopbackController(memory, hostname="127.0.0.1", port=0)
    controller.start()
    yield memory, controller.port
    controller.stop()


@pytest.mark.slow
@pytest.mark.parametrize("in_doubt", ["resend", "hold"])
def test_whatever_moment_the_sender_is_killed_at_nobody_is_lost(
    ready: Command, feed: Callable[..., Path], slow_server: tuple[SlowServer, int], in_doubt: str
) -> None:
    memory, port = slow_server
    feed_path = feed("Un guichet unique")
    ready("sources", "add", str(feed_path))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        for number in range(READERS):
            make_reader(parts, f"reader{number}@example.org")
    feed("Un guichet unique", "Un nouveau portail")
    sending = replace(
        ready,
        environment=ready.environment
        | {
            "NEWSLETTER_MAIL_URL": f"smtp://127.0.0.1:{port}",
            "NEWSLETTER_WINDOW": str(WINDOW),
            "NEWSLETTER_IN_DOUBT": in_doubt,
        },
    )
    moment = datetime.fromisoformat(MONDAY)
    dice = random.Random(20261123)
    for _ in range(KILLS):
        run = sending.start("run", "--due", "--at", moment.isoformat())
        before = len(memory.taken)
        while run.poll() is None and len(memory.taken) == before:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.12))
        run.kill()
        run.communicate()
        moment += timedelta(minutes=2)  # past the lease of whoever was killed
    sending("run", "--due", "--at", moment.isoformat())

    [issue] = ready.json("issues", "list")
    books = issue["books"]
    readers = {f"reader{number}@example.org" for number in range(READERS)}
    copies = {reader: ids for reader in readers if len(ids := memory.taken[reader]) > 1}
    assert (issue["state"], books["balance"], books["audience"]) == ("finished", True, READERS)
    assert books["accepted"] + books["uncertain"] == READERS
    assert all(len(set(ids)) == 1 for ids in copies.values()), "the same Message-ID at every try"
    assert books["possible_copies"] + books["uncertain"] > 0, "the kills hit while mails were on their way"
    if in_doubt == "resend":
        assert {reader for reader in readers if not memory.taken[reader]} == set(), "nobody is lost"
        assert sum(len(ids) - 1 for ids in copies.values()) <= books["possible_copies"] <= KILLS * WINDOW
    else:
        assert copies == {}
        missing = {reader for reader in readers if not memory.taken[reader]}
        assert len(missing) <= books["uncertain"] <= KILLS * WINDOW
