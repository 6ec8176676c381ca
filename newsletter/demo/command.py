"""`newsletter demo`: a fresh home, the site on loopback, the story, and then the pages to look at."""

from __future__ import annotations

import logging
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from waitress import create_server
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from newsletter.base.clock import SetClock
from newsletter.base.config import load_settings, make_secrets
from newsletter.base.errors import Conflict, Unavailable
from newsletter.bootstrap import Parts, build
from newsletter.db import migrations
from newsletter.demo.pages import SampleSite, create_demo_app
from newsletter.demo.story import SIGN_UP, Story
from newsletter.operations.sending import TRANSACTIONAL, send_due
from newsletter.web.app import create_app

HOST = "127.0.0.1"
USUAL_PORT = 8000
MARK = ".newsletter-demo"
STEP = timedelta(seconds=0.5)


@click.command()
@click.option("--no-serve", is_flag=True, help="Stop when the story is told; exit 0 only if every step held.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the site on loopback (default: 8000, or a free one)."
)
@click.option(
    "--home", type=click.Path(path_type=Path), help="Folder of the demo, emptied at each run (default: var/demo)."
)
def demo(*, no_serve: bool, port: int | None, home: Path | None) -> None:
    """Tell the main job as a story, on articles of our own, and let you look at every page and mail."""
    console = Console(highlight=False, soft_wrap=True)
    folder = _fresh_home(home or Path("var") / "demo")
    listener = _listening(port)
    clock = SetClock(SIGN_UP)
    settings = load_settings(
        {}, home=folder, base_url=f"http://{HOST}:{listener.getsockname()[1]}", mail_url="maildir://", database_url=""
    )
    parts = build(settings, clock=clock)
    migrations.upgrade(parts.database)
    maildir = folder / "mail"
    site = SampleSite(f"{settings.base_url}/demo/site")
    with _serving(parts, site, maildir, listener):
        story = Story(parts, clock, site, maildir, say=lambda line: console.print(line, markup=False))
        held = story.tell()
        _where_to_look(console, settings.base_url, folder)
        console.print("\nEverything held." if held else f"\n{len(story.broken)} things did not hold.")
        if not no_serve and sys.stdout.isatty():
            console.print("The site stays open until Ctrl-C.")
            _stay_open(parts, clock)
            console.print(f"\nClosed. The mails and the database stay in {folder} until the next run.", markup=False)
    parts.database.close()
    if not held:
        sys.exit(1)


def _fresh_home(folder: Path) -> Path:
    """Empty the demo's folder; one that somebody else made is not touched."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise Conflict(f"{folder} holds something that is not the demo's: choose another --home")
        shutil.rmtree(folder)
    make_secrets(folder)
    (folder / MARK).touch()
    return folder


def _listening(port: int | None) -> socket.socket:
    """A socket bound for good, so that nobody else takes its port meanwhile: this port, or the usual or a free one."""
    for candidate in (port,) if port else (USUAL_PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            cause = error.strerror
            continue
        return listener
    raise Unavailable(f"port {candidate} cannot be used: {cause}")


@contextmanager
def _serving(parts: Parts, site: SampleSite, maildir: Path, listener: socket.socket) -> Iterator[None]:
    """Serve the newsletter's pages, and the demo's beside them, from a thread."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    pages = DispatcherMiddleware(create_app(parts).wsgi_app, {"/demo": create_demo_app(site, maildir=maildir).wsgi_app})
    server = create_server(pages, sockets=[listener], threads=4)
    thread = threading.Thread(target=server.run, name="site", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.close()
        thread.join(timeout=5)


def _where_to_look(console: Console, base_url: str, folder: Path) -> None:
    console.print("\nWhere to look", style="bold")
    for what, url in (
        ("every mail", f"{base_url}/demo/mail/"),
        ("sign up", f"{base_url}/fr/  {base_url}/ar/  {base_url}/en/"),
        ("archive", f"{base_url}/archive/hebdo/fr/"),
        ("the ministry's site", f"{base_url}/demo/site/fr/"),
        ("database, mails", str(folder)),
    ):
        console.print(f"  {what:<20} {url}", markup=False)


def _stay_open(parts: Parts, clock: SetClock) -> None:
    """Answer sign-ups until Ctrl-C, while time goes on: a mail that a visitor asks for is in the mailbox at once."""
    pause = threading.Event()
    try:
        while not pause.wait(STEP.total_seconds()):
            clock.advance(STEP)
            send_due(parts.postroom, lanes=TRANSACTIONAL)
    except KeyboardInterrupt:
        pass
