"""Every pair of colours that meets on a page can be read, in light and in dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import newsletter.web
from newsletter.base.resources import resource
from newsletter.mail.rendering import palette

SHEET = (Path(newsletter.web.__path__[0]) / "static" / "site.css").read_text(encoding="utf-8")
TEXT, SHAPE = 4.5, 3.0
PAIRS = [
    ("ink", "paper", TEXT),
    ("quiet", "paper", TEXT),
    ("accent", "paper", TEXT),
    ("on-accent", "accent", TEXT),
    ("warning", "paper", TEXT),
    ("edge", "paper", SHAPE),
    ("success", "paper", SHAPE),
]


def colours(css: str) -> dict[str, dict[str, str]]:
    """Return the tokens of a sheet in each scheme."""
    blocks = [dict(re.findall(r"--([\w-]+):\s*(#[0-9A-Fa-f]{6})", part)) for part in css.split(":root {")[1:]]
    return {"light": blocks[0], "dark": {**blocks[0], **blocks[1]}}


def luminance(colour: str) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("one", "other", "least"), PAIRS)
def test_every_pair_of_the_sheet_can_be_read(scheme: str, one: str, other: str, least: float) -> None:
    tokens = colours(SHEET)[scheme]
    assert contrast(tokens[one], tokens[other]) >= least


def test_the_sheet_uses_no_colour_beside_its_tokens() -> None:
    rules = re.sub(r"--[\w-]+:[^;]+;", "", SHEET)
    assert not re.search(r"#[0-9A-Fa-f]{3,8}\b|rgb|hsl", rules)


def test_the_tokens_are_those_of_the_design() -> None:
    light, dark = colours(SHEET)["light"], colours(SHEET)["dark"]
    assert (light["paper"], light["ink"], light["quiet"]) == ("#FBFAF7", "#1D1F21", "#5A5F66")
    assert (light["hairline"], light["accent"], light["warning"]) == ("#D9D6CE", "#0B5D3B", "#9B2C1F")
    assert (dark["paper"], dark["ink"]) == ("#16181A", "#ECEAE4")


@given(accent=st.integers(0, 0xFFFFFF).map("#{:06X}".format))
@settings(max_examples=60, deadline=None)
def test_any_accent_becomes_one_that_can_be_read(accent: str) -> None:
    environment = Environment(loader=FileSystemLoader(resource("templates") / "web"), undefined=StrictUndefined)
    theme = environment.get_template("public/theme.css").render(colours=palette(accent))
    for scheme, tokens in colours(theme).items():
        paper = colours(SHEET)[scheme]["paper"]
        assert contrast(tokens["accent"], paper) >= TEXT
        assert contrast(tokens["on-accent"], tokens["accent"]) >= TEXT
