"""What each reply and each broken connection means for one message: the table of verdicts (RFC 5321, 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from newsletter.mail.port import Outcome

GARBAGE = -1  # the code of a reply that is none
LONGEST_TEXT = 500  # characters of a reply that are kept


class Phase(Enum):
    """How far the dialogue has come; from DOT on the server may have the message."""

    BANNER = auto()
    EHLO = auto()
    TLS = auto()
    CHALLENGE = auto()
    AUTH = auto()
    RSET = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    BODY = auto()
    DOT = auto()


class Break(Enum):
    """How a dialogue ended without a reply."""

    LOST = auto()  # reset, or end of file
    SILENT = auto()  # nothing came, or nothing was taken, within the time-out
    TOO_SLOW = auto()  # bytes kept coming and the overall deadline passed
    GARBLED = auto()  # replies came that nobody had asked for


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said: the code, and the text as one line."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code such as 5.1.1 (RFC 2034), if there is one and it agrees with the code."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reply decides, and whether this connection can carry another message."""

    outcome: Outcome
    reason: str
    reconnect: bool = False


_ENHANCED = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_BEFORE_DATA = {
    Break.LOST: "connection_lost",
    Break.SILENT: "timeout",
    Break.TOO_SLOW: "too_slow",
    Break.GARBLED: "garbage_reply",
}
_AFTER_DATA = {
    Break.LOST: "connection_lost_after_data",
    Break.SILENT: "timeout_after_data",
    Break.TOO_SLOW: "timeout_after_data",
    Break.GARBLED: "garbage_after_data",
}
_SETTING_UP = (Phase.BANNER, Phase.EHLO, Phase.TLS, Phase.CHALLENGE, Phase.AUTH)
_GO_ON = {  # every other phase goes on after any 2xx
    Phase.BANNER: 220,
    Phase.EHLO: 250,
    Phase.TLS: 220,
    Phase.CHALLENGE: 334,
    Phase.AUTH: 235,
    Phase.DATA: 354,
    Phase.BODY: 0,  # while we write there is nothing to be said for it yet
}
_ABOUT_SENDER = re.compile(r"\b(?:sender address|client host) rejected\b", re.IGNORECASE)
_ABOUT_US = {500, 502, 503, 504, 521, 530, 534, 535, 538}
_FAILED_BY_ENHANCED = {
    "5.1.1": "mailbox_unknown",
    "5.1.10": "mailbox_unknown",
    "5.1.2": "domain_unknown",
    "5.1.3": "address_syntax",
    "5.1": "address_refused",
    "5.2.1": "mailbox_disabled",
    "5.2.2": "mailbox_full",
    "5.2.3": "policy",
    "5.2": "mailbox_refused",
    "5.3.4": "policy",
    "5.4": "route_failed",
    "5.6": "policy",
    "5.7": "policy",
}
_FAILED_BY_CODE = {
    552: "mailbox_full",
    553: "address_syntax",
    554: "policy",
    556: "domain_unknown",
    501: "address_syntax",
}
_DEFERRED_BY_ENHANCED = {
    "4.2.2": "mailbox_full",
    "4.2": "mailbox_busy",
    "4.3": "server_busy",
    "4.4": "route_unavailable",
    "4.7.1": "greylisted",
    "4.7": "throttled",
}


def one_line(text: str) -> str:
    """Return what a server said as one printable line of bounded length."""
    line = " ".join(text[: 4 * LONGEST_TEXT].split())[:LONGEST_TEXT]
    return line if line.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in line)


def is_good(phase: Phase, code: int) -> bool:
    """Whether this is the reply that lets a mail go on, or takes it."""
    expected = _GO_ON.get(phase)
    return code == expected if expected is not None else 200 <= code < 300


def judge(phase: Phase, reply: Reply) -> Judgement | None:
    """Return what a reply decides against the message; None if all is well so far, at the DOT: if it is accepted."""
    if is_good(phase, reply.code):
        return None
    if phase in _SETTING_UP:
        return Judgement(Outcome.STOP, _why_no_dialogue(phase, reply.code), reconnect=True)
    return _judge_mail(phase, reply)


