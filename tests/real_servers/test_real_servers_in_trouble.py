"""Mails to servers that lose their patience, or die: what they accepted is there, and nothing that was refused is."""

from __future__ import annotations

import pytest
from real_checks import assert_same, await_arrival
from real_mails import WINDOW, mail, mail_url, make_mails, send, send_again
from real_parts import DOMAIN, RealServer

from newsletter.mail.port import Outcome

pytestmark = pytest.mark.slow


def test_many_unknown_readers_on_few_connections_cost_no_known_one_its_mail(server: RealServer) -> None:
    good = list(make_mails(50_000, 60))
    unknown = [mail(51_000 + number, recipient=f"nobody{number}@{DOMAIN}") for number in range(60)]
    mixed = [each for pair in zip(good, unknown, strict=True) for each in pair]
    url = mail_url(server.doors, "plain") + "&connections=2"  # Postfix says 421 after twenty refusals on one

    first = send(url, mixed)
    verdicts = {verdict.key: verdict.outcome for verdict in send_again(url, mixed, first)}

    assert {verdict.outcome for verdict in first} <= {Outcome.ACCEPTED, Outcome.FAILED, Outcome.DEFERRED}
    assert {verdicts[each.key] for each in good} == {Outcome.ACCEPTED}
    assert {verdicts[each.key] for each in unknown} == {Outcome.FAILED}
    assert_same(good, await_arrival(server, good))


def test_a_server_that_is_killed_has_what_it_accepted_and_nothing_that_we_think_it_has_not(mortal: RealServer) -> None:
    mails = list(make_mails(60_000, 400))
    url = mail_url(mortal.doors, "plain")

    verdicts = send(url, mails, meanwhile=(120, mortal.die))

    mortal.rise()
    keys = {outcome: {verdict.key for verdict in verdicts if verdict.outcome is outcome} for outcome in Outcome}
    accepted, uncertain = keys[Outcome.ACCEPTED], keys[Outcome.UNCERTAIN]
    arrived = await_arrival(mortal, mails, accepted)
    there = {each.key for each in mails if each.recipient in {found.recipient for found in arrived}}
    assert sum(map(len, keys.values())) == len(mails)
    assert 120 <= len(accepted) < len(mails)
    assert len(uncertain) <= WINDOW
    assert keys[Outcome.FAILED] == set()
    assert accepted <= there <= accepted | uncertain, mortal.log()  # once: only the server knows, it died delivering
