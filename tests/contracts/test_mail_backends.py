"""What every mail backend promises, held to each of them; the servers and programs behind them are on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from http_faults import KEY
from mail_carriers import KEPT, KINDS, LOGIN, OUTCOMES, QUICK, Carrier, Kind, smtp_server
from newsletter.base.errors import ConfigError, Unavailable
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import MailBackend, Message, Outcome, Verdict
from newsletter.mail.providers.smtp.backend import SmtpBackend
from newsletter.mail.providers.smtp.relay import Relay

SENDER = "bounce+abcdef@lettre.example.ma"
DATA = (
    b"From: =?utf-8?b?TGEgbGV0dHJlIMOg?= <lettre@example.ma>\r\nTo: reader@example.org\r\nSubject: =?utf-8?b?w6k=?=\r\n"
    b"Message-ID: <1@example.ma>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n"
    b"--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfirst line\r\n.\r\n..two dots\r\nlast line\r\n"
    b"--B\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>first line</p>\r\n--B--\r\n"
)
UNUSABLE = (
    "",
    "no-at-sign",
    "@example.org",
    "a@",
    '"a\r\nRCPT TO:<evil@x.y>"@b.c',
    "a@b.c\r\nDATA",
    "a@b.c\n",
    "a\0@b.c",
    "a b@c.org",
    "a@b.c ",
    "a\u00a0b@c.org",
    "<a@b.c>",
    "a@b.c> SIZE=1",
    "é@example.org",
    "a@éxample.org",
    '"quoted"@example.org',
    "a" * 65 + "@example.org",
    "a@" + "b" * 300,
    "a\ud800@b.c",
)
SITUATIONS = [(kind, name) for kind in KINDS for name in kind.does]


def message(key: int, recipient: str = "reader@example.org", *, data: bytes = DATA, smtputf8: bool = False) -> Message:
    numbered = data.replace(b"<1@example.ma>", b"<%d@example.ma>" % key)
    half = len(numbered) // 2
    return Message(key, SENDER, recipient, (numbered[:half], numbered[half:]), smtputf8=smtputf8)


def submit(backend: MailBackend, *messages: Message) -> list[Verdict]:
    with backend.open() as channel:
        return send_all(channel, messages)


def by_key(verdicts: list[Verdict]) -> dict[int, Verdict]:
    found = {verdict.key: verdict for verdict in verdicts}
    assert len(found) == len(verdicts), "two verdicts for one message"
    return found


def recipients(carrier: Carrier) -> list[str]:
    assert carrier.arrived is not None
    return sorted(mail.recipient for mail in carrier.arrived())


def id_of(kind: Kind) -> str:
    return kind.name


@pytest.fixture
def name() -> str:
    """The name of the recipient that something happens to; a test may ask for one."""
    return "reader"


@pytest.fixture
def carrier(kind: Kind, name: str, tmp_path: Path) -> Iterator[Carrier]:
    patience = 1 if name == "silent" else 10  # long enough for a busy machine
    with kind.working(tmp_path, patience) as carrier:
        yield carrier


@pytest.fixture
def dead(kind: Kind, tmp_path: Path) -> Iterator[MailBackend]:
    """A backend that cannot do its work."""
    with kind.dead(tmp_path) as backend:
        yield backend


every_kind = pytest.mark.parametrize("kind", KINDS, ids=id_of)


@every_kind
def test_each_message_is_accepted_and_gets_exactly_one_verdict(carrier: Carrier) -> None:
    verdicts = by_key(submit(carrier.backend, *(message(key, f"reader{key}@example.org") for key in range(1, 21))))
    assert set(verdicts) == set(range(1, 21))
    assert {(verdict.outcome, verdict.reason) for verdict in verdicts.values()} == {(Outcome.ACCEPTED, "accepted")}
    if carrier.arrived is not None:
        assert recipients(carrier) == sorted(f"reader{key}@example.org" for key in range(1, 21))


@every_kind
def test_the_octets_arrive_unchanged_with_their_envelope(carrier: Carrier) -> None:
    if carrier.arrived is None:
        assert carrier.backend.name == "console"  # it shows mail, it keeps no octets
        return
    dotted = b"X-Y: z\r\n" + DATA + b".\r\n..\r\n"
    submit(carrier.backend, message(1), message(2, "other@example.org", data=dotted))
    expected = {"reader@example.org": DATA, "other@example.org": dotted.replace(b"<1@", b"<2@")}
    assert recipients(carrier) == sorted(expected)
    for mail in carrier.arrived():
        assert mail.data == expected[mail.recipient] or (mail.data is None and mail.fields is not None)
        assert mail.sender in {SENDER, None}  # None: such an API has a return path of its own


@every_kind
def test_a_channel_takes_one_batch_after_another_and_while_one_is_under_way(carrier: Carrier) -> None:
    with carrier.backend.open() as channel:
        first = send_all(channel, [message(1)])
        channel.submit([message(2)])
        channel.submit([message(3), message(4)])
        rest: list[Verdict] = []
        while len(rest) < 3:
            rest += channel.verdicts(wait=10)
        assert {verdict.outcome for verdict in first + rest} == {Outcome.ACCEPTED}
        assert sorted(verdict.key for verdict in rest) == [2, 3, 4]
        channel.submit([])
        assert list(channel.verdicts(wait=10)) == []


@every_kind
def test_an_empty_return_path_is_carried(carrier: Carrier) -> None:
    assert submit(carrier.backend, Message(1, "", "reader@example.org", (DATA,)))[0].outcome is Outcome.ACCEPTED
    if carrier.arrived is not None:
        assert [mail.sender or "" for mail in carrier.arrived()] == [""]


@every_kind
def test_unusable_addresses_fail_alone_and_never_reach_the_other_side(carrier: Carrier) -> None:
    bad = [message(key, recipient) for key, recipient in enumerate(UNUSABLE)]
    verdicts = by_key(submit(carrier.backend, message(100), *bad, message(101)))
    assert {verdicts[key].outcome for key in range(len(UNUSABLE))} == {Outcome.FAILED}
    assert {verdicts[key].reason for key in range(len(UNUSABLE))} == {"address_invalid"}
    assert {verdicts[100].outcome, verdicts[101].outcome} == {Outcome.ACCEPTED}
    if carrier.arrived is not None:
        assert recipients(carrier) == ["reader@example.org"] * 2


@every_kind
def test_an_unusable_return_path_fails_its_message(carrier: Carrier) -> None:
    evil = Message(1, "a@b.c>\r\nRCPT TO:<evil@x.y", "reader@example.org", (DATA,))
    assert [verdict.outcome for verdict in submit(carrier.backend, evil, message(2))] == [
        Outcome.FAILED,
        Outcome.ACCEPTED,
    ]


@every_kind
@pytest.mark.parametrize(
    "data", [b"", b"To: a\r\n\r\nno end", b"a\r\nb\nc\r\n", b"a\r\nb\rc\r\n", b"a\r\n.\n\r\n", b"a\0\r\n", b"a\r\r\n"]
)
def test_a_message_whose_lines_do_not_all_end_in_crlf_fails(carrier: Carrier, data: bytes) -> None:
    verdicts = submit(carrier.backend, message(1, data=data), message(2))
    assert [(each.outcome, each.reason) for each in verdicts] == [
        (Outcome.FAILED, "message_malformed"),
        (Outcome.ACCEPTED, "accepted"),
    ]


near_addresses = st.one_of(
    st.from_regex(r"[a-z0-9.+'=/_-]{1,8}@[a-z0-9.-]{1,10}", fullmatch=True),
    st.text(st.sampled_from("ab@.<>\r\n \"\\é+'*%[]("), max_size=12),
    st.text(max_size=20),
)
keys = itertools.count(1000)


@every_kind
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(hopefuls=st.lists(near_addresses, min_size=1, max_size=8))
def test_whatever_the_address_is_nobody_else_gets_the_mail(carrier: Carrier, hopefuls: list[str]) -> None:
    before = recipients(carrier) if carrier.arrived is not None else []
    messages = [message(next(keys), recipient) for recipient in hopefuls]
    verdicts = submit(carrier.backend, *messages)
    assert {verdict.outcome for verdict in verdicts} <= {Outcome.ACCEPTED, Outcome.FAILED}
    if carrier.arrived is not None:
        pairs = zip(messages, verdicts, strict=True)
        taken = [each.recipient for each, verdict in pairs if verdict.outcome is Outcome.ACCEPTED]
        assert recipients(carrier) == sorted(before + taken)


@pytest.mark.parametrize(("kind", "name"), SITUATIONS, ids=[f"{kind.name}-{name}" for kind, name in SITUATIONS])
def test_what_becomes_of_a_mail_is_told_truly_and_its_neighbours_go_on(carrier: Carrier, kind: Kind, name: str) -> None:
    neighbours = range(2, 8)
    with carrier.backend.open() as channel:
        mails = [message(1, f"{name}@example.org"), *(message(key, f"reader{key}@example.org") for key in neighbours)]
        verdicts = by_key(send_all(channel, mails))
        again = send_all(channel, [message(9, "later@example.org")])
    assert (verdicts[1].outcome, verdicts[1].reason) == (OUTCOMES[name], kind.does[name])
    assert [verdict.outcome for verdict in again] == [Outcome.ACCEPTED], "a later submit tries again"
    expected = {Outcome.ACCEPTED}
    if name in {"broken", "lost", "silent"}:
        expected |= {Outcome.DEFERRED}  # those behind it on the same connection
    if name == "stop":
        expected |= {Outcome.STOP}  # those that were not begun
    if kind.is_bulk and name in {"busy", "lost", "silent"}:
        expected |= {OUTCOMES[name]}  # those in the same request
    assert {verdicts[key].outcome for key in neighbours} <= expected
    if name == "stop":
        stops = [verdict for verdict in verdicts.values() if verdict.outcome is Outcome.STOP]
        assert len({(verdict.reason, verdict.text) for verdict in stops}) == 1
    _check_arrived(carrier, name, verdicts, mails)


def _check_arrived(carrier: Carrier, name: str, verdicts: dict[int, Verdict], mails: list[Message]) -> None:
    """Hold what arrived to the verdicts: each accepted mail once, at most the uncertain ones besides."""
    arrived = recipients(carrier)
    told = {each.recipient for each in mails if verdicts[each.key].outcome is Outcome.ACCEPTED} | {"later@example.org"}
    doubtful = {each.recipient for each in mails if verdicts[each.key].outcome is Outcome.UNCERTAIN}
    assert len(set(arrived)) == len(arrived)
    assert told <= set(arrived) <= told | doubtful
    assert (f"{name}@example.org" in arrived) == (name in KEPT)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.largest is not None], ids=id_of)
def test_a_mail_above_what_the_other_side_takes_stops_before_a_byte_of_it_is_sent(carrier: Carrier, kind: Kind) -> None:
    assert kind.largest is not None
    line = b"x" * 998 + b"\r\n"
    large = message(1, "huge@example.org", data=DATA + line * (kind.largest // 1000 + 1))
    verdicts = by_key(submit(carrier.backend, large, message(2)))
    assert (verdicts[1].outcome, verdicts[1].reason) == (Outcome.STOP, "size_limit")
    assert verdicts[2].outcome in {Outcome.STOP, Outcome.ACCEPTED}
    assert "huge@example.org" not in recipients(carrier)


@every_kind
def test_after_a_stop_all_the_rest_is_stopped_for_the_same_reason(dead: MailBackend) -> None:
    with dead.open() as channel:
        for _ in range(2):  # a later submit tries again, and finds the same
            verdicts = by_key(send_all(channel, [message(1), message(2, "bad address"), *map(message, range(3, 30))]))
            assert verdicts.pop(2).outcome in {Outcome.STOP, Outcome.FAILED}
            assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.STOP}
            assert len({verdict.reason for verdict in verdicts.values()}) <= 2  # several ways may stop for several


@every_kind
def test_a_bad_address_still_fails_alone_before_a_stop(dead: MailBackend) -> None:
    outcomes = [each.outcome for each in submit(dead, message(1, "bad address"), message(2))]
    assert outcomes == [Outcome.FAILED, Outcome.STOP]


@every_kind
def test_it_says_where_mail_goes_without_secrets(carrier: Carrier) -> None:
    assert carrier.backend.describe()
    shown = carrier.backend.describe() + repr(carrier.backend) + str(carrier.backend)
    assert LOGIN.password not in shown
    assert KEY not in shown


@every_kind
def test_a_check_sends_nothing_and_is_content_with_what_works(carrier: Carrier, kind: Kind) -> None:
    if kind.name == "failover":  # its first way is dead
        with pytest.raises(Unavailable, match="unreachable"):
            carrier.backend.check()
    else:
        carrier.backend.check()
    assert carrier.arrived is None or carrier.arrived() == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.is_checked], ids=id_of)
def test_a_check_names_the_cause_when_mail_could_not_leave(dead: MailBackend) -> None:
    with pytest.raises((Unavailable, ConfigError)) as refused:
        dead.check()
    assert KEY not in str(refused.value)


def test_an_internationalised_address_is_mailed_where_the_server_can() -> None:
    for can in (True, False):
        with smtp_server(enable_SMTPUTF8=can) as (handler, port):
            backend = SmtpBackend(Relay("127.0.0.1", port, limits=QUICK))
            verdict, other = submit(backend, message(1, "قارئ@مثال.المغرب", smtputf8=True), message(2))
            assert other.outcome is Outcome.ACCEPTED
            if can:
                assert verdict.outcome is Outcome.ACCEPTED
                assert "قارئ@مثال.المغرب" in [mail.recipient for mail in handler.mails]
            else:
                assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "relay_cannot")


def test_the_table_of_carriers_knows_every_outcome() -> None:
    assert {OUTCOMES[name] for _, name in SITUATIONS} == set(Outcome) - {Outcome.ACCEPTED}
