"""What pages say is said in every language: the catalogues are complete and hold nothing else."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import newsletter.web
from newsletter.base.languages import CATALOGUES, LANGUAGES, SOURCE_LANGUAGE
from newsletter.base.resources import resource

TRANSLATED = [code for code in LANGUAGES if code != SOURCE_LANGUAGE]
KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
PLACE = re.compile(r"%\((\w+)\)s")
in_every_language = pytest.mark.parametrize("code", TRANSLATED)


@cache
def said() -> frozenset[tuple[str, ...]]:
    """All that the templates and the code of the pages say, plurals beside their singulars."""
    found = set()
    for path in (resource("templates") / "web").rglob("*.html"):
        with path.open("rb") as file:
            for _, _, messages, _ in babel_extract(file, tuple(KEYWORDS), (), {"silent": "false"}):
                texts = messages if isinstance(messages, tuple) else (messages,)
                found.add(tuple(text for text in texts if text))
    for path in Path(newsletter.web.__path__[0]).rglob("*.py"):
        with path.open("rb") as file:
            for _, message, _, _ in extract("python", file, keywords=KEYWORDS):
                found.add(message if isinstance(message, tuple) else (message,))
    return frozenset(each for each in found if each)


def catalogue(domain: str, code: str) -> Catalog:
    with (CATALOGUES / f"{domain}.{code}.po").open("rb") as file:
        return read_po(file, locale=LANGUAGES[code].locale)


def messages(domain: str, code: str) -> dict[tuple[str, ...], Message]:
    return {
        message.id if isinstance(message.id, tuple) else (message.id,): message
        for message in catalogue(domain, code)
        if message.id
    }


def forms(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if message.pluralizable else (str(message.string),)


def test_the_extractor_sees_templates_and_code() -> None:
    found = said()
    assert ("Look in your mail",) in found  # a template
    assert ("every Monday at %(time)s",) in found  # the code, marked
    assert ("Enter your mail address.",) in found  # the code, translated in place
    assert ("Confirm the subscription", "Confirm the %(count)s subscriptions") in found


@in_every_language
def test_every_language_is_complete_and_holds_nothing_else(code: str) -> None:
    found = messages("pages", code)
    assert set(found) == said()
    for message in found.values():
        assert not message.fuzzy
        assert all(text.strip() for text in forms(message)), message.id
        assert len(forms(message)) == (catalogue("pages", code).num_plurals if message.pluralizable else 1)


@in_every_language
def test_a_translation_fills_the_same_places(code: str) -> None:
    for identity, message in messages("pages", code).items():
        allowed = set(re.findall(PLACE, " ".join(identity)))
        for text in forms(message):
            filled = set(re.findall(PLACE, text))
            assert filled <= allowed if message.pluralizable else filled == allowed, identity
            assert "%" not in re.sub(PLACE, "", text), identity


@in_every_language
def test_pages_and_mails_say_the_same_by_the_same_words(code: str) -> None:
    """Both catalogues become one: a message that is in both must be translated alike."""
    pages = {identity[0]: forms(message) for identity, message in messages("pages", code).items()}
    mails = {identity[0]: forms(message) for identity, message in messages("mails", code).items()}
    assert {each: pages[each] for each in pages.keys() & mails} == {each: mails[each] for each in pages.keys() & mails}


def test_french_keeps_its_spaces_together() -> None:
    for message in messages("pages", "fr").values():
        for text in forms(message):
            assert not re.search(r"[^\u00a0\u202f][:;?!»]|«[^\u00a0\u202f]", text), text
            assert "'" not in text, text


def test_no_page_says_a_word_of_ours_to_a_citizen() -> None:
    for code in TRANSLATED:
        for message in messages("pages", code).values():
            texts = " ".join((*(message.id if isinstance(message.id, tuple) else (message.id,)), *forms(message)))
            assert not re.search(r"\b(token|invalid|jeton|invalide)", texts, re.IGNORECASE), texts
            assert "!" not in texts, texts