def _judge_mail(phase: Phase, reply: Reply) -> Judgement:
    if phase is Phase.RSET:  # who cannot start afresh has nothing to say about a mail
        return Judgement(Outcome.DEFERRED, "server_closing", reconnect=True)
    if 400 <= reply.code < 500:
        return _judge_delay(phase, reply)
    if 500 <= reply.code < 600:
        return _judge_refusal(phase, reply)
    if phase is Phase.DOT:
        return Judgement(Outcome.UNCERTAIN, "garbage_after_data", reconnect=True)
    return Judgement(Outcome.DEFERRED, "garbage_reply", reconnect=True)


def judge_break(phase: Phase, how: Break) -> Judgement:
    """Return what a dialogue decides that ended without a reply in this phase."""
    if phase is Phase.DOT:
        return Judgement(Outcome.UNCERTAIN, _AFTER_DATA[how], reconnect=True)
    reason = _BEFORE_DATA[how]
    if phase is Phase.TLS:
        reason = "tls_refused"
    stops = phase in _SETTING_UP or how is Break.TOO_SLOW
    return Judgement(Outcome.STOP if stops else Outcome.DEFERRED, reason, reconnect=True)


def _why_no_dialogue(phase: Phase, code: int) -> str:
    if phase is Phase.TLS:
        return "tls_refused"
    if phase in {Phase.CHALLENGE, Phase.AUTH}:
        return "auth_refused"
    if 400 <= code < 500:
        return "server_busy"
    return "server_refuses" if 500 <= code < 600 else "garbage_reply"


def _judge_delay(phase: Phase, reply: Reply) -> Judgement:
    enhanced = reply.enhanced
    if reply.code == 421:  # a refusal, not a doubt, even after the dot
        is_throttled = enhanced is not None and enhanced.startswith("4.7.")
        return Judgement(Outcome.DEFERRED, "throttled" if is_throttled else "server_closing", reconnect=True)
    if phase is Phase.MAIL and enhanced == "4.5.3":  # so many mails and no more on one connection: OpenSMTPD takes 100
        return Judgement(Outcome.DEFERRED, "server_closing", reconnect=True)
    by_code = "greylisted" if phase is Phase.RCPT and reply.code in {450, 451} else "server_busy"
    return Judgement(Outcome.DEFERRED, _look_up(_DEFERRED_BY_ENHANCED, enhanced) or by_code)


def _judge_refusal(phase: Phase, reply: Reply) -> Judgement:
    enhanced = reply.enhanced
    if phase is Phase.MAIL:
        too_large = reply.code == 552 or enhanced == "5.3.4"
        return Judgement(Outcome.STOP, "size_limit" if too_large else "sender_refused")
    # Many relays say only at RCPT what they think of the sender; Postfix does so as 5.7.1, in these words.
    if enhanced in {"5.1.7", "5.1.8"} or (phase is Phase.RCPT and _ABOUT_SENDER.search(reply.text)):
        return Judgement(Outcome.STOP, "sender_refused")
    if reply.code in _ABOUT_US or (reply.code == 501 and not _is_about_recipient(phase, enhanced)):
        return Judgement(Outcome.STOP, "server_refuses")
    reason = _look_up(_FAILED_BY_ENHANCED, enhanced)
    return Judgement(Outcome.FAILED, reason or _FAILED_BY_CODE.get(reply.code, "refused"))


def _is_about_recipient(phase: Phase, enhanced: str | None) -> bool:
    """Whether a 501 means this one address: a stop for it would block the whole queue for ever."""
    return phase is Phase.RCPT and (enhanced is None or enhanced.startswith("5.1."))


def _look_up(reasons: dict[str, str], enhanced: str | None) -> str | None:
    if enhanced is None:
        return None
    return reasons.get(enhanced) or reasons.get(enhanced.rpartition(".")[0])
