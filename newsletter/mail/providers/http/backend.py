"""The generic HTTP provider: a few connections, a request each at a time, verdicts as they come."""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from newsletter.base.errors import ConfigError, InvalidInput, Unavailable
from newsletter.mail.envelope import refusal
from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.http.api import Api, Ruling, by_status
from newsletter.mail.providers.http.line import Broken, Endpoint, Limits, Line

CHECKING = Limits(connect=10, answer=20, deadline=30)  # a person waits for the answer
LARGEST_REQUEST = 10_000_000  # octets of the mails in one request


@dataclass(frozen=True, slots=True)
class HttpBackend:
    """Sends through the API of a provider.

    `tls` decides whom to believe; `stopwatch` counts the seconds of the time-outs.
    """

    api: Api
    endpoint: Endpoint
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False, compare=False)
    stopwatch: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def name(self) -> str:
        return self.api.name

    @contextmanager
    def open(self) -> Iterator[HttpChannel]:
        lines = [Line(self.endpoint, self.tls, self.stopwatch) for _ in range(self.endpoint.connections)]
        channel = HttpChannel(self.api, lines, self.stopwatch)
        try:
            yield channel
        finally:
            channel.cut()

    def describe(self) -> str:
        return f"{self.api.describe()}, over HTTP{'S' if self.endpoint.has_tls else ''} to {self.endpoint.authority}"

    def check(self) -> None:
        """Ask the API something that sends no mail."""
        line = Line(replace(self.endpoint, limits=CHECKING), self.tls, self.stopwatch)
        try:
            answer = line.exchange(self.api.probe())
        except Broken as broken:
            raise Unavailable(f"{self.describe()}: {broken.ruling.reason} ({broken.ruling.text})") from None
        finally:
            line.hang_up()
        if not self.api.is_welcome(answer):
            ruling = by_status(answer, answer.said("message", "Message"))
            busy = ruling.outcome is not Outcome.STOP or ruling.reason == "server_busy"
            family = Unavailable if busy and ruling.outcome is not Outcome.FAILED else ConfigError
            raise family(f"{self.describe()}: {ruling.reason} ({answer.status} {ruling.text})")


class HttpChannel:
    """Several lines to one API, each with a thread that waits for its answers."""

    def __init__(self, api: Api, lines: Sequence[Line], stopwatch: Callable[[], float]) -> None:
        self._api = api
        self._lines = lines
        self._idle: queue.SimpleQueue[Line] = queue.SimpleQueue()
        for line in lines:
            self._idle.put(line)
        self._stopwatch = stopwatch
        self._pool = ThreadPoolExecutor(len(lines), thread_name_prefix=api.name)
        self._lock = threading.Lock()
        self._waiting: deque[list[Message]] = deque()
        self._ready: list[Verdict] = []
        self._under_way: set[Future[list[Verdict]]] = set()

    def submit(self, messages: Sequence[Message]) -> None:
        fit = []
        for message in messages:
            if refused := refusal(message):
                self._ready.append(refused)
            else:
                fit.append(message)
        loads = list(_loads(fit, most=min(self._api.most, -(-len(fit) // len(self._lines)) or 1)))
        with self._lock:  # all of them, before the first is begun: its stop is meant for the others, too
            self._waiting.extend(loads)
        self._under_way.update(self._pool.submit(self._carry_next) for _ in loads)

    def verdicts(self, *, wait: float) -> Sequence[Verdict]:
        until = self._stopwatch() + wait
        while not self._ready and self._under_way:
            self._collect(max(0.0, until - self._stopwatch()))
            if self._stopwatch() >= until:
                break
        ready, self._ready = self._ready, []
        return ready

    def cut(self) -> None:
        """End what is under way; its verdicts are never known."""
        with self._lock:
            self._waiting.clear()
        for line in self._lines:
            line.cut()
        self._pool.shutdown(cancel_futures=True)
        for line in self._lines:
            line.hang_up()

    def _collect(self, seconds: float) -> None:
        done, self._under_way = wait(self._under_way, timeout=seconds, return_when=FIRST_COMPLETED)
        for each in done:
            self._ready += each.result()

    def _carry_next(self) -> list[Verdict]:
        """Carry the next load, and take the rest along if it is stopped; nothing if that happened before."""
        with self._lock:
            if not self._waiting:
                return []
            load = self._waiting.popleft()
        line = self._idle.get()
        try:
            found = [(message, ruling) for message, ruling in self._carry(line, load)]
        finally:
            self._idle.put(line)
        verdicts = [_verdict(message, ruling) for message, ruling in found]
        for _, ruling in found:
            if ruling.outcome is Outcome.STOP or ruling.ends_round:
                return verdicts + self._stopped(ruling)
        return verdicts

    def _stopped(self, ruling: Ruling) -> list[Verdict]:
        with self._lock:
            rest = [message for load in self._waiting for message in load]
            self._waiting.clear()
        return [_verdict(message, replace(ruling, outcome=Outcome.STOP)) for message in rest]

    def _carry(self, line: Line, load: Sequence[Message]) -> Iterator[tuple[Message, Ruling]]:
        """Ask the API to send these; what it cannot express fails alone."""
        fit, items = [], []
        for message in load:
            if message.size > self._api.largest:
                text = f"the message has {message.size} octets, {self._api.name} takes {self._api.largest}"
                yield message, Ruling(Outcome.STOP, "size_limit", text)
                continue
            try:
                items.append(self._api.item(message))
                fit.append(message)
            except InvalidInput as error:
                yield message, Ruling(Outcome.FAILED, "relay_cannot", error.message)
        if items:
            yield from zip(fit, self._rulings(line, items), strict=True)

    def _rulings(self, line: Line, items: Sequence[bytes]) -> Sequence[Ruling]:
        try:
            return self._api.judge(len(items), line.exchange(self._api.request(items)))
        except Broken as broken:
            return [broken.ruling] * len(items)


def _verdict(message: Message, ruling: Ruling) -> Verdict:
    return Verdict(message.key, ruling.outcome, ruling.code, ruling.reason, ruling.text)


def _loads(messages: Sequence[Message], *, most: int) -> Iterator[list[Message]]:
    """Cut the messages into what one request may carry."""
    load: list[Message] = []
    octets = 0
    for message in messages:
        if load and (len(load) == most or octets + message.size > LARGEST_REQUEST):
            yield load
            load, octets = [], 0
        load.append(message)
        octets += message.size
    if load:
        yield load
