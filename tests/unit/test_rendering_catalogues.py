"""What mails say is said in every language: the catalogues are complete and hold nothing else."""

from __future__ import annotations

import re
from functools import cache
from gettext import c2py

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from newsletter.base.languages import CATALOGUES, LANGUAGES, SOURCE_LANGUAGE
from newsletter.base.resources import resource

TRANSLATED = [code for code in LANGUAGES if code != SOURCE_LANGUAGE]
in_every_language = pytest.mark.parametrize("code", TRANSLATED)
OPTIONS = {
    "trimmed": "true",
    "silent": "false",
    "newstyle_gettext": "true",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}


@cache
def extracted() -> Catalog:
    """All that the templates of the mails say."""
    catalogue = Catalog()
    found = extract_from_dir(
        resource("templates") / "emails",
        method_map=[("**.html", "jinja2"), ("**.txt", "jinja2")],
        options_map={"**.html": OPTIONS, "**.txt": OPTIONS},
        directory_filter=lambda _: True,  # _base too: Babel skips folders with an underscore
    )
    for _, _, message, _, context in found:
        catalogue.add(message if isinstance(message, str) or len(message) > 1 else message[0], context=context)
    return catalogue


def catalogue_of(code: str) -> Catalog:
    with (CATALOGUES / f"mails.{code}.po").open("rb") as file:
        return read_po(file, locale=LANGUAGES[code].locale)


def messages(catalogue: Catalog) -> dict[str, Message]:
    return {str(message.id): message for message in catalogue if message.id}


def forms(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if message.pluralizable else (str(message.string),)


def test_the_extractor_sees_every_kind_of_template() -> None:
    found = messages(extracted())
    assert len(found) > 30
    assert "CNDP reference: %(reference)s" in found  # in _base
    assert "('and one other story', 'and %(count)s other stories')" in found  # in a subject


@in_every_language
def test_the_catalogue_holds_each_message_of_the_templates_and_nothing_else(code: str) -> None:
    catalogue = catalogue_of(code)
    assert messages(catalogue).keys() == messages(extracted()).keys()
    assert not catalogue.obsolete
    assert not [message.id for message in catalogue if message.id and message.fuzzy]


@in_every_language
def test_every_form_of_every_message_is_translated(code: str) -> None:
    catalogue = catalogue_of(code)
    for message in messages(catalogue).values():
        said = forms(message)
        assert len(said) == (catalogue.num_plurals if message.pluralizable else 1), message.id
        assert all(form.strip() for form in said), message.id


@in_every_language
def test_a_translation_names_only_what_its_message_names(code: str) -> None:
    for message in messages(catalogue_of(code)).values():
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        known = set(re.findall(r"%\((\w+)\)s", " ".join(ids)))
        for form in forms(message):
            named = set(re.findall(r"%\((\w+)\)s", form))
            assert named == known if not message.pluralizable else named <= known, form
            assert form.count("%") == len(re.findall(r"%\(\w+\)s", form)), form


def test_the_plural_forms_are_those_of_french_and_arabic() -> None:
    french, arabic = catalogue_of("fr"), catalogue_of("ar")
    assert (french.num_plurals, arabic.num_plurals) == (2, 6)
    assert [c2py(french.plural_expr)(count) for count in (0, 1, 2, 11)] == [0, 0, 1, 1]
    counts = (0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111)
    assert [c2py(arabic.plural_expr)(count) for count in counts] == [0, 1, 2, 3, 3, 4, 4, 5, 5, 3, 4]


def test_french_signs_stand_behind_a_non_breaking_space_and_apostrophes_are_curly() -> None:
    for message in messages(catalogue_of("fr")).values():
        for form in forms(message):
            assert not re.search(r"(?<!\u00a0)[;:?!»]|«(?!\u00a0)|['\"]", form), form


def test_arabic_has_its_own_punctuation() -> None:
    for message in messages(catalogue_of("ar")).values():
        for form in forms(message):
            assert not re.search(r"[,;?'\"“”]", form), form
