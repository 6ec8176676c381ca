"""A mail server that writes down who got what, and an issue that is planned and not yet sent."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from command_line import MONDAY, SUNDAY, TUESDAY, Command
from sqlalchemy import text

from factories import make_reader, parsed
from loopback import LoopbackController
from newsletter.issues import actions, planning
from newsletter.newsletters.queries import by_slug

PATIENCE = 30.0  # seconds


@dataclass
class Relay:
    """Takes its time, and writes every recipient and Message-ID down before it answers."""

    delay: float = 0.005
    taken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    port: int = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd)
        await asyncio.sleep(self.delay)
        mail = parsed(bytes(envelope.original_content or b""))
        self.taken[envelope.rcpt_tos[0]].append(str(mail["Message-ID"]))
        return "250 taken"

    @property
    def counts(self) -> dict[str, int]:
        return {reader: len(ids) for reader, ids in self.taken.items()}


@contextmanager
def running_relay() -> Iterator[Relay]:
    relay = Relay()
    controller = LoopbackController(relay, hostname="127.0.0.1", port=0)
    controller.start()
    relay.port = controller.port
    try:
        yield relay
    finally:
        controller.stop()


def through(command: Command, relay: Relay, *, window: int = 8) -> Command:
    """Return the command with its mail going to this relay."""
    more = {"NEWSLETTER_MAIL_URL": f"smtp://127.0.0.1:{relay.port}", "NEWSLETTER_WINDOW": str(window)}
    return replace(command, environment=command.environment | more)


def plan_issue(ready: Command, feed: Callable[..., Path], readers: int) -> int:
    """Plan an issue for so many readers, send nothing, and return its number."""
    path = feed("Un guichet unique")
    ready("sources", "add", str(path))
    ready("fetch", "--at", SUNDAY)
    with ready.parts(TUESDAY) as parts:
        for number in range(readers):
            make_reader(parts, f"reader{number}@example.org")
    feed("Un guichet unique", "Un nouveau portail")
    ready("fetch", "--at", TUESDAY)
    with ready.parts(MONDAY) as parts:
        with parts.database.work() as work:
            newsletter = by_slug(work, "hebdo")
            [rhythm] = newsletter.rhythms
            issue = actions.open_due(work, newsletter=newsletter, rhythm=rhythm)
            assert issue is not None
            number = issue.id
        planning.plan(parts.database, number)
    return number


def everybody(readers: int) -> dict[str, int]:
    return {f"reader{number}@example.org": 1 for number in range(readers)}


def wait_until(wanted: Callable[[], Any], *, patience: float = PATIENCE) -> None:
    begun = time.monotonic()
    while not wanted():
        assert time.monotonic() < begun + patience, "waited in vain"
        time.sleep(0.02)


def sql(command: Command, statement: str, **values: object) -> list[Any]:
    """Do something to the database behind everybody's back."""
    with command.parts_now() as parts, parts.database.work() as work:
        if not work.is_sqlite:
            work.session.execute(text("SET LOCAL search_path TO public, newsletter_jobs"))
        result = work.session.execute(text(statement), values)
        return list(result.scalars()) if result.returns_rows else []
