"""Messages in, verdicts out, over as many connections as the relay takes, in the caller's thread."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from newsletter.mail.envelope import address_problem, refusal
from newsletter.mail.port import STOPS_EVERY_CHANNEL, Message, Outcome, Verdict
from newsletter.mail.providers.smtp.connection import Connection
from newsletter.mail.providers.smtp.opening import Decided
from newsletter.mail.providers.smtp.relay import Relay

FAREWELL = 5.0  # seconds to wait for the answers to QUIT
FEWER_FOR = 60.0  # seconds to make do with the connections that the server takes


class Loop(asyncio.SelectorEventLoop):
    """An event loop that counts the seconds of a stopwatch."""

    def __init__(self, stopwatch: Callable[[], float]) -> None:
        self._stopwatch = stopwatch
        super().__init__()

    def time(self) -> float:
        return self._stopwatch()


class SmtpChannel:
    """Connections to one relay, made when messages wait for them, and again when they break.

    The first one shows the way: no other is dialled before it is up, so that a dead server or a wrong password costs
    one attempt. Where the server takes fewer connections than we want, those that it takes carry everything.
    """

    def __init__(self, relay: Relay, tls: ssl.SSLContext, stopwatch: Callable[[], float]) -> None:
        self._relay = relay
        self._tls = tls
        self._loop = Loop(stopwatch)
        self._connections: set[Connection] = set()
        self._free: list[Connection] = []
        self._waiting: deque[Message] = deque()
        self._fit: Message | None = None  # the first that waits, if it was found fit to be sent
        self._again: set[int] = set()  # keys of messages that had their second chance
        self._under_way = 0
        self._found: list[Verdict] = []
        self._is_running = False
        self._stop: Verdict | None = None
        self._refused: Decided | None = None
        self._most = relay.connections
        self._fewer_until = 0.0

    def submit(self, messages: Sequence[Message]) -> None:
        if self._free:  # one that the server closed meanwhile must not be taken for free
            self._turn()
        self._stop = None
        self._waiting.extend(messages)
        self._under_way += len(messages)
        self._dispatch()

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        if self._found or wait <= 0:
            self._turn()
        end = self._loop.time() + wait
        while self._under_way and not self._found and (left := end - self._loop.time()) > 0:
            self._run(left)
        found, self._found = self._found, []
        return found

    def try_out(self) -> None:
        """Make one connection that would take mail.

        :raises Decided: if that does not succeed
        """
        self._connect()
        while self._connections and not self._free:
            self._run(self._relay.limits.deadline)
        if not self._free:
            raise self._refused or AssertionError("a connection went without a word")

    def leave(self) -> None:
        """Close what is idle politely, and what is not at once."""
        for connection in list(self._connections):
            if connection.is_free:
                connection.leave()
            else:
                self._forget(connection)
        self._waiting.clear()
        end = self._loop.time() + FAREWELL
        while self._connections and (left := end - self._loop.time()) > 0:
            self._run(left)

    def drop(self) -> None:
        """Close everything at once."""
        dialling = [connection.dialling for connection in self._connections]
        for connection in list(self._connections):
            self._forget(connection)
        if dialling:
            self._loop.run_until_complete(asyncio.wait(dialling))
        self._turn()
        self._turn()
        self._loop.close()

    # What the connections tell.

    def next_message(self) -> Message | None:
        """Give out the next message that may be sent."""
        if self._first_fit() is None:
            return None
        self._fit = None
        return self._waiting.popleft()

    def settle(self, verdict: Verdict) -> None:
        self._found.append(verdict)
        self._under_way -= 1
        self._again.discard(verdict.key)
        self._wake()
        if verdict.outcome is Outcome.STOP and self._stop is None:
            self._stop_all(verdict)

    def give_back(self, message: Message, verdict: Verdict) -> None:
        if self._stop is not None:
            self.settle(replace(self._stop, key=message.key))
        elif message.key in self._again or (verdict.outcome is Outcome.STOP and not self._is_any_up()):
            self.settle(verdict)
        else:
            self._again.add(message.key)
            self._waiting.appendleft(message)
            self._fit = message
            self._dispatch()

    def came_up(self, connection: Connection) -> None:
        self._free.append(connection)
        self._wake()
        self._dispatch()

    def became_free(self, connection: Connection) -> None:
        self._free.append(connection)
        self._dispatch()

    def went_down(self, connection: Connection, why: Decided | None) -> None:
        self._forget(connection)
        self._wake()
        if why is not None:
            self._refused = why
            self._bear(why)
        self._dispatch()

    # Within.

    def _bear(self, why: Decided) -> None:
        """A connection never came up: make do with the others, if there are any and it is not for all the same."""
        if self._connections and why.judgement.reason not in STOPS_EVERY_CHANNEL:
            self._most = len(self._connections)
            self._fewer_until = self._loop.time() + FEWER_FOR
        elif self._waiting:
            self._stop_all(Verdict(0, Outcome.STOP, why.code, why.judgement.reason, why.text))

    def _stop_all(self, verdict: Verdict) -> None:
        """Give what was not begun the same verdict."""
        self._stop = verdict
        rest = [message.key for message in self._waiting]
        self._waiting.clear()
        self._fit = None
        for key in rest:
            self.settle(replace(verdict, key=key))

    def _first_fit(self) -> Message | None:
        """Return the first message that waits, once those before it that may not be sent have failed."""
        while self._waiting and self._fit is None:
            message = self._waiting[0]
            verdict = _refusal(message)
            if verdict is None:
                self._fit = message
            else:
                self._waiting.popleft()
                self.settle(verdict)
        return self._fit

    def _dispatch(self) -> None:
        while self._free and self._first_fit() is not None:
            connection = self._free.pop()
            message = self.next_message()
            if message is not None and not connection.take(message):
                self._free.append(connection)
        if self._waiting and len(self._connections) < self._relay.connections and self._first_fit() is not None:
            self._dial()

    def _dial(self) -> None:
        """Open connections for the messages that wait."""
        if self._fewer_until <= self._loop.time():
            self._most = self._relay.connections
        coming = sum(not connection.is_up for connection in self._connections)
        wanted = min(self._most - len(self._connections), len(self._waiting) - coming)
        if not self._is_any_up():
            wanted = 1 - coming
        for _ in range(wanted):
            self._connect()

    def _connect(self) -> None:
        self._connections.add(Connection(self, self._relay, self._tls, self._loop))

    def _is_any_up(self) -> bool:
        return any(connection.is_up for connection in self._connections)

    def _forget(self, connection: Connection) -> None:
        connection.close()
        self._connections.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def _turn(self) -> None:
        """Do what can be done without waiting."""
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()

    def _run(self, wait: float) -> None:
        """Run until something is worth looking at, `wait` seconds at most."""
        timer = self._loop.call_later(wait, self._loop.stop)
        self._is_running = True
        try:
            self._loop.run_forever()
        finally:
            self._is_running = False
            timer.cancel()

    def _wake(self) -> None:
        if self._is_running:
            self._loop.stop()


def _refusal(message: Message) -> Verdict | None:
    """Return the verdict of a message that may not be sent; what its composer vouched for is not looked at again."""
    if not message.is_checked:
        return refusal(message)
    for address in (message.sender, message.recipient) if message.sender else (message.recipient,):
        if problem := address_problem(address, smtputf8=message.smtputf8):
            return Verdict(message.key, Outcome.FAILED, None, "address_invalid", problem)
    return None
