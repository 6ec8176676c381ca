"""Setting text: lines, cuts, directions, colours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.errors import InvalidInput
from newsletter.base.languages import LRI, PDI, RLI
from newsletter.mail.rendering import (
    DARK_PAPER,
    PAPER,
    columns,
    contrast,
    cut,
    direction_of_text,
    one_line,
    palette,
    wrapped,
)

texts = st.text(st.sampled_from("aé \u00a0ببَe\u0301👩🏽\u200dⵣ中\n\t-—:/."), max_size=300)


@given(text=texts)
def test_wrapping_loses_no_word_and_keeps_to_the_width(text: str) -> None:
    folded = one_line(text)
    lines = wrapped(folded)
    assert " ".join(lines) == folded
    assert all(columns(line) <= 72 or " " not in line for line in lines)
    assert all(columns(f"{line} {rest.split(' ')[0]}") > 72 for line, rest in pairwise(lines))


@given(text=texts, limit=st.integers(10, 80))
def test_a_cut_text_fits_and_begins_as_the_whole_does(text: str, limit: int) -> None:
    shortened = cut(text, limit)
    assert len(shortened) <= limit
    assert shortened == text or (shortened.endswith("…") and text.startswith(shortened.removesuffix("…")))


def test_a_line_breaks_at_spaces_only() -> None:
    url = "https://lettre.example.ma/" + "a" * 90
    assert wrapped(f"{'mot ' * 17}fin\u00a0: {url} puis") == [("mot " * 17)[:-1], "fin\u00a0:", url, "puis"]


def test_marks_take_no_column_and_emoji_take_two() -> None:
    assert columns("e\u0301te\u0301") == 3
    assert columns("مُحَمَّد") == 4
    assert columns("🎉") == 2
    assert columns(f"{LRI}7{PDI}") == 1


def test_a_cut_falls_between_words_and_never_parts_a_letter_from_its_marks() -> None:
    assert cut("Horaires, adresses, équipements", 22) == "Horaires, adresses…"
    assert cut("Déjà court", 40) == "Déjà court"
    assert cut("e\u0301" * 40, 20) == "e\u0301" * 9 + "…"


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("Bonjour", "ltr"),
        ("2026 سنة", "rtl"),
        ("سنة 2026", "rtl"),
        ("----", "ltr"),
        (f"{LRI}Weekly{PDI} نشرة", "rtl"),
        (f"{RLI}نشرة{PDI} weekly", "ltr"),
        ("ⵜⴰⵎⴰⵣⵉⵖⵜ", "ltr"),
    ],
)
def test_the_first_letter_outside_isolates_decides_a_lines_direction(text: str, direction: str) -> None:
    assert direction_of_text(text) == direction


@given(accent=st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}"))
def test_every_pair_of_colours_passes_aa_with_any_accent(accent: str) -> None:
    colours = palette(accent)
    for name in ("ink", "quiet", "accent"):
        assert contrast(colours[name], colours["paper"]) >= 4.5
        assert contrast(colours[f"dark_{name}"], colours["dark_paper"]) >= 4.5
    assert contrast(colours["on_accent"], colours["accent"]) >= 4.5


def test_a_good_accent_stays_as_it_is() -> None:
    assert palette("#0B5D3B")["accent"] == "#0B5D3B"
    assert (palette("#0B5D3B")["paper"], palette("#0B5D3B")["dark_paper"]) == (PAPER, DARK_PAPER)


@pytest.mark.parametrize("accent", ["", "green", "#123", "#0B5D3B;", "0B5D3B", "#GGGGGG"])
def test_what_is_no_colour_is_refused(accent: str) -> None:
    with pytest.raises(InvalidInput, match="no colour"):
        palette(accent)
