"""Serving an application on a free port of loopback, for a real browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import make_server

from factories import make_newsletter
from newsletter.base.clock import SetClock
from newsletter.base.config import Settings
from newsletter.bootstrap import Parts, build
from newsletter.web.app import create_app


@contextmanager
def served(make: Callable[[str], Any]) -> Iterator[str]:
    """Serve what is made for an address, and give the address: it is known before the application."""
    server = make_server("127.0.0.1", 0, Flask(__name__), threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    server.app = make(address)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@contextmanager
def served_site(
    settings: Settings, clock: SetClock, *, slugs: Sequence[str] = ("hebdo",), **changes: object
) -> Iterator[Parts]:
    """Serve a site with these newsletters, and give its parts."""
    made: list[Parts] = []

    def make(address: str) -> Flask:
        parts = build(settings.model_copy(update={"base_url": address, **changes}), clock=clock)
        for slug in slugs:
            make_newsletter(parts, slug=slug)
        made.append(parts)
        return create_app(parts)

    with served(make):
        yield made[0]
    made[0].database.close()
