"""The mails of one connection without its wire: each reply belongs to one mail (RFC 5321, 2920, 2033)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from newsletter.mail.port import Message, Outcome, Verdict
from newsletter.mail.providers.smtp.commands import DOT, Commands, content
from newsletter.mail.providers.smtp.opening import Offers
from newsletter.mail.providers.smtp.parsing import Answer
from newsletter.mail.providers.smtp.replies import GARBAGE, Break, Judgement, Phase, is_good, judge, judge_break

_CUT_OFF = "the connection ended before this message began"


@dataclass(slots=True, eq=False)
class Transaction:
    """One mail on its way. `is_untried`: nothing was said about it yet, on a connection that may have been dead."""

    message: Message
    commands: deque[tuple[Phase, bytes]]
    is_untried: bool
    is_sender_taken: bool = False
    is_decided: bool = False


@dataclass(slots=True)
class Events:
    """What came of a step: verdicts, and messages that were not harmed, with the verdict if they may not try again."""

    verdicts: list[Verdict] = field(default_factory=list)
    returned: list[tuple[Message, Verdict]] = field(default_factory=list)


class Conversation:
    """Says what to write and what each reply means.

    With PIPELINING the commands of a mail are written at once, and those of the next behind the dot. After `is_over`
    the connection must be closed: what was not decided is in the events.
    """

    def __init__(self, offers: Offers, *, is_lmtp: bool = False) -> None:
        self.events = Events()
        self.is_over = False
        self.is_pipelining = "PIPELINING" in offers
        self._commands = Commands(offers)
        self._is_lmtp = is_lmtp
        self._is_dirty = False  # a mail was begun and not finished: the next starts with RSET
        self._is_used = False
        self._expected: deque[tuple[Phase, Transaction]] = deque()
        self._body_due: Transaction | None = None

    @property
    def is_free(self) -> bool:
        """Whether a message may begin, with nothing before it."""
        return not self._expected and self._body_due is None

    @property
    def is_body_due(self) -> bool:
        """Whether the server waits for what `body` returns."""
        return self._body_due is not None

    @property
    def phase(self) -> Phase | None:
        """What the next reply will be about; None if none is due."""
        return self._expected[0][0] if self._expected else None

    def begin(self, message: Message, *, probe: bool = False) -> bytes:
        """Return what to write for this message; `probe` asks first whether the server is still there.

        :raises Decided: if the server cannot take it; then nothing has begun
        """
        mail, recipient = self._commands.envelope(message)
        commands = deque(((Phase.MAIL, mail), (Phase.RCPT, recipient), (Phase.DATA, b"DATA\r\n")))
        if self._is_dirty or probe:
            commands.appendleft((Phase.RSET, b"RSET\r\n"))
            self._is_dirty = False
        transaction = Transaction(message, commands, is_untried=self._is_used)
        self._is_used = True
        return self._next_commands(transaction)

    def feed(self, answer: Answer, *, is_dot_written: bool = True) -> bytes:
        """Take a reply in and return the commands that follow from it; then `is_body_due` may have become true."""
        if self._body_due is not None:
            self._refuse(Phase.BODY, self._body_due, answer)
            return b""
        if not self._expected:  # nobody asked: whatever it means, the next reply could not be told from it
            self._cut(Break.GARBLED, answer.text, is_dot_written=False)
            return b""
        phase, transaction = self._expected.popleft()
        if phase is Phase.DOT and not is_dot_written:
            phase = Phase.BODY
        if is_good(phase, answer.code):
            transaction.is_untried = False
            return self._go_on(phase, transaction, answer)
        self._refuse(phase, transaction, answer)
        return b""

    def body(self) -> list[bytes]:
        """Return what to write up to the dot. Where `is_pipelining`, another message may begin in the same write."""
        transaction = self._body_due
        assert transaction is not None  # noqa: S101 (is_body_due)
        self._body_due = None
        self._expected.append((Phase.DOT, transaction))
        if transaction.is_decided:  # RFC 2920 section 3.1: after 354 for nobody, the lone dot
            return [DOT]
        return content(transaction.message)

    def break_off(self, how: Break, text: str, *, is_dot_written: bool) -> None:
        """Decide what becomes of everything under way, now that no reply will come any more."""
        self._cut(how, text, is_dot_written=is_dot_written)

    def _next_commands(self, transaction: Transaction) -> bytes:
        commands = transaction.commands
        if not commands:
            return b""
        if not self.is_pipelining:
            phase, octets = commands.popleft()
            self._expected.append((phase, transaction))
            return octets
        self._expected.extend((phase, transaction) for phase, _ in commands)
        written = b"".join(octets for _, octets in commands)
        commands.clear()
        return written

    def _go_on(self, phase: Phase, transaction: Transaction, answer: Answer) -> bytes:
        if phase is Phase.DOT:
            if not transaction.is_decided:
                message = transaction.message
                verdict = Verdict(message.key, Outcome.ACCEPTED, answer.code, "accepted", answer.text)
                self.events.verdicts.append(verdict)
            return b""
        if phase is Phase.DATA:
            if transaction.is_decided and (self._is_lmtp or not transaction.is_sender_taken):
                self._cut(Break.GARBLED, answer.text, is_dot_written=False)  # what a dot would do here nobody knows
            else:
                self._body_due = transaction
            return b""
        if phase is Phase.MAIL:
            transaction.is_sender_taken = True
        return self._next_commands(transaction)

    def _refuse(self, phase: Phase, transaction: Transaction, answer: Answer) -> None:
        judgement = judge(phase, answer.as_reply())
        assert judgement is not None  # noqa: S101 (is_good says the same)
        self._is_dirty = True
        is_over = judgement.reconnect or phase is Phase.BODY
        if not transaction.is_decided:
            self._decide(phase, transaction, answer, judgement)
            is_alone = all(each is transaction for _, each in self._expected)
            is_over = is_over or (judgement.outcome is Outcome.STOP and is_alone)
        transaction.is_untried = False
        if is_over:
            self._cut(Break.LOST, _CUT_OFF, is_dot_written=False)

    def _decide(self, phase: Phase, transaction: Transaction, answer: Answer, judgement: Judgement) -> None:
        transaction.is_decided = True
        transaction.commands.clear()
        message, code = transaction.message, None if answer.code == GARBAGE else answer.code
        verdict = Verdict(message.key, judgement.outcome, code, judgement.reason, answer.text)
        # A server that is about to leave, or that has not forgotten a mail whose text it refused (Postfix), says so to
        # the next one: the connection is at fault, not the mail.
        is_about_before = judgement.reason == "server_closing" or answer.code == 503
        if phase is Phase.RSET or (phase is Phase.MAIL and transaction.is_untried and is_about_before):
            verdict = Verdict(message.key, Outcome.DEFERRED, code, "server_closing", answer.text)
            self.events.returned.append((message, verdict))
        else:
            self.events.verdicts.append(verdict)

    def _cut(self, how: Break, text: str, *, is_dot_written: bool) -> None:
        self.is_over = True
        pending = {id(each): (phase, each) for phase, each in reversed(self._expected)}
        if self._body_due is not None:
            pending[id(self._body_due)] = (Phase.BODY, self._body_due)
        first = self._expected[0][1] if self._expected else self._body_due
        self._expected.clear()
        self._body_due = None
        for phase, transaction in reversed(pending.values()):
            if transaction.is_decided:
                continue
            at = Phase.BODY if phase is Phase.DOT and not is_dot_written else phase
            judgement = judge_break(at, how)
            verdict = Verdict(transaction.message.key, judgement.outcome, None, judgement.reason, text)
            is_unharmed = (
                transaction is not first
                or at is Phase.RSET
                or judgement.outcome is Outcome.STOP
                or (transaction.is_untried and how is Break.LOST)
            )
            if is_unharmed:
                self.events.returned.append((transaction.message, verdict))
            else:
                self.events.verdicts.append(verdict)
