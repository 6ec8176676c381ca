"""`newsletter privacy`: forget, proof, export, erase, as they are typed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from command_line import SUNDAY, TUESDAY, Command
from sqlalchemy import update

from factories import make_reader
from newsletter.subscribers.models import Subscriber
from newsletter.subscribers.queries import by_id
from newsletter.subscriptions.evidence import Shown, witness
from newsletter.subscriptions.models import ConsentKind, ConsentText
from newsletter.subscriptions.queries import of_subscriber
from newsletter.web import current
from newsletter.web.wsgi import app

ADDRESS = "salma.bennani@gmail.com"


@pytest.fixture
def reader(ready: Command) -> int:
    with ready.parts(at=SUNDAY) as parts:
        found = make_reader(parts, ADDRESS)
        with parts.database.work() as work:
            shown = Shown("J’accepte.", "sign-up-2", "198.51.100.0/24")
            [subscription] = of_subscriber(work, found.subscriber_id)
            evidence = {"system": "listmonk", "email": ADDRESS, "opted_in": "2024-01-05"}
            witness(work, subscription, ConsentKind.IMPORTED, "fr", shown, evidence=evidence)
        return found.subscriber_id


def test_forget_says_what_it_does_and_then_does_it(ready: Command, reader: int) -> None:
    later = f"{datetime.fromisoformat(SUNDAY) + timedelta(days=31):%Y-%m-%dT%H:%M:%S+00:00}"
    would = ready("privacy", "forget", "--dry-run", "--at", later)
    assert "1  networks of consents removed" in would.output
    assert "Nothing was changed" in would.output
    assert ready("privacy", "forget", "--at", later).output == would.output.rpartition("Nothing")[0]
    assert "Nothing has been kept too long." in ready("privacy", "forget", "--at", later).output


def test_forget_counts_in_json(ready: Command, reader: int) -> None:
    counted = ready.json("privacy", "forget", "--dry-run")
    assert set(counted) >= {"unconfirmed", "addresses", "networks", "persons"}


def test_proof_shows_each_consent_with_its_text_verified(ready: Command, reader: int) -> None:
    said = ready("privacy", "proof", ADDRESS.upper()).output
    assert "15 Nov 2026 12:00:00 UTC, in fr" in said
    assert "I agree." in said
    assert f"{sha256(b'I agree.').hexdigest()} (matches the text)" in said
    assert "198.51.100.0/24" in said
    assert "2024-01-05" in said
    found = ready.json("privacy", "proof", ADDRESS)
    [subscription] = found["subscriptions"]
    assert [each["what"] for each in subscription["consents"]] == ["requested", "confirmed", "imported"]
    assert all(each["text_matches_hash"] for each in subscription["consents"])
    assert subscription["confirmed_at"] == "2026-11-15T12:00:00+00:00"


def test_proof_tells_a_text_that_was_changed(ready: Command, reader: int) -> None:
    with ready.parts(at=SUNDAY) as parts, parts.database.work() as work:
        work.session.execute(update(ConsentText).values(text="I agree to everything."))
    assert "DOES NOT MATCH" in ready("privacy", "proof", ADDRESS).output


def test_erasing_asks_first(ready: Command, reader: int) -> None:
    answer = ready("privacy", "erase", ADDRESS, expect=1)
    assert "subscriptions that end: hebdo" in answer.output
    assert ADDRESS in ready("subscribers", "show", ADDRESS).output
    assert not (ready.home / "erasures.log").exists()


def test_after_erasing_the_proof_says_what_is_kept_and_what_is_not(ready: Command, reader: int) -> None:
    said = ready("privacy", "erase", ADDRESS, "--yes").output
    assert str(ready.home / "erasures.log") in said
    proof = ready("privacy", "proof", ADDRESS).output
    assert "I agree." in proof
    assert "still kept" in proof
    assert "not kept" in proof
    assert "198.51.100" not in proof
    found = ready.json("privacy", "proof", ADDRESS)
    assert found["address_is_kept"] is False
    assert found["subscriptions"][0]["consents"][2]["evidence"] == {"system": "listmonk", "opted_in": "2024-01-05"}
    assert [each["reason"] for each in found["closed_for"]] == ["erasure"]
    exported = json.loads(ready("privacy", "export", ADDRESS).stdout)
    assert exported["address"] is None
    assert ADDRESS not in json.dumps(exported)


def test_export_is_all_that_is_kept(ready: Command, reader: int) -> None:
    exported = json.loads(ready("privacy", "export", ADDRESS).stdout)
    assert exported["address"] == ADDRESS
    [subscription] = exported["subscriptions"]
    assert subscription["newsletter"] == "hebdo"
    assert subscription["languages"] == ["fr"]
    assert subscription["consents"][0]["text_shown"] == "I agree."
    [request] = exported["requests"]
    assert request["what"] == "confirmation"
    [mail] = exported["mails"]
    assert (mail["kind"], mail["state"], mail["newsletter"]) == ("confirmation", "pending", "hebdo")


def test_erasing_who_has_gone_closes_the_address(ready: Command, reader: int) -> None:
    with ready.parts(at=TUESDAY) as parts, parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None, removed_at=work.now))
    assert "not kept any more" in ready("privacy", "erase", ADDRESS, "--yes").output
    assert ready.json("privacy", "proof", ADDRESS)["closed_for"][0]["reason"] == "erasure"
    assert len((ready.home / "erasures.log").read_text().splitlines()) == 1


@pytest.mark.parametrize("words", [("proof",), ("export",), ("erase", "--yes")])
def test_nobody_is_known_by_a_strangers_address(ready: Command, words: tuple[str, ...]) -> None:
    answer = ready("privacy", *words, "stranger@example.org", expect=65)
    assert "stranger@example.org" in answer.output


def test_a_home_that_cannot_be_written_erases_nobody(ready: Command, reader: int) -> None:
    (ready.home / "erasures.log").mkdir()
    answer = ready("privacy", "erase", ADDRESS, "--yes", expect=78)
    assert "erasures.log" in answer.output


def test_any_command_begins_by_erasing_whom_a_restored_backup_brought_back(ready: Command, reader: int) -> None:
    ready("privacy", "erase", ADDRESS, "--yes")
    with ready.parts_now() as parts, parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=ADDRESS, address_key=ADDRESS, removed_at=None))
    ready("run", "--due")
    with ready.parts_now() as parts, parts.database.reading() as work:
        assert by_id(work, reader).address is None


def test_a_backup_does_not_hold_the_log_of_erasures(ready: Command, reader: int) -> None:
    ready("privacy", "erase", ADDRESS, "--yes")
    if ready("db", "backup", expect=65 if "NEWSLETTER_DATABASE_URL" in ready.environment else 0).exit_code == 0:
        assert [path.suffix for path in (ready.home / "backups").iterdir()] == [".db"]


def test_a_run_says_in_json_what_it_forgot(ready: Command, reader: int) -> None:
    assert ready.json("run", "--due")["forgotten"]["addresses"] == 0


def _bring_back(ready: Command) -> None:
    with ready.parts_now() as parts, parts.database.work() as work:
        work.session.execute(update(Subscriber).values(address=ADDRESS, address_key=ADDRESS, removed_at=None))


def test_a_site_begins_by_erasing_whom_a_restored_backup_brought_back(
    ready: Command, reader: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready("privacy", "erase", ADDRESS, "--yes")
    _bring_back(ready)
    for name, value in ready.environment.items():
        monkeypatch.setenv(name, value)
    app().extensions[current.KEY].database.close()
    with ready.parts_now() as parts, parts.database.reading() as work:
        assert by_id(work, reader).address is None


def test_a_site_whose_log_cannot_be_read_starts_all_the_same(
    ready: Command, reader: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (ready.home / "erasures.log").mkdir()
    for name, value in ready.environment.items():
        monkeypatch.setenv(name, value)
    app().extensions[current.KEY].database.close()
    assert "erasures.log cannot be read" in caplog.text


def test_a_worker_begins_by_erasing_whom_a_restored_backup_brought_back(ready: Command, reader: int) -> None:
    ready("privacy", "erase", ADDRESS, "--yes")
    _bring_back(ready)
    worker = ready.start("worker")
    assert worker.stdout is not None
    assert "Ctrl-C stops" in worker.stdout.readline()
    worker.terminate()
    worker.communicate(timeout=30)
    with ready.parts_now() as parts, parts.database.reading() as work:
        assert by_id(work, reader).address is None
