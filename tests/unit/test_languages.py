"""Languages are learned from their catalogues, and a catalogue that would break a page is refused by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_up_language import write_language
from newsletter.articles.detection import detect_language
from newsletter.base import catalogue
from newsletter.base.catalogue import check_messages, read_catalogue
from newsletter.base.errors import ConfigError, InvalidInput
from newsletter.base.languages import (
    CATALOGUES,
    LANGUAGES,
    direction_of,
    language,
    language_name,
    learn,
    spoken_date,
    translations,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "catalogues"
    learn()


@pytest.fixture
def qps(folder: Path) -> Path:
    write_language(folder, "qps", name="Pseudo", direction="ltr", locale="en")
    return folder


def test_any_code_has_a_direction() -> None:
    assert [direction_of(code) for code in ("fa", "he", "de", "qps", "x", "", "zh-Hant", "12")] == [
        *("rtl", "rtl"),
        *("ltr",) * 6,
    ]


def test_french_comes_first_then_arabic_and_english() -> None:
    assert list(LANGUAGES) == ["fr", "ar", "en"]


def test_a_pair_of_files_is_a_language_and_forgetting_them_ends_it(qps: Path) -> None:
    learn(qps)
    assert list(LANGUAGES) == ["fr", "ar", "en", "qps"]
    assert (language("qps").name, language("qps").direction, language("qps").locale) == ("Pseudo", "ltr", "en")
    assert translations("qps").gettext("Topics") == "⟦Töpîçš··⟧"
    learn()
    with pytest.raises(InvalidInput):
        language("qps")


def test_further_languages_follow_by_their_codes(qps: Path) -> None:
    write_language(qps, "azz", name="Azz", direction="ltr", locale="en")
    learn(qps)
    assert list(LANGUAGES) == ["fr", "ar", "en", "azz", "qps"]


def test_a_language_counts_by_its_own_rule(qps: Path) -> None:
    learn(qps)
    said = [translations("qps").ngettext("and one other story", "and %(count)s other stories", n) for n in (0, 1, 2)]
    assert ["%(count)s" in each for each in said] == [True, False, True]


def test_a_finished_tamazight_is_offered_and_says_its_dates(folder: Path) -> None:
    folder.mkdir()
    for path in CATALOGUES.glob("*.zgh.po"):
        text = path.read_text(encoding="utf-8").replace('"X-State: scaffold\\n"\n', "")
        (folder / path.name).write_text(text, encoding="utf-8")
    learn(folder)
    assert list(LANGUAGES) == ["fr", "ar", "en", "zgh"]
    assert spoken_date(date(2026, 8, 20), "zgh", with_year=True) == "ⴰⴽⵡⴰⵙ 20 ⵖⵓⵛⵜ 2026"
    months = {spoken_date(date(2026, month, 2), "zgh").split(" 2 ")[1] for month in range(1, 13)}
    assert len(months) == 12
    assert all(re.fullmatch("[\u2d30-\u2d7f]+", month) for month in months)
    assert language_name("ar", spoken="zgh") == "ⵜⴰⵄⵔⴰⴱⵜ"
    assert direction_of("zgh") == "ltr"


def test_a_catalogue_on_top_of_ours_changes_only_what_it_says(folder: Path) -> None:
    folder.mkdir()
    head = (CATALOGUES / "pages.fr.po").read_text(encoding="utf-8").partition("\n\n")[0]
    (folder / "pages.fr.po").write_text(f'{head}\n\nmsgid "Topics"\nmsgstr "Rubriques"\n', encoding="utf-8")
    learn(folder)
    assert translations("fr").gettext("Topics") == "Rubriques"
    assert translations("fr").gettext("Languages") == "Langues"


def test_dates_are_said_as_the_headers_have_it(folder: Path) -> None:
    also = '"X-Date: EEEE, \'den\' d MMMM[ \'de\' y]\\n"\n"X-First-Of-Month: l\'un\\n"\n"X-Date-Words: May=Mai\\n"\n'
    write_language(folder, "qps", name="Pseudo", direction="ltr", locale="en", also=also)
    learn(folder)
    assert spoken_date(date(2026, 5, 1), "qps", with_year=True) == "Friday, den l'un Mai de 2026"
    assert spoken_date(date(2026, 5, 12), "qps") == "Tuesday, den 12 Mai"


@pytest.mark.parametrize(
    ("code", "days"),
    [
        ("fr", {(8, 1): "samedi 1er août 2026", (8, 20): "jeudi 20 août 2026", (12, 1): "mardi 1er décembre 2026"}),
        ("en", {(8, 1): "Saturday 1 August 2026", (12, 1): "Tuesday 1 December 2026"}),
    ],
)
def test_french_and_english_say_their_days(code: str, days: dict[tuple[int, int], str]) -> None:
    assert {day: spoken_date(date(2026, *day), code, with_year=True) for day in days} == days


def test_arabic_months_are_those_of_morocco_in_western_digits() -> None:
    said = [spoken_date(date(2026, month, 20), "ar", with_year=True) for month in range(1, 13)]
    months = ["يناير", "فبراير", "مارس", "أبريل", "ماي", "يونيو", "يوليوز", "غشت", "شتنبر", "أكتوبر", "نونبر", "دجنبر"]
    assert [each.split(" ")[2] for each in said] == months
    assert all(each.split(" ")[1::2] == ["20", "2026"] for each in said)
    assert spoken_date(date(2026, 11, 23), "ar") == "الإثنين 23 نونبر"
    assert spoken_date(date(2026, 12, 1), "ar") == "الثلاثاء فاتح دجنبر"


def test_a_claim_of_a_language_that_only_a_catalogue_knows_is_believed(folder: Path) -> None:
    text = "Azul fell-awen, a imeddukal, ass-a ad nemmeslay ɣef tmeslayt-nneɣ d yidles-nneɣ."
    assert detect_language(text, claimed="rif") != "rif"
    write_language(folder, "rif", name="Tarifit", direction="ltr", locale="rif")
    learn(folder)
    assert detect_language(text, claimed="rif") == "rif"
    assert detect_language("وزارة الشؤون الخارجية والتعاون الإفريقي", claimed="rif") == "ar"


def test_the_page_about_languages_names_every_header_that_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "languages.md").read_text(encoding="utf-8")
    code = Path(catalogue.__file__).read_text(encoding="utf-8")
    assert set(re.findall(r"^ *\| `([A-Z][\w-]+)` \|", page, re.MULTILINE)) == set(
        re.findall(r'header\("([A-Z][\w-]+)"', code)
    )


def broken(folder: Path, old: str, new: str, *, name: str = "pages.qps.po") -> str:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        learn(folder)
    assert list(LANGUAGES) == ["fr", "ar", "en"]  # and what was known is known still
    return refused.value.message


@pytest.mark.parametrize(
    ("old", "new", "line", "cause"),
    [
        ('"X-Name: Pseudo\\n"\n', "", 1, "the header X-Name is missing"),
        ("X-Name: Pseudo", "X-Name:", 4, "X-Name is empty"),
        ('"X-Direction: ltr\\n"\n', "", 1, "the header X-Direction is missing"),
        ("X-Direction: ltr", "X-Direction: down", 5, "ltr or rtl"),
        ("Language: qps", "Language: fr", 3, "but the file is called pages.qps.po"),
        ("X-Locale: en", "X-Locale: qps", 6, "nothing is known of the locale “qps”"),
        ('"X-Locale: en\\n"\n', "", 1, "nothing is known of the locale “qps”"),
        ("nplurals=3; ", "", 8, "Plural-Forms is written like"),
        ("n==1 ? 1 : 2", "n==1 ? 1 : 9", 8, "Plural-Forms is written like"),
        ("n==1 ? 1 : 2", "import os", 8, "Plural-Forms is written like"),
        ('msgid ""\nmsgstr ""\n', "", 1, "begins with its headers"),
        ("X-Locale: en", 'X-Locale: en\\n"\n"X-Date: MMMM d', 7, "X-Date is written like"),
        ("X-Locale: en", 'X-Locale: en\\n"\n"X-Date-Words: May', 7, "X-Date-Words is written like"),
    ],
)
def test_a_wrong_header_is_named_by_file_and_line(qps: Path, old: str, new: str, line: int, cause: str) -> None:
    said = broken(qps, old, new)
    assert said.startswith(f"{qps / 'pages.qps.po'}, line {line}: ")
    assert cause in said


@pytest.mark.parametrize(
    ("new", "cause"),
    [
        ('msgstr "⟦%(name)s⟧"', "no place"),
        ('msgstr "100 %"', "written %%"),
        ('msgstr "<b>Topics</b>"', "no markup"),
        ('msgstr "Topics', "not a line of a .po file"),
        ("Topics", "not a line of a .po file"),
        ('msgstr "a\\qb"', "not a line of a .po file"),
        ('msgstr[7] "a"', "not a line of a .po file"),
    ],
)
def test_a_wrong_translation_is_named_by_file_and_line(qps: Path, new: str, cause: str) -> None:
    old = 'msgid "Topics"\nmsgstr "⟦Töpîçš··⟧"'
    text = (qps / "pages.qps.po").read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    said = broken(qps, old, f'msgid "Topics"\n{new}')
    assert any(said.startswith(f"{qps / 'pages.qps.po'}, line {number}: ") for number in (line, line + 1)), said
    assert cause in said


def test_a_language_of_which_half_is_missing_is_refused(qps: Path) -> None:
    (qps / "mails.qps.po").unlink()
    with pytest.raises(ConfigError, match=r"mails\.qps\.po is missing"):
        learn(qps)


def test_a_language_of_which_half_is_a_scaffold_is_refused(qps: Path) -> None:
    assert "a scaffold still" in broken(qps, "X-Locale: en", 'X-Locale: en\\n"\n"X-State: scaffold')


def test_a_language_that_is_a_scaffold_is_not_offered(folder: Path) -> None:
    write_language(folder, "qps", name="P", direction="ltr", locale="en", also='"X-State: scaffold\\n"\n')
    learn(folder)
    assert "qps" not in LANGUAGES


def test_two_catalogues_that_contradict_each_other_are_refused(qps: Path) -> None:
    said = broken(qps, "X-Name: Pseudo", "X-Name: Other", name="mails.qps.po")
    assert said.endswith("the headers say something else than those of pages.qps.po: name")


@pytest.mark.parametrize("name", ["pages.Q.po", "qps.po", "pages.en.po", "letters.qps.po"])
def test_a_file_of_another_name_is_refused(qps: Path, name: str) -> None:
    text = (qps / "pages.qps.po").read_text(encoding="utf-8")
    (qps / name).write_text(text.replace("Language: qps", f"Language: {name.split('.')[1]}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{re.escape(name)}, line "):
        learn(qps)


def test_a_file_in_another_encoding_is_refused_by_its_line(qps: Path) -> None:
    path = qps / "pages.qps.po"
    path.write_bytes(path.read_bytes().replace(b"X-Name: Pseudo", "X-Name: Pséudo".encode("latin-1")))
    with pytest.raises(ConfigError, match=r"pages\.qps\.po, line 4: this is not UTF-8"):
        learn(qps)


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        learn(folder)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_catalogue_in_any_disorder_is_good_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    head = (CATALOGUES / "pages.ar.po").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    entries = ["", 'msgid "a %(x)s"', 'msgid_plural "b %(x)s"', 'msgstr "c"', 'msgstr[0] "%(x)s"', 'msgstr[5] ""']
    lines = st.sampled_from([*head, *entries, '"d"', "# e", "#, fuzzy", '#~ msgid "f"', 'msgctxt "g"', "msgid"])
    chosen = data.draw(st.lists(lines, max_size=12))
    path = tmp_path / "pages.ar.po"
    path.write_text("\n".join([*(head if data.draw(st.booleans()) else []), *chosen]), encoding="utf-8")
    with suppress(ConfigError):
        check_messages(read_catalogue(path))
