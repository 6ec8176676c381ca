"""The command as it is typed, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from newsletter.__main__ import group
from newsletter.base.clock import SetClock
from newsletter.base.config import load_settings
from newsletter.bootstrap import Parts, build

SUNDAY = "2026-11-15T12:00+00:00"
TUESDAY = "2026-11-17T12:00+00:00"
MONDAY = "2026-11-23T08:05+00:00"  # five minutes after the slot; Casablanca is UTC+0
LATER_ON_MONDAY = "2026-11-23T08:10+00:00"
NEXT_MONDAY = "2026-11-30T08:05+00:00"


@dataclass(frozen=True, slots=True)
class Command:
    """Types `newsletter …` in this home, in this process or in one of its own."""

    environment: dict[str, str]

    def __call__(self, *words: str, expect: int = 0, **more: str) -> Result:
        result = CliRunner().invoke(group, list(words), env={**self.environment, **more}, catch_exceptions=False)
        assert result.exit_code == expect, (words, result.exit_code, result.output)
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "newsletter", *words],
            env={**_without_settings(), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def home(self) -> Path:
        return Path(self.environment["NEWSLETTER_HOME"])

    def mails(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.home.glob("mail/new/*"))]

    @contextmanager
    def parts_now(self) -> Iterator[Parts]:
        built = build(load_settings(self.environment))
        try:
            yield built
        finally:
            built.database.close()

    @contextmanager
    def parts(self, at: str) -> Iterator[Parts]:
        built = build(load_settings(self.environment), clock=SetClock(datetime.fromisoformat(at)))
        try:
            yield built
        finally:
            built.database.close()


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
