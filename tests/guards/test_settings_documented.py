"""docs/settings.md is held to the settings: every name, every default, nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from newsletter.base.config import PREFIX, Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
ROW = re.compile(r"\| `(NEWSLETTER_[A-Z_]+)` \| (.+?) \| (.+) \|")


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[str, str]]:
    found = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert found, "the table of settings is gone"
    return {name: (default, meaning) for name, default, meaning in found}


def written(default: object) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return f"`{value}`" if value not in {"", (), None} else "*empty*"


def test_every_setting_has_its_row_and_every_row_its_setting(rows: dict[str, tuple[str, str]]) -> None:
    assert sorted(rows) == sorted(PREFIX + name.upper() for name in Settings.model_fields)


def test_no_other_name_is_mentioned() -> None:
    mentioned = set(re.findall(r"NEWSLETTER_[A-Z_]+[A-Z]", PAGE.read_text(encoding="utf-8")))
    assert mentioned <= {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_default_is_the_one_that_the_program_has(name: str, rows: dict[str, tuple[str, str]]) -> None:
    assert rows[PREFIX + name.upper()][0] == written(Settings.model_fields[name].default)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_meaning_is_told_here_and_in_the_program(name: str, rows: dict[str, tuple[str, str]]) -> None:
    assert len(rows[PREFIX + name.upper()][1]) > 30
    assert Settings.model_fields[name].description
