"""The opening of a conversation without its wire: greeting, TLS, login (RFC 5321 section 3.1, 3207, 4954)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from newsletter.mail.port import Outcome
from newsletter.mail.providers.smtp.auth import NoChallenge, choose
from newsletter.mail.providers.smtp.parsing import Answer
from newsletter.mail.providers.smtp.relay import Relay
from newsletter.mail.providers.smtp.replies import GARBAGE, Judgement, Phase, judge, one_line

_EHLO_UNKNOWN = {500, 501, 502, 504}
_TOO_EASY = Answer(GARBAGE, b"the server took an empty answer for a login")


class Decided(Exception):
    """It is decided what becomes of a connection, or of a message, by a reply or without one."""

    def __init__(self, judgement: Judgement, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.judgement = judgement
        self.text = text
        self.code = code


@dataclass(frozen=True, slots=True)
class Offers:
    """What the server said it can do: keywords in capitals, with their parameters."""

    keywords: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def most_octets(self) -> int | None:
        """The largest message it takes, if it says so (RFC 1870)."""
        most = self.keywords.get("SIZE", "")
        return int(most) or None if most.isdecimal() and len(most) <= 20 else None


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: write these octets, or make TLS of the connection, and then tell the reply."""

    phase: Phase
    octets: bytes = b""
    is_handshake: bool = False


Opening = Generator[Step, Answer, Offers]


def opening(relay: Relay, our_name: str) -> Opening:
    """Give out step after step, be told each reply, and return what the server offers once it takes mail from us.

    :raises Decided: with a stop, for whatever the server says against it; clear text is never fallen back to
    """
    if relay.security == "tls":
        yield Step(Phase.TLS, is_handshake=True)
    _check(Phase.BANNER, (yield Step(Phase.BANNER)))
    offers = yield from _greet(relay, our_name)
    if relay.security == "starttls":
        if "STARTTLS" not in offers:
            raise _stop("tls_refused", "the server does not offer STARTTLS")
        _check(Phase.TLS, (yield Step(Phase.TLS, b"STARTTLS\r\n")))
        yield Step(Phase.TLS, is_handshake=True)
        offers = yield from _greet(relay, our_name)
    if relay.login is not None:
        yield from _log_in(relay, offers)
    return offers


def _greet(relay: Relay, our_name: str) -> Opening:
    name = our_name.encode() + b"\r\n"
    answer = yield Step(Phase.EHLO, (b"LHLO " if relay.is_lmtp else b"EHLO ") + name)
    if answer.code in _EHLO_UNKNOWN and not relay.is_lmtp:
        _check(Phase.EHLO, (yield Step(Phase.EHLO, b"HELO " + name)))
        return Offers()
    _check(Phase.EHLO, answer)
    return _read_offers(answer.octets)


def _read_offers(octets: bytes) -> Offers:
    """Read the lines behind the first one (RFC 5321 section 4.1.1.1)."""
    lines = octets.decode("ascii", "replace").split("\n")[1:]
    pairs = (line.strip().partition(" ") for line in lines)
    return Offers({keyword.upper(): parameters.strip() for keyword, _, parameters in pairs})


def _log_in(relay: Relay, offers: Offers) -> Generator[Step, Answer, None]:
    assert relay.login is not None  # noqa: S101 (the caller looked)
    offered = offers.keywords.get("AUTH", "").upper().split()
    exchange = choose(relay.login, relay.mechanism, offered)
    if exchange is None:
        offer = one_line(" ".join(offered)) or "none"
        raise _stop("auth_refused", f"the server offers no AUTH that we know or want: {offer}")
    octets = b"AUTH " + exchange.command
    for answer_to in exchange.answers:
        challenge = yield Step(Phase.CHALLENGE, octets + b"\r\n")
        _check(Phase.CHALLENGE, challenge)
        try:
            octets = answer_to(challenge.octets)
        except NoChallenge:
            raise _stop("auth_refused", "the server's challenge cannot be read") from None
    answer = yield Step(Phase.AUTH, octets + b"\r\n")
    if answer.code == 334:  # what is wrong stands in the challenge; the code that refuses comes for an empty answer
        answer = yield Step(Phase.AUTH, b"\r\n")
        if answer.code == 235:
            answer = _TOO_EASY
    _check(Phase.AUTH, answer)


def _check(phase: Phase, answer: Answer) -> None:
    judgement = judge(phase, answer.as_reply())
    if judgement is not None:
        raise Decided(judgement, answer.text, None if answer.code == GARBAGE else answer.code)


def _stop(reason: str, text: str) -> Decided:
    return Decided(Judgement(Outcome.STOP, reason), text)
