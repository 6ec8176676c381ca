"""RFC 8058, exactly: the List-Unsubscribe of real mails, posted as mail programs post."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pages import everything, read, subscriptions
from post import publish, send_digest, ways_out
from sqlalchemy import delete, update
from werkzeug.test import TestResponse

from factories import make_newsletter, make_reader
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.base.links import Links
from newsletter.bootstrap import Parts, build
from newsletter.db.database import Database
from newsletter.subscribers.models import Subscriber
from newsletter.subscriptions.models import Consent, EndReason, Subscription, SubscriptionState
from newsletter.web.app import create_app

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BOUNDARY = "----=_Part_1_2.3"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{BOUNDARY}--\r\n'
)
WAYS: dict[str, dict[str, Any]] = {
    "Gmail": {"data": MULTIPART, "content_type": f'multipart/form-data; boundary="{BOUNDARY}"'},
    "Yahoo": {"data": ONE_CLICK, "headers": {"User-Agent": "Yahoo! Mail Unsubscribe"}},
    "no body": {},
    "an empty form": {"data": b"", "content_type": "application/x-www-form-urlencoded"},
    "an unknown body": {"data": b"\x00\xff\xfe{}", "content_type": "application/x-something"},
    "JSON": {"data": b'{"from": "page", "all": "yes"}', "content_type": "application/json"},
    "no boundary": {"data": b"broken", "content_type": "multipart/form-data"},
    "a body that is cut off": {"data": MULTIPART[:60], "content_type": f"multipart/form-data; boundary={BOUNDARY}"},
    "an unknown character set": {"data": b"x=\xff", "content_type": "application/x-www-form-urlencoded; charset=zz"},
    "no origin": {"data": ONE_CLICK, "headers": {"Origin": "null", "Sec-Fetch-Site": "cross-site"}},
    "another site": {
        "data": ONE_CLICK,
        "headers": {"Origin": "https://mail.example", "Referer": "https://mail.example/"},
    },
    "a cookie": {
        "data": ONE_CLICK,
        "headers": {"Cookie": "session=somebody; csrf=else", "Authorization": "Basic eA=="},
    },
    "another language": {"data": ONE_CLICK, "headers": {"Accept-Language": "zz, ar;q=0.1"}},
    "a preference for JSON": {"data": ONE_CLICK, "headers": {"Accept": "application/json"}},
}
PATHS: dict[str, Callable[[str], str]] = {
    "as it stands": lambda path: path,
    "a trailing slash": lambda path: f"{path}/",
    "capital letters": str.upper,
    "a capital token": lambda path: path.rpartition("/")[0] + "/" + path.rpartition("/")[2].upper(),
    "a language": lambda path: f"/ar{path}",
    "a language and a slash": lambda path: f"/fr{path}/",
    "a query": lambda path: f"{path}?utm_source=x&from=page&all=yes",
}


@pytest.fixture(params=["", "/services/lettre"], ids=["at the root", "below a path"])
def site(request: pytest.FixtureRequest, settings: Settings, clock: SetClock) -> Iterator[Parts]:
    """A site that sent a digest to three readers."""
    parts = build(settings.model_copy(update={"base_url": f"https://lettre.test{request.param}"}), clock=clock)
    make_newsletter(parts)
    yield parts
    parts.database.close()


def digests(site: Parts, clock: SetClock, languages: Sequence[str]) -> list[tuple[int, str, str]]:
    """Send a digest to so many readers; returns subscription, address of List-Unsubscribe without host, and mailbox."""
    readers = {
        f"reader{number}@example.org": make_reader(site, f"reader{number}@example.org", languages=[language]).id
        for number, language in enumerate(languages)
    }
    for language in set(languages):
        publish(site, f"news-{language}", language=language)
    found = []
    for mail in send_digest(site, clock):
        link, mailbox = ways_out(mail)
        assert link.startswith(site.links.base_url + "/u/")
        found.append((readers[str(mail["To"])], link.removeprefix("https://lettre.test"), mailbox))
    assert len(found) == len(readers)
    return found


def post(parts: Parts, link: str, way: str = "Gmail") -> TestResponse:
    return create_app(parts).test_client(use_cookies=False).post(link, **WAYS[way])


def ended(parts: Parts) -> dict[int, EndReason | None]:
    return {each.id: each.end_reason for each in subscriptions(parts) if each.state is SubscriptionState.ENDED}


def test_every_mail_program_leaves_at_once_and_for_its_own_reader_only(site: Parts, clock: SetClock) -> None:
    asked = [(way, "as it stands") for way in WAYS] + [(way, path) for path in PATHS for way in ("Gmail", "no body")]
    mails = digests(site, clock, [("fr", "ar", "en")[number % 3] for number in range(len(asked))])
    client = create_app(site).test_client(use_cookies=False)
    gone: dict[int, EndReason | None] = {}
    for (way, path), (reader, link, _) in zip(asked, mails, strict=True):
        below = site.links.base_url.removeprefix("https://lettre.test")
        shaped = below + PATHS[path](link.removeprefix(below))
        first = client.post(shaped, **WAYS[way])
        gone[reader] = EndReason.ONE_CLICK
        assert (first.status_code, ended(site)) == (200, gone), (way, path)
        assert not {"Location", "Set-Cookie"} & set(first.headers.keys()), (way, path)
        before = everything(site)
        again = client.post(shaped, **WAYS[way])
        assert (again.status_code, read(again).language) == (200, read(first).language), (way, path)
        assert everything(site) == before, (way, path)


def test_the_answer_is_in_the_readers_language_whatever_the_link_says(site: Parts, clock: SetClock) -> None:
    ((_, link, _),) = digests(site, clock, ["ar"])
    below = site.links.base_url.removeprefix("https://lettre.test")
    answer = (
        create_app(site).test_client().post(f"{below}/fr{link.removeprefix(below)}", headers={"Accept-Language": "en"})
    )
    assert read(answer).language == "ar"


def test_looking_never_leaves(site: Parts, clock: SetClock) -> None:
    ((_, link, _),) = digests(site, clock, ["fr"])
    client = create_app(site).test_client()
    before = everything(site)
    below = site.links.base_url.removeprefix("https://lettre.test")
    for shape in PATHS.values():
        for method in ("GET", "HEAD", "OPTIONS"):
            for way in WAYS.values():
                assert client.open(below + shape(link.removeprefix(below)), method=method, **way).status_code == 200
    assert everything(site) == before


def test_an_old_key_still_opens_its_links(site: Parts, clock: SetClock) -> None:
    ((reader, link, mailbox),) = digests(site, clock, ["fr"])
    rotated = replace(site, links=Links(base_url=site.links.base_url, keys=["n" * 40, "m" * 40, site.settings.keys[0]]))
    assert rotated.links.unsubscribe_token(reader, 1) not in link
    assert post(rotated, link).status_code == 200
    assert ended(site) == {reader: EndReason.ONE_CLICK}
    assert rotated.links.read_unsubscribe(mailbox.partition("+")[2].partition("@")[0]).subscription_id == reader
    forgotten = replace(site, links=Links(base_url=site.links.base_url, keys=["n" * 40]))
    assert post(forgotten, link).status_code == 404


def test_ten_years_later_the_link_leaves(site: Parts, clock: SetClock) -> None:
    ((reader, link, _),) = digests(site, clock, ["fr"])
    clock.advance(timedelta(days=3653))
    assert post(site, link, "Yahoo").status_code == 200
    assert ended(site) == {reader: EndReason.ONE_CLICK}


def test_who_was_erased_is_answered_with_peace(site: Parts, clock: SetClock) -> None:
    (reader, link, _), (_, other, _) = digests(site, clock, ["fr", "fr"])
    assert post(site, link).status_code == 200
    with site.database.work() as work:
        work.session.execute(update(Subscriber).values(address=None, address_key=None))
    for way in WAYS:
        assert post(site, link, way).status_code == 200
    with site.database.work() as work:
        work.session.execute(delete(Consent).where(Consent.subscription_id == reader))
        work.session.execute(delete(Subscription).where(Subscription.id == reader))
    before = everything(site)
    for way in WAYS:
        assert post(site, link, way).status_code == 200
    assert everything(site) == before
    assert post(site, other).status_code == 200


def test_the_mailbox_reads_back_from_capitals(site: Parts, clock: SetClock) -> None:
    ((reader, link, mailbox),) = digests(site, clock, ["fr"])
    local, _, domain = mailbox.partition("@")
    assert len(local) <= 64
    assert local.isascii()
    assert local == local.lower()
    assert domain == "lettre.example.ma"
    assert local == f"unsub+{link.rpartition('/')[2]}"
    for folded in (local, local.upper(), local.title()):
        assert site.links.read_unsubscribe(folded.partition("+")[2]).subscription_id == reader


def test_a_changed_character_opens_nothing(client: FlaskClient, parts: Parts) -> None:
    reader = make_reader(parts, "one@example.org")
    token = parts.links.unsubscribe_token(reader.id, 7)
    before = everything(parts)
    for place, letter in enumerate(token):
        other = "a" if letter != "a" else "b"
        for changed in (token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :]):
            assert client.post(f"/u/{changed}", data=ONE_CLICK).status_code == 404
            assert client.get(f"/u/{changed}").status_code == 404
    assert client.post(f"/u/{parts.links.manage_token(reader.id, 7)}", data=ONE_CLICK).status_code == 404
    assert everything(parts) == before


@pytest.mark.skipif(os.environ.get("TEST_DATABASE") == "postgresql", reason="a file that is taken away")
def test_without_a_database_nothing_is_half_done(parts: Parts, tmp_path: Path) -> None:
    make_newsletter(parts)
    reader = make_reader(parts, "one@example.org")
    token = parts.links.unsubscribe_token(reader.id, 7)
    (file,) = tmp_path.glob("*.db")
    gone = file.rename(tmp_path / "away")
    file.mkdir()
    lost = replace(parts, database=Database(f"sqlite:///{file}", clock=parts.clock))
    links = parts.links
    undo = links.undo_token(reader.id, at=parts.clock.now())
    for link in (f"/u/{token}", f"/topic/{links.topic_token(reader.id, 1)}", f"/undo/{undo}"):
        for method in ("GET", "POST"):
            answer = create_app(lost).test_client().open(link, method=method, headers={"Accept-Language": "ar"})
            assert (answer.status_code, read(answer).language) == (503, "ar")
            assert answer.headers["Retry-After"]
    lost.database.close()
    file.rmdir()
    gone.rename(file)
    assert ended(parts) == {}
    assert post(parts, f"/u/{token}").status_code == 200
