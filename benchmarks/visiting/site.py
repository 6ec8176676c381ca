"""The public site under gunicorn, as docs/operations.md sets it up, and a bare one beside it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sending.content import BASE_URL
from benchmarks.sending.ground import KEY
from benchmarks.sending.servers import environment, free_port, started

PATIENCE = 30.0
OURS, BARE = "newsletter.web.wsgi:app()", "benchmarks.visiting.bare:app()"
SHAPE = ["--workers", "3", "--threads", "4"]
UNLIMITED = {f"NEWSLETTER_SIGN_UPS_{name}": "1000000000" for name in ("PER_NETWORK", "PER_DOMAIN", "IN_ALL")}


@contextmanager
def serving(application: str, settings: Mapping[str, str]) -> Iterator[int]:
    """Serve an application with these settings and return its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *SHAPE, "--log-level", "error"]
    with started([*command, application], env={**environment(), **settings}) as process:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{application} does not answer") from None
                time.sleep(0.05)
        yield port


def settings_of(url: str, *, home: Path, answers_take: float = 0) -> dict[str, str]:
    """Return the environment of a site on this database that is not limited."""
    return {
        **UNLIMITED,
        "NEWSLETTER_HOME": str(home),
        "NEWSLETTER_DATABASE_URL": url,
        "NEWSLETTER_MAIL_URL": "memory://",
        "NEWSLETTER_BASE_URL": BASE_URL,
        "NEWSLETTER_SECRET_KEYS": KEY,
        "NEWSLETTER_ADDRESS_KEY": KEY,
        "NEWSLETTER_ANSWERS_TAKE": str(answers_take),
    }
