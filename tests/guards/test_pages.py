"""What README and docs/ name exists: commands, make targets, settings, pages."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path

import click
import pytest

from newsletter.__main__ import group
from newsletter.base.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^ {4}newsletter (.+)$|`newsletter ([^`]+)`", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


def commands() -> list[str]:
    found = {block or inline for page in PAGES for block, inline in COMMAND.findall(text_of(page))}
    return sorted({words.partition("  #")[0].strip() for words in found})


def reach(words: str) -> None:
    """Walk to a command and read its words, running nothing; in a sentence it may lack the things it is about."""
    command: click.Command = group
    context = click.Context(command, info_name="newsletter")
    left = ["7" if word == "N" else word for word in shlex.split(words)]
    while isinstance(command, click.Group) and left and left[0] != "--help":
        name = left.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"newsletter {words}: there is no {name}"
        command = found
    if not isinstance(command, click.Group):
        with suppress(click.MissingParameter, click.exceptions.Exit):
            command.make_context(words, left, parent=context)


@pytest.mark.parametrize("words", commands())
def test_every_command_that_a_page_names_exists(words: str) -> None:
    reach(words)


@pytest.mark.parametrize("words", ["issue show 7", "issues resend 7 --mising", "issues pause seven", "rates end"])
def test_a_command_that_does_not_exist_would_be_noticed(words: str) -> None:
    with pytest.raises((click.ClickException, AssertionError)):
        reach(words)


def test_commands_are_found_at_all() -> None:
    assert {"run --due", "issues watch 7", "worker --cluster"} <= set(commands())
    assert len(commands()) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_that_is_linked_is_there(page: Path) -> None:
    for name in LINK.findall(text_of(page)):
        assert (page.parent / name).exists(), name


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^ {4})(?:[A-Z_]+=\S+ )?make ([a-z-]+)", text_of(page), re.MULTILINE))
        assert named <= targets, (page.name, named - targets)


def test_every_setting_that_is_named_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for page in PAGES:
        named = set(re.findall(r"NEWSLETTER_[A-Z_]*[A-Z]", text_of(page)))
        assert named <= known, (page.name, named - known)
