"""What a newsletter says of itself can be changed later; what mails and links hang on cannot."""

from __future__ import annotations

from pathlib import Path

from command_line import Command

LOGO = b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"


def test_an_operator_fills_in_what_the_law_asks_and_the_doctor_is_content(newsletter: Command, tmp_path: Path) -> None:
    newsletter("init")
    newsletter("newsletters", "add", "hebdo", "--name", "L'hebdo", "--language", "fr", "--language", "ar")
    assert "the CNDP reference" in newsletter("doctor").output
    logo = tmp_path / "logo.svg"
    logo.write_bytes(LOGO)
    texts = ["--postal-address", "fr=Rabat", "--postal-address", "ar=الرباط", "--cndp", "D-1/2026"]
    answer = newsletter("newsletters", "edit", "hebdo", *texts, "--accent", "#7A3E00", "--logo", str(logo))
    assert "hebdo" in answer.output
    assert "the CNDP reference" not in newsletter("doctor").output
    assert '"postal_address": {' in newsletter("newsletters", "list", "--json").output


def test_what_cannot_be_used_changes_nothing(newsletter: Command, tmp_path: Path) -> None:
    newsletter("init")
    newsletter("newsletters", "add", "hebdo", "--name", "fr=L'hebdo")
    before = newsletter("newsletters", "list", "--json").output
    for words in (
        ["edit", "none", "--name", "x"],
        ["edit", "hebdo", "--name", "ar=الأسبوعية"],
        ["edit", "hebdo", "--accent", "red"],
        ["edit", "hebdo", "--owner", "nobody"],
        ["edit", "hebdo", "--name", "Autre", "--logo", str(tmp_path / "missing.svg")],
        ["edit", "hebdo", "--name", "Autre", "--logo", __file__],
    ):
        newsletter("newsletters", *words, expect=65)
    assert newsletter("newsletters", "list", "--json").output == before
