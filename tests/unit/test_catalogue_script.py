"""The script for translators: it begins a language, brings catalogues up, and tells what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.base.catalogue import read_catalogue
from scripts.catalogues import in_catalogue, main, messages_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert main(["scaffold", "ber", "--name", "Tamaziɣt", "--locale", "zgh", "--folder", str(tmp_path)]) == 0
    return tmp_path


def translate(path: Path, message: str, said: str) -> None:
    old = f'msgid "{message}"\nmsgstr ""'
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, f'msgid "{message}"\nmsgstr "{said}"'), encoding="utf-8")


def test_a_scaffold_has_its_headers_and_every_message(folder: Path) -> None:
    for domain in ("pages", "mails"):
        found = read_catalogue(folder / f"{domain}.ber.po")
        assert (found["name"], found["direction"], found["locale"]) == ("Tamaziɣt", "ltr", "zgh")
        assert found.is_scaffold
        assert tuple(in_catalogue(found.path)) == messages_of(domain)


def test_a_scaffold_takes_what_is_known_of_a_language(tmp_path: Path) -> None:
    assert main(["scaffold", "fa", "--folder", str(tmp_path)]) == 0
    found = read_catalogue(tmp_path / "pages.fa.po")
    assert (found["name"], found["direction"], found["locale"]) == ("فارسی", "rtl", "fa")


def test_beginning_once_more_touches_nothing(folder: Path) -> None:
    translate(folder / "pages.ber.po", "Topics", "Isental")
    before = (folder / "pages.ber.po").read_bytes()
    assert main(["scaffold", "ber", "--name", "Other", "--locale", "zgh", "--folder", str(folder)]) == 0
    assert (folder / "pages.ber.po").read_bytes() == before


def test_bringing_up_keeps_translations_and_comments_and_leaves_out_what_is_said_no_more(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "pages.ber.po"
    translate(path, "Topics", "Isental")
    order = list(in_catalogue(path))
    text = path.read_text(encoding="utf-8").replace('msgid "Topics"', '# asked a linguist\nmsgid "Topics"')
    text = text.replace('msgid "Languages"\nmsgstr ""\n\n', "") + '\nmsgid "Said no more"\nmsgstr "x"\n'
    path.write_text(text, encoding="utf-8")
    assert main(["extract", "ber", "--folder", str(folder)]) == 0
    assert "left out: Said no more" in capsys.readouterr().out
    assert list(in_catalogue(path)) == order
    assert '# asked a linguist\nmsgid "Topics"\nmsgstr "Isental"\n' in path.read_text(encoding="utf-8")
    once = path.read_bytes()
    assert main(["extract", "--folder", str(folder)]) == 0
    assert path.read_bytes() == once


def test_a_check_tells_what_is_missing_obsolete_twice_and_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--folder", str(folder)]) == 0  # a scaffold may lack everything
    for path in folder.glob("*.po"):
        text = path.read_text(encoding="utf-8").replace('"X-State: scaffold\\n"\n', "")
        path.write_text(text + '\nmsgid "Old"\nmsgstr "100 %"\n\nmsgid "Old"\nmsgstr "100 %"\n', encoding="utf-8")
    assert main(["check", "ber", "--folder", str(folder)]) == 1
    said = capsys.readouterr().out
    for each in ("missing: Topics", "obsolete: Old", 'twice: msgid "Old"', "a % is written %%"):
        assert each in said


def test_what_nobody_knows_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaffold", "qps", "--folder", str(tmp_path)]) == 64
    assert "--name" in capsys.readouterr().out
    assert main(["scaffold", "qps", "--name", "P", "--folder", str(tmp_path)]) == 78
    assert "X-Locale" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        main(["scaffold", "fr_MA"])
