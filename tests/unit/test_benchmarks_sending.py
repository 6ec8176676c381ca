"""The benchmark measures what it says: an issue that is sent whole, mails that are as meant, medians and aims."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from benchmarks.sending.captured import differences
from benchmarks.sending.counting import Envelope, read_kept
from benchmarks.sending.ground import prepare, settings, verify
from benchmarks.sending.measure import Cost, joined
from benchmarks.sending.reference import reference
from benchmarks.sending.relay import Held
from benchmarks.sending.rounds import Results, compare
from benchmarks.sending.senders import ByHand, Ours
from benchmarks.sending.servers import Counting, Server
from benchmarks.sending.tables import Table, aim, speeds
from newsletter.bootstrap import build

MAILS = 20


@pytest.mark.slow
def test_an_issue_is_sent_whole_and_every_mail_is_the_reference(tmp_path: Path) -> None:
    ground = prepare(f"sqlite:///{tmp_path / 'template.db'}", mails=MAILS, folder=tmp_path)
    parts = build(settings(ground.url, "memory://", home=tmp_path))
    kept = {}
    for sender in (Ours("ours", ground, processes=2), ByHand("by hand", ground, MAILS, is_flat=True)):
        path = tmp_path / f"{sender.name}.jsonl"
        with Counting(tmp_path).in_python("--keep", str(path), "--most", str(MAILS)) as server:
            cost = sender.send(server.port)
        kept[sender.name] = read_kept(path)
        assert cost.mails == server.messages == len(kept[sender.name]) == MAILS
        assert differences(kept[sender.name], parts, reference(parts), is_ours=sender.name == "ours") == []
    other = [Envelope(each.sender, "reader1@d1.example.org", each.data) for each in kept["ours"]]
    assert differences(other, parts, reference(parts), is_ours=True) != []
    parts.database.close()


def test_an_issue_that_was_not_sent_is_never_taken_for_one_that_was(tmp_path: Path) -> None:
    ground = prepare(f"sqlite:///{tmp_path / 'template.db'}", mails=MAILS, folder=tmp_path)
    with ground.copied() as url, pytest.raises(RuntimeError, match="not every mail was accepted"):
        verify(url, mails=MAILS, home=tmp_path)


def test_processes_that_worked_together_took_from_the_first_to_the_last() -> None:
    together = joined([Cost(10, 1.0, 3.0, 0.5, 50, 5), Cost(30, 1.5, 5.0, 1.5, 60, 4)])
    assert together == Cost(40, 1.0, 5.0, 2.0, 60, 5)
    assert together.rate == 10
    assert together.cpu_per_thousand == 50


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    fast = [_cost(seconds) for seconds in (1.0, 10.0, 1.0)]
    slow = [_cost(seconds) for seconds in (2.0, 30.0, 1.0)]
    results = Results({"fast": fast, "slow": slow}, {"fast": [0.5, 5.0, 1.0], "slow": []})
    assert results.ratio("fast", "slow") == 2
    assert results.rate("fast") == 100
    assert results.server_shares() == {"fast": 0.5}
    assert speeds("Title", results, beside={"slow": "× slow"}).rows[0][:3] == ["fast", "100", "2.00"]


def test_a_round_in_which_the_server_counted_less_is_refused() -> None:
    class Sender:
        name = "somebody"

        def send(self, port: int) -> Cost:
            return _cost(1.0)

    def server(messages: int | None) -> AbstractContextManager[Server]:
        return nullcontext(Server(25, messages=messages))

    assert compare([Sender()], lambda: server(100), runs=2).rate("somebody") == 100
    with pytest.raises(RuntimeError, match="sent 100 mails, the server counted 99"):
        compare([Sender()], lambda: server(99), runs=1)


def test_the_relay_holds_octets_back_without_changing_their_order() -> None:
    class Writer:
        def __init__(self) -> None:
            self.written: list[tuple[float, bytes]] = []
            self.is_closed = False

        def write(self, octets: bytes) -> None:
            self.written.append((asyncio.get_running_loop().time(), octets))

        def close(self) -> None:
            self.is_closed = True

    async def pass_some() -> Writer:
        writer = Writer()
        held = Held(writer, 0.02)  # type: ignore[arg-type]
        began = asyncio.get_running_loop().time()
        for octets in (b"a", b"b", b""):
            held.add(octets)
        await held.pass_on()
        assert min(moment for moment, _ in writer.written) >= began + 0.02
        return writer

    writer = asyncio.run(pass_some())
    assert [octets for _, octets in writer.written] == [b"a", b"b"]
    assert writer.is_closed


def test_tables_and_aims_say_what_falls_short() -> None:
    table = Table("Speeds", ["", "messages/s"], [["ours", "12"]], ["A note."])
    assert table.markdown() == "### Speeds\n\n|  | messages/s |\n| --- | ---: |\n| ours | 12 |\n\nA note.\n"
    assert "  ours          12" in table.plain()
    assert aim("speed", 0.5, least=1).endswith("0.50, MISSED.")
    assert aim("cost", 0.5, most=1).endswith("0.5, met.")


def _cost(seconds: float) -> Cost:
    return Cost(100, 0.0, seconds, 0.1, 50, 5)
