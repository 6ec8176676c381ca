"""Which servers these tests run: all, or those that REAL_SERVERS names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from real_aiosmtpd import Aiosmtpd
from real_exim import Exim
from real_opensmtpd import OpenSmtpd
from real_parts import RealServer
from real_postfix import Postfix

KNOWN: dict[str, type[RealServer]] = {each.name: each for each in (Postfix, Exim, OpenSmtpd, Aiosmtpd)}
CHOSEN = [name for name in os.environ.get("REAL_SERVERS", "").split(",") if name] or list(KNOWN)
MORTAL = [name for name in CHOSEN if name != "aiosmtpd"]  # which is a thread of ours
LMTP = [name for name in CHOSEN if name == "aiosmtpd"]


def running(name: str) -> Iterator[RealServer]:
    """Run a server as long as the caller needs it."""
    assert name in KNOWN, f"REAL_SERVERS names {name}; known are {', '.join(KNOWN)}"
    server = KNOWN[name]()
    try:
        server.start()
        yield server
    finally:
        server.stop()
