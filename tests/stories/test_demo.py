"""The demo tells the main job and means it: it ends well only if every step held."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import Client

from newsletter.base.clock import SetClock
from newsletter.base.config import load_settings
from newsletter.bootstrap import build
from newsletter.db import migrations
from newsletter.demo import mailbox, sample
from newsletter.demo.command import demo
from newsletter.demo.pages import SampleSite, create_demo_app
from newsletter.demo.story import READERS, SIGN_UP, Story


def tell(home: Path) -> Result:
    return CliRunner().invoke(demo, ["--no-serve", "--home", str(home)], catch_exceptions=False)


def test_the_story_holds_and_says_where_to_look(tmp_path: Path) -> None:
    result = tell(tmp_path / "demo")

    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    assert "Everything held." in result.output
    assert re.search(r"every mail +http://127\.0\.0\.1:\d+/demo/mail/", result.output)
    mails = mailbox.mails(tmp_path / "demo" / "mail")
    assert len(mails) == 3 * len(READERS), "a confirmation and two digests each"
    assert {mail.language for mail in mails} == {"fr", "ar", "en"}


def test_each_run_begins_anew_and_touches_nobody_elses_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    refused = CliRunner().invoke(demo, ["--no-serve", "--home", str(tmp_path / "mine")])
    assert refused.exit_code != 0
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years of work"

    home = tmp_path / "demo"
    (tell(home), tell(home))
    assert len(mailbox.mails(home / "mail")) == 3 * len(READERS)


def test_a_story_whose_mails_do_not_arrive_does_not_hold(tmp_path: Path) -> None:
    settings = load_settings(
        {},
        home=tmp_path,
        mail_url="memory://",
        base_url="http://127.0.0.1:9",
        secret_keys="k" * 40,
        address_key="k" * 40,
    )
    clock = SetClock(SIGN_UP)
    parts = build(settings, clock=clock)
    migrations.upgrade(parts.database)
    told: list[str] = []
    site = SampleSite("http://127.0.0.1:9/demo/site")
    assert not Story(parts, clock, site, tmp_path / "mail", say=told.append).tell()
    assert any("✗" in line for line in told)
    parts.database.close()


@pytest.mark.parametrize("language", sample.LANGUAGES)
def test_every_link_that_the_sample_site_publishes_opens(tmp_path: Path, language: str) -> None:
    site = SampleSite("http://localhost/site", week=2)
    client = Client(create_demo_app(site, maildir=tmp_path))
    feed = client.get(f"/site/feed.{language}.xml").get_data(as_text=True)
    addresses = set(re.findall(r'"http://localhost(/site/[^"]+)"', feed)) | {f"/site/{language}/"}
    articles = {
        article.url.removeprefix("http://localhost")
        for week in (1, 2)
        for article in sample.articles(site=site.address, week=week)
    }
    for address in addresses | articles:
        with client.get(address) as answer:
            assert answer.status_code == 200, address


def test_the_mailbox_shows_html_text_and_headers_of_every_mail(tmp_path: Path) -> None:
    tell(tmp_path / "demo")
    client = Client(create_demo_app(SampleSite("http://localhost/site"), maildir=tmp_path / "demo" / "mail"))
    pages = re.findall(r'href="(/mail/[^"]+)"', client.get("/mail/").get_data(as_text=True))
    assert len(pages) == 3 * len(READERS)
    for page in pages:
        shown = client.get(page).get_data(as_text=True)
        assert "List-Unsubscribe" in shown or "/confirm/" in shown
        assert client.get(f"{page}/html").get_data(as_text=True).startswith("<!DOCTYPE html")
    assert client.get("/mail/none-such").status_code == 404
