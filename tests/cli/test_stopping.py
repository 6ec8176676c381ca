"""`run --due` told to stop in the middle: the window in flight is finished, and the next run sends the rest."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from command_line import MONDAY, TUESDAY, Command

from factories import make_reader
from loopback import LoopbackController

WINDOW, READERS = 4, 10


class Impatient:
    """Takes every mail, and at the third one tells the sender to stop."""

    def __init__(self) -> None:
        self.recipients: list[str] = []
        self.sender: int | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd)
        self.recipients += envelope.rcpt_tos
        if len(self.recipients) == 3 and self.sender is not None:
            os.kill(self.sender, signal.SIGTERM)
        return "250 taken"


@pytest.fixture
def relay() -> Iterator[tuple[str, Impatient]]:
    handler = Impatient()
    controller = LoopbackController(handler, hostname="127.0.0.1", port=0)
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}", handler
    controller.stop()


def test_sigterm_finishes_the_window_and_gives_the_rest_back(
    ready: Command, feed: Callable[..., Path], relay: tuple[str, Impatient]
) -> None:
    url, handler = relay
    ready("sources", "add", str(feed("Une nouvelle")))
    with ready.parts(TUESDAY) as parts:
        for number in range(READERS):
            make_reader(parts, f"reader{number}@example.org")
    ready("fetch", "--at", TUESDAY)
    ready.environment.update(NEWSLETTER_MAIL_URL=url, NEWSLETTER_WINDOW=str(WINDOW))
    process = ready.start("run", "--due", "--at", MONDAY)
    handler.sender = process.pid
    _, complaints = process.communicate()
    assert process.returncode == 75
    assert complaints == "sending stopped, the next run goes on: by a signal\n"
    assert WINDOW <= len(handler.recipients) <= 3 + WINDOW, "no more than what was under way at the third mail"
    sent = len(handler.recipients)
    books = ready.json("issues", "show", "1")["books"]
    assert (books["accepted"], books["open"], books["balance"]) == (sent, READERS - sent, True)

    handler.sender = None
    ready("run", "--due", "--at", MONDAY)
    books = ready.json("issues", "show", "1")["books"]
    assert (books["accepted"], books["open"], books["possible_copies"]) == (READERS, 0, 0)
    assert Counter(handler.recipients) == {f"reader{number}@example.org": 1 for number in range(READERS)}
