"""What pages and mails say is said in every language: the catalogues are complete, sound and hold nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from gettext import c2py
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from newsletter.base.catalogue import PLACE, check_messages, forms, ids, mistake_in, read_catalogue, read_messages
from newsletter.base.languages import CATALOGUES, DOMAINS, LANGUAGES, SOURCE_LANGUAGE
from scripts.catalogues import Identity, in_catalogue, messages_of, missing_in, obsolete_in, twice_in

TRANSLATED = [code for code in LANGUAGES if code != SOURCE_LANGUAGE]
SCAFFOLDS = [path for path in sorted(CATALOGUES.glob("*.po")) if read_catalogue(path).is_scaffold]
NUMBER = re.compile(r"%\((count|num|number|shown)\)s")
OF_A_PROGRAM = ("Content-Type: application/json",)  # no words of a language
in_every_language = pytest.mark.parametrize("code", TRANSLATED)
in_every_catalogue = pytest.mark.parametrize("name", [f"{domain}.{code}" for code in TRANSLATED for domain in DOMAINS])


def messages(name: str) -> dict[Identity, Message]:
    return in_catalogue(CATALOGUES / f"{name}.po")


def sentences(code: str) -> Iterator[str]:
    for domain in DOMAINS:
        for message in messages(f"{domain}.{code}").values():
            for text in forms(message):
                yield reduce(lambda left, each: left.replace(each, ""), OF_A_PROGRAM, text)


def test_the_extractor_sees_every_kind_of_template_and_code() -> None:
    pages, mails = messages_of("pages"), messages_of("mails")
    assert ("Look in your mail",) in pages  # a template
    assert ("every Monday at %(time)s",) in pages  # the code, marked
    assert ("Enter your mail address.",) in pages  # the code, translated in place
    assert ("Confirm the subscription", "Confirm the %(count)s subscriptions") in pages
    assert ("CNDP reference: %(reference)s",) in mails  # in _base, a folder that Babel alone would skip
    assert ("and one other story", "and %(count)s other stories") in mails  # in a subject


@in_every_catalogue
def test_every_message_is_translated(name: str) -> None:
    assert not missing_in(read_catalogue(CATALOGUES / f"{name}.po")), "python scripts/catalogues.py check"


@in_every_catalogue
def test_a_catalogue_holds_nothing_that_is_nowhere_said_and_nothing_twice(name: str) -> None:
    assert not obsolete_in(read_catalogue(CATALOGUES / f"{name}.po")), "python scripts/catalogues.py check"
    assert not twice_in(CATALOGUES / f"{name}.po")


@in_every_catalogue
def test_a_catalogue_is_what_one_of_others_must_be(name: str) -> None:
    check_messages(read_catalogue(CATALOGUES / f"{name}.po"))
    assert not any("%" in PLACE.sub("", text) for each in messages(name).values() for text in forms(each))


def test_a_translation_that_would_break_a_page_is_found() -> None:
    def found(text: str | tuple[str, ...], *, plural: bool = False) -> str:
        identity = ("%(count)s mail", "%(count)s mails") if plural else "Hello %(name)s"
        return mistake_in(Message(identity, text), plurals=2)

    assert not found("Bonjour %(name)s")
    assert not found("")
    assert not found(("un message", "%(count)s messages"), plural=True)
    assert "same places" in found("Bonjour")
    assert "same places" in found("Bonjour %(name)s %(nom)s")
    assert "written %%" in found("100 % %(name)s")
    assert "no markup" in found("<b>%(name)s</b>")
    assert "2 forms" in found(("un message", ""), plural=True)
    assert "2 forms" in found(("un message",), plural=True)


@in_every_language
def test_pages_and_mails_say_the_same_by_the_same_words(code: str) -> None:
    """Both catalogues become one: a message that is in both must be translated alike, and count in both or in none."""
    pages, mails = ({ids(m)[0]: m for m in messages(f"{domain}.{code}").values()} for domain in DOMAINS)
    for text in pages.keys() & mails:
        assert ids(pages[text]) == ids(mails[text])
        assert forms(pages[text]) == forms(mails[text])


@pytest.mark.parametrize("path", SCAFFOLDS, ids=lambda path: path.name)
def test_a_scaffold_holds_every_message(path: Path) -> None:
    catalogue = read_catalogue(path)
    assert in_catalogue(path).keys() == set(messages_of(catalogue.domain)), "python scripts/catalogues.py extract zgh"
    assert catalogue.code not in LANGUAGES


def test_tamazight_waits_with_the_right_headers() -> None:
    assert [path.name for path in SCAFFOLDS] == ["mails.zgh.po", "pages.zgh.po"]
    for path in SCAFFOLDS:
        catalogue, plural = read_catalogue(path), c2py(read_messages(path).plural_expr)
        assert [catalogue[key] for key in ("name", "direction", "locale")] == ["ⵜⴰⵎⴰⵣⵉⵖⵜ", "ltr", "zgh"]
        assert [plural(count) for count in (0, 1, 2, 11)] == [1, 0, 1, 1]


def test_the_plural_forms_are_those_of_french_and_arabic() -> None:
    for domain in DOMAINS:
        french, arabic = (read_messages(CATALOGUES / f"{domain}.{code}.po") for code in ("fr", "ar"))
        assert (french.num_plurals, arabic.num_plurals) == (2, 6)
        assert [c2py(french.plural_expr)(count) for count in (0, 1, 2, 11)] == [0, 0, 1, 1]
        counts = (0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111)
        assert [c2py(arabic.plural_expr)(count) for count in counts] == [0, 1, 2, 3, 3, 4, 4, 5, 5, 3, 4]


def test_whatever_counts_has_six_forms_in_arabic_of_which_the_dual_writes_no_number() -> None:
    counting = [each for domain in DOMAINS for each in messages(f"{domain}.ar").values() if len(ids(each)) > 1]
    assert len(counting) >= 10
    for message in counting:
        said = forms(message)
        assert len(said) == 6, ids(message)
        assert all(said), ids(message)
        assert not re.search(NUMBER, f"{said[1]} {said[2]}"), said  # كتاب، كتابان: the noun is the number


def test_french_signs_stand_behind_a_non_breaking_space_and_apostrophes_are_curly() -> None:
    for text in sentences("fr"):
        assert not re.search(r"(?<![\u00a0\u202f])[;:?!»]|«(?![\u00a0\u202f])|['\"“”]", text), text


def test_arabic_has_its_own_punctuation_and_western_digits() -> None:
    for text in sentences("ar"):
        assert not re.search(r"[,;?'\"“”٠-٩]|ـ{2}", text), text


@in_every_language
def test_nobody_is_shouted_at_and_no_word_of_ours_reaches_a_citizen(code: str) -> None:
    for text in (*sentences(code), *(text for domain in DOMAINS for each in messages_of(domain) for text in each)):
        assert not re.search(r"\b(token|invalid|jeton|invalide)", text, re.IGNORECASE), text
        assert "!" not in text, text
