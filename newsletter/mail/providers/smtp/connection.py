"""One connection: wire, opening and conversation, and the time that each may take."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol

from newsletter.mail.port import Message, Verdict
from newsletter.mail.providers.smtp.conversation import Conversation
from newsletter.mail.providers.smtp.dialling import dial, name_to_greet_with
from newsletter.mail.providers.smtp.opening import Decided, Offers, Opening, Step, opening
from newsletter.mail.providers.smtp.parsing import Answer
from newsletter.mail.providers.smtp.relay import Relay
from newsletter.mail.providers.smtp.replies import Break, Phase, judge_break, one_line
from newsletter.mail.providers.smtp.wire import Wire

STALE = 5.0  # seconds without a word after which a connection is asked whether it is still there
_NO_ANSWER = Answer(0, b"")


class Owner(Protocol):
    """Whoever opened a connection."""

    def next_message(self) -> Message | None:
        """Give out a message that waits."""
        ...

    def settle(self, verdict: Verdict) -> None:
        """Take the verdict of a message that was given out."""
        ...

    def give_back(self, message: Message, verdict: Verdict) -> None:
        """Take a message back that was not harmed; the verdict if it shall not be tried again."""
        ...

    def came_up(self, connection: Connection) -> None:
        """It takes mail from now on."""
        ...

    def became_free(self, connection: Connection) -> None:
        """Nothing is under way there."""
        ...

    def went_down(self, connection: Connection, why: Decided | None) -> None:
        """It is closed; `why` if it never came up."""
        ...


class Connection:
    """Dials at once, then carries messages until it breaks or is left; its owner hears of everything once."""

    def __init__(self, owner: Owner, relay: Relay, tls: ssl.SSLContext, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._relay = relay
        self._tls = tls
        self._loop = loop
        self._wire: Wire | None = None
        self._opening: Opening | None = None
        self._phase = Phase.BANNER
        self._conversation: Conversation | None = None
        self._is_dot_written = True
        self._is_leaving = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._alive_at = loop.time()  # the last sign of life
        self._patience = relay.limits.command  # seconds to wait for the next one
        self._due = self._alive_at + relay.limits.deadline
        self._unsent = 0
        self.dialling = loop.create_task(self._dial())

    @property
    def is_up(self) -> bool:
        """Whether it takes mail."""
        return self._conversation is not None and not self._is_closed and not self._is_leaving

    @property
    def is_free(self) -> bool:
        """Whether nothing is under way there."""
        return self.is_up and self._conversation is not None and self._conversation.is_free

    def take(self, message: Message) -> bool:
        """Begin with this message, only where `is_free`; false if its verdict was known before."""
        now = self._loop.time()
        is_stale = now - self._alive_at > STALE
        octets = self._begin(message, probe=is_stale)
        if octets:
            limits = self._relay.limits
            self._expect(now, limits.connect if is_stale else limits.command, limits.deadline)
            self._write(octets)
        return bool(octets)

    def leave(self) -> None:
        """Say goodbye; only where `is_free`. The owner hears when it is closed."""
        self._is_leaving = True
        self._write(b"QUIT\r\n")

    def close(self) -> None:
        """Close without a word: inside a message it would be taken for its text. The owner hears nothing."""
        self._is_closed = True
        self.dialling.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._wire is not None:
            self._wire.close()

    # What the wire tells.

    def connected(self) -> None:
        assert self._opening is not None  # noqa: S101 (it was made before)
        self._do(next(self._opening))

    def received(self) -> None:
        self._alive_at = self._loop.time()
        wire = self._wire
        while wire is not None and not self._is_closed and (answer := wire.parser.take()) is not None:
            if self._is_leaving:
                self._end(None)
            elif self._conversation is None:
                self._advance(answer)
            else:
                self._converse(self._conversation, wire, answer)
        if self._conversation is not None and self._conversation.is_body_due:  # half a reply stands where none may be
            self._break_off(Break.GARBLED, "the server said more than it was asked")

    def encrypted(self) -> None:
        self._advance(_NO_ANSWER)

    def dot_left(self) -> None:
        self._is_dot_written = True
        self._expect(self._loop.time(), self._relay.limits.dot, self._relay.limits.dot)

    def lost(self, text: str) -> None:
        self._break_off(Break.LOST, text)

    # Opening.

    async def _dial(self) -> None:
        try:
            sock = await dial(self._loop, self._relay)
            self._wire = Wire(self, sock)
            self._opening = opening(self._relay, name_to_greet_with(self._relay, sock))
            await self._wire.attach(self._loop)
        except Decided as decided:
            self._end(decided)

    def _advance(self, answer: Answer) -> None:
        assert self._opening is not None  # noqa: S101 (the wire is there, so is this)
        try:
            step = self._opening.send(answer)
        except StopIteration as done:
            self._come_up(done.value)
        except Decided as decided:
            self._end(decided)
        else:
            self._do(step)

    def _do(self, step: Step) -> None:
        self._phase = step.phase
        limits = self._relay.limits
        self._patience = limits.connect if step.is_handshake else limits.command
        self._watch()
        if step.is_handshake:
            self._start_tls()
        elif step.octets:
            self._write(step.octets)

    def _start_tls(self) -> None:
        assert self._wire is not None  # noqa: S101
        if not self._wire.parser.is_empty:  # RFC 3207: whoever put this in front of the handshake is not the server
            self._break_off(Break.GARBLED, "the server went on in clear text after STARTTLS")
            return
        try:
            self._wire.start_tls(self._tls, self._relay.host)
        except (OSError, ValueError) as error:
            self._break_off(Break.LOST, str(error))

    def _come_up(self, offers: Offers) -> None:
        assert self._wire is not None  # noqa: S101
        if not self._wire.parser.is_empty:
            self._break_off(Break.GARBLED, "the server said more than it was asked")
            return
        self._conversation = Conversation(offers, is_lmtp=self._relay.is_lmtp)
        self._owner.came_up(self)

    # Conversation.

    def _converse(self, conversation: Conversation, wire: Wire, answer: Answer) -> None:
        phase = conversation.phase
        octets = conversation.feed(answer, is_dot_written=self._is_dot_written)
        if octets:
            self._write(octets)
        elif conversation.is_body_due and wire.parser.is_empty:
            self._write_body(conversation, wire)
        if phase is Phase.DOT or phase is Phase.RSET:
            self._expect(self._alive_at, self._relay.limits.command, self._relay.limits.deadline)
        verdicts = conversation.events.verdicts
        while verdicts:
            self._owner.settle(verdicts.pop())
        if conversation.is_over:
            self._end(None)
        elif conversation.is_free:
            self._owner.became_free(self)

    def _write_body(self, conversation: Conversation, wire: Wire) -> None:
        parts = conversation.body()
        behind = b""
        if conversation.is_pipelining:
            while not behind and (message := self._owner.next_message()) is not None:
                behind = self._begin(message)
        self._is_dot_written = wire.write_body(parts, behind)
        self._unsent = wire.unsent
        if self._is_dot_written:
            self.dot_left()

    def _begin(self, message: Message, *, probe: bool = False) -> bytes:
        """Return what to write for a message; nothing if it is decided already."""
        assert self._conversation is not None  # noqa: S101 (it is up)
        try:
            return self._conversation.begin(message, probe=probe)
        except Decided as decided:
            judgement = decided.judgement
            self._owner.settle(Verdict(message.key, judgement.outcome, None, judgement.reason, decided.text))
            return b""

    def _write(self, octets: bytes) -> None:
        assert self._wire is not None  # noqa: S101 (it was dialled)
        self._wire.write(octets)

    # Ends.

    def _break_off(self, how: Break, text: str) -> None:
        if self._is_closed:
            return
        text = one_line(text) or "the connection broke"
        if self._conversation is None:
            self._end(Decided(judge_break(self._phase, how), text))
        else:
            self._conversation.break_off(how, text, is_dot_written=self._is_dot_written)
            self._end(None)

    def _end(self, why: Decided | None) -> None:
        """Close, and hand over what is decided; what is unharmed comes after the news that this connection is gone."""
        self.close()
        events = self._conversation.events if self._conversation is not None else None
        for verdict in events.verdicts if events else ():
            self._owner.settle(verdict)
        self._owner.went_down(self, why)
        for message, verdict in events.returned if events else ():
            self._owner.give_back(message, verdict)

    # Time.

    def _expect(self, now: float, patience: float, deadline: float) -> None:
        """From now on wait `patience` seconds for a sign of life, `deadline` seconds in all."""
        self._alive_at = now
        self._patience = patience
        self._due = now + deadline
        self._watch()

    def _watch(self) -> None:
        end = min(self._alive_at + self._patience, self._due)
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._look)
        elif self._timer.when() > end:
            self._timer.cancel()
            self._timer = self._loop.call_at(end, self._look)

    def _look(self) -> None:
        """See whether the time is over; a server that takes our octets is alive as well as one that speaks."""
        self._timer = None
        if self._is_closed or self.is_free:
            return
        now = self._loop.time()
        unsent = self._wire.unsent if self._wire is not None else 0
        if unsent < self._unsent:
            self._alive_at = now
        self._unsent = unsent
        if now < min(self._alive_at + self._patience, self._due):
            self._watch()
        elif self._due <= self._alive_at + self._patience:
            self._break_off(Break.TOO_SLOW, "the deadline passed")
        else:
            self._break_off(Break.SILENT, "the server did not answer in time")
