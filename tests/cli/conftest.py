"""What the tests of the command line ask for: a home of their own, and a feed to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest
from command_line import SUNDAY, Command


@pytest.fixture
def newsletter(
    tmp_path: Path,
    database_kind: str,
    fresh_database: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """The command in a home that does not exist yet; on PostgreSQL with a database that stands ready."""
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        monkeypatch.delenv(name)
    environment = {"NEWSLETTER_HOME": str(tmp_path / "home")}
    if database_kind == "postgresql":
        environment["NEWSLETTER_DATABASE_URL"] = fresh_database(tmp_path)
    return Command(environment)


@pytest.fixture
def ready(newsletter: Command) -> Command:
    """The command after `init` and with a newsletter."""
    newsletter("init")
    newsletter("newsletters", "add", "hebdo", "--name", "L'hebdo", "--at", SUNDAY)
    return newsletter


@pytest.fixture
def feed(tmp_path: Path) -> Callable[..., Path]:
    """Write a small RSS file with these titles, each a piece of its own."""

    def write(*titles: str, name: str = "feed.xml") -> Path:
        items = "".join(
            f"<item><title>{escape(title)}</title><link>https://www.example.ma/{number}</link><guid>{number}</guid>"
            f"<description>{escape(title)} : les guichets de la commune ouvrent le lundi matin.</description></item>"
            for number, title in enumerate(titles, 1)
        )
        path = tmp_path / name
        path.write_text(
            f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Le ministère</title>'
            f"<link>https://www.example.ma/</link><description>.</description><language>fr</language>{items}"
            "</channel></rss>",
            encoding="utf-8",
        )
        return path

    return write
