"""docs/operations.md and deploy/ name commands, settings and files that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from newsletter.__main__ import group
from newsletter.base.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations.md"
DEPLOY = ROOT / "deploy"
PLAIN = re.compile(r"^ {4}(?:sudo )?newsletter (.+)$|`newsletter ([^`]+)`", re.MULTILINE)


def on_the_page() -> Iterator[str]:
    for block, inline in PLAIN.findall(PAGE.read_text(encoding="utf-8")):
        yield (block or inline).partition("  #")[0].strip()


def in_deploy() -> Iterator[str]:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and path.suffix != ".env":
            for line in path.read_text(encoding="utf-8").splitlines():
                found = re.search(r"(?:bin/newsletter|command: newsletter|^ +newsletter) ([^&#]+)", line)
                if found:
                    yield found[1].strip()


def parse(words: str) -> None:
    """Parse as click does, running nothing; a word too many or one that is missing raises."""
    command: click.Command = group
    left = shlex.split(words)
    context = click.Context(command, info_name="newsletter")
    while isinstance(command, click.Group):
        name = left.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"newsletter {words}: there is no {name}"
        command = found
    command.make_context(words, left, parent=context)


@pytest.mark.parametrize("words", sorted({*on_the_page(), *in_deploy()}))
def test_every_command_that_is_written_down_exists(words: str) -> None:
    parse(words)


def test_commands_are_found_at_all() -> None:
    assert len(set(on_the_page())) > 15
    assert {"worker", "worker --cluster", "run --due", "db backup", "init"} <= set(in_deploy())


@pytest.mark.parametrize("words", ["worker --clusters", "db cop x", "db copy", "issues pause seven"])
def test_a_command_that_does_not_exist_would_be_noticed(words: str) -> None:
    with pytest.raises((click.ClickException, AssertionError)):
        parse(words)


def test_every_file_that_is_named_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"deploy/[\w./@*-]*\w", text):
        assert (ROOT / name).exists(), name
    units = {path.name for path in (DEPLOY / "systemd").iterdir()}
    for line in re.findall(r"systemctl \w+ (.*)", text):
        for unit in re.findall(r"newsletter-[\w@.]+", line):
            name = re.sub(r"@\d+", "@", unit)
            assert {name, f"{name}.service"} & units, unit


def test_every_setting_that_is_named_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for path in [PAGE, *DEPLOY.rglob("*")]:
        if path.is_file():
            named = set(re.findall(r"NEWSLETTER_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
            assert named <= known, (path, named - known)
