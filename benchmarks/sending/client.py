"""One measured sender, a process of its own: reads what to do as JSON from its first argument, prints what it cost.

It prints a line when it is ready and begins at the line that it is given, so that several may begin together.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import event

from benchmarks.sending.ground import settings
from benchmarks.sending.measure import Meter
from benchmarks.sending.sampling import Sampler
from newsletter.bootstrap import Parts, build
from newsletter.deliveries.models import LaneName
from newsletter.operations.sending import send_due


def main() -> None:
    order = json.loads(sys.argv[1])
    parts = build(
        settings(
            order["url"],
            order["mail_url"],
            home=Path(order["home"]),
            window=order["window"],
            **order.get("settings", {}),
        )
    )
    if order.get("synchronous"):
        _synchronous(parts, order["synchronous"])
    print("ready", flush=True)
    sys.stdin.readline()
    sampler = Sampler() if order.get("profile") else None
    meter = Meter()
    if sampler is not None:
        sampler.start()
    sent = send_due(parts.postroom, lanes=[LaneName.DIGEST])
    cost = meter.stop(sent.accepted)
    if sampler is not None:
        Path(order["profile"]).write_text(json.dumps(sampler.stop()), encoding="utf-8")
    print(json.dumps(asdict(cost)), flush=True)
    if sent.stopped:
        raise SystemExit(f"the sender stopped: {sent.stopped}")


def _synchronous(parts: Parts, level: str) -> None:
    """Let every connection of this process write in another way than the server's own."""

    def set_level(connection: Any, _entry: object) -> None:
        connection.execute(f"PRAGMA synchronous={level}").close()

    event.listen(parts.database.engine, "connect", set_level)


if __name__ == "__main__":
    main()
