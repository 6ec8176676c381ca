"""`serve`: the site, and beside it the thread that mails what its forms ask for."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click
from waitress.server import create_server

from newsletter.base.errors import ConfigError
from newsletter.bootstrap import Parts
from newsletter.cli.door import opened
from newsletter.cli.printing import complain, say

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 8
MOST_CONNECTIONS = 800  # below the 1,024 files that a process may have open by default
SILENT_FOR = 20  # seconds; who begins a request and says no more is cut off
USUAL_PORTS = {"http": 80, "https": 443}


def serve_command(
    create_app: Callable[[Parts], WSGIApplication], sending: Callable[[Parts], AbstractContextManager[None]]
) -> click.Command:
    """Return the command that serves `create_app(parts)` while `sending(parts)` is entered."""

    @click.command()
    @click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
    @click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
    def serve(host: str, port: int) -> None:
        """Serve the site and mail confirmations.

        Until Ctrl-C or SIGTERM. A thread of its own mails confirmations within a second.
        """
        with opened() as parts:
            signal.signal(signal.SIGTERM, _stop)
            with suppress(KeyboardInterrupt):
                _serve(parts, create_app(parts), sending, host, port)
            say("Stopped.")

    return serve


def _serve(
    parts: Parts,
    app: WSGIApplication,
    sending: Callable[[Parts], AbstractContextManager[None]],
    host: str,
    port: int,
) -> None:
    listening = _listen(host, port)
    found = listening.getsockname()[1]
    server = create_server(
        app,
        sockets=[listening],
        threads=THREADS,
        ident=None,
        connection_limit=MOST_CONNECTIONS,
        channel_timeout=SILENT_FOR,
        cleanup_interval=SILENT_FOR // 2,
        asyncore_use_poll=True,  # select() would end at 1,024
        clear_untrusted_proxy_headers=parts.settings.proxies == 0,  # the site itself knows which to believe
    )
    try:
        with sending(parts):
            say(f"The site is on http://{host}:{found}/ and mail goes to {parts.backend.describe()}. Ctrl-C stops.")
            _warn_of_other_links(parts.settings.base_url, host, found)
            server.run()
    finally:
        server.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _warn_of_other_links(base_url: str, host: str, port: int) -> None:
    """Trying out on another port, one wonders why the links of the mails lead nowhere."""
    parts = urlsplit(base_url)
    leads_to = parts.port or USUAL_PORTS[parts.scheme]
    if parts.hostname in {"127.0.0.1", "localhost"} and leads_to != port:
        complain(f"The links in mails lead to {base_url}, not here: set NEWSLETTER_BASE_URL=http://{host}:{port}")
