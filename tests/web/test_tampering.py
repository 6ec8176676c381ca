"""No changed link opens anything: every route that takes a token, every way to change one, GET, HEAD and POST."""

from __future__ import annotations

import random
from urllib.parse import quote, unquote

import pytest
from doors import good_tokens, purpose_of, rules_with_token
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import everything
from werkzeug.routing import Rule

from newsletter.base.tokens import Tokens
from newsletter.bootstrap import Parts

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
LOOKALIKES = {
    "a": "аɑａ", "b": "Ьｂ", "c": "сϲｃ", "d": "ԁｄ", "e": "еｅ", "f": "ｆ", "g": "ɡ", "h": "һ", "i": "іıİｉ", "j": "ј",
    "k": "\u212aκ", "l": "ⅼｌ", "m": "ⅿ", "n": "ո", "o": "оοօ", "p": "р", "q": "ԛ", "r": "г", "s": "ѕſ", "t": "т",
    "u": "ս", "v": "ѵ", "w": "ԝ", "x": "х", "y": "у", "z": "ᴢ", "2": "２٢", "3": "З３٣", "4": "４٤", "5": "５",
    "6": "б６", "7": "７",
}  # fmt: skip
STRANGE = [
    "\0", "%00", "\r\n", "\t", " ", "\u200b", "\u202e", "\u0301", "\ufeff", "\U0001f600", "..", ".", "/", "//", "\\",
    "%", "%2f", "%zz", "?", "#", ";", "&from=page", "'", '"', "<b>", "=", "==", "+", "*", "{}", "${x}", "{{7*7}}", "ÿ",
    "\u0130",
]  # fmt: skip
METHODS = ("GET", "HEAD", "POST")


@pytest.fixture
def tokens(client: FlaskClient, parts: Parts) -> dict[str, str]:
    return good_tokens(parts)


def test_every_route_with_a_token_is_known_here(app: Flask, client: FlaskClient, tokens: dict[str, str]) -> None:
    rules = rules_with_token(app)
    assert {purpose_of(rule) for rule in rules} >= {"confirm", "never", "u", "p", "preferences", "undo", "topic"}
    for rule in with_page(app):
        assert client.get(filled(rule, tokens[purpose_of(rule)])).status_code == 200, rule


def with_page(app: Flask) -> list[Rule]:
    return [rule for rule in rules_with_token(app) if "GET" in (rule.methods or ())]


def filled(rule: Rule, token: str) -> str:
    return str(rule).replace("<spoken:lang>", "ar").replace("<token>", token)


def changed_in_one_place(token: str) -> st.SearchStrategy[str]:
    """Change, insert, delete or swap characters."""
    place = st.integers(0, len(token) - 1)
    letter = st.one_of(st.sampled_from(LETTERS + LETTERS.upper() + "0189-_"), st.characters())
    return st.one_of(
        st.builds(lambda at, new: token[:at] + new + token[at + 1 :], place, letter),
        st.builds(lambda at, new: token[:at] + new + token[at:], place, letter),
        st.builds(lambda at: token[:at] + token[at + 1 :], place),
        st.builds(lambda at, to: token[:at] + token[at : at + to][::-1] + token[at + to :], place, st.integers(2, 9)),
        st.builds(lambda at: token[at:] + token[:at], place),
        st.builds(
            lambda at, number: (
                token[:at] + LOOKALIKES[token[at]][number % len(LOOKALIKES[token[at]])] + token[at + 1 :]
            ),
            place,
            st.integers(0, 3),
        ),
        st.builds(lambda at, new: token[:at] + new + token[at:], place, st.sampled_from(STRANGE)),
        st.builds(lambda new: token + new, st.sampled_from([each for each in STRANGE if each != "?"])),
    )


def changed_as_a_whole(token: str, others: list[str]) -> st.SearchStrategy[str]:
    """Put something else in its place: nothing of ours, that of another purpose, both together, far too much."""
    joined = [token + other for other in others] + [other + token for other in others]
    grafted = [token[: len(token) // 2] + other[len(token) // 2 :] for other in others]
    return st.one_of(
        st.sampled_from(others),
        st.sampled_from(joined),
        st.sampled_from(grafted),
        st.text(max_size=80),
        st.text(LETTERS, min_size=len(token), max_size=len(token)),
        st.sampled_from([5_000, 70_000]).map(lambda times: token[0] * times),
        st.sampled_from([token * 2, token * 500, token[::-1], f"{token}/{token}", f"{token}%00", quote(token) + "=="]),
        st.just("".join(f"%25{ord(letter):02x}" for letter in token)),
    )


def forged(purpose: str, tokens: dict[str, str]) -> st.SearchStrategy[str]:
    """Sign good numbers by a key that is not ours."""
    timed = purpose in {"confirm", "preferences", "undo", "address"}
    numbers = 2 if purpose in {"u", "p", "topic"} else 1
    theirs = Tokens(["f" * 40], purpose="unsubscribe", numbers=numbers, timed=False)
    made = theirs.make(*range(1, numbers + 1))
    return st.just(made if not timed else tokens[purpose][:10] + made)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_link_opens_nothing_and_changes_nothing(
    app: Flask, client: FlaskClient, parts: Parts, tokens: dict[str, str], data: st.DataObject
) -> None:
    rule = data.draw(st.sampled_from(rules_with_token(app)), label="rule")
    token = tokens[purpose_of(rule)]
    others = [other for purpose, other in tokens.items() if purpose != purpose_of(rule)]
    changed = data.draw(
        st.one_of(changed_in_one_place(token), changed_as_a_whole(token, others), forged(purpose_of(rule), tokens)),
        label="changed",
    )
    before = everything(parts)
    for safe in ("", "/%;=&+."):
        path = filled(rule, quote(changed, safe=safe))
        if is_same(path, filled(rule, token)):
            continue
        for method in METHODS:
            answer = client.open(path, method=method, data={"from": "page", "all": "yes"} if method == "POST" else None)
            assert answer.status_code in {404, 405}, (method, path[:200])
            assert answer.headers["Cache-Control"] == "no-store"
    assert everything(parts) == before


def is_same(path: str, good: str) -> bool:
    """Say whether a server reads the same of both: a letter may be a capital or %61, and a slash may follow."""
    read = unquote(path).rstrip("/")
    return read.isascii() and read.lower() == good.lower()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_same_token_in_other_letters_is_the_same_token(
    app: Flask, client: FlaskClient, parts: Parts, tokens: dict[str, str], data: st.DataObject
) -> None:
    rule = data.draw(st.sampled_from(with_page(app)), label="rule")
    token = tokens[purpose_of(rule)]
    chance = random.Random(data.draw(st.integers(0, 2**32), label="seed"))
    cased = "".join(chance.choice((letter, letter.upper())) for letter in token)
    written = "".join(chance.choice((letter, f"%{ord(letter):02X}")) for letter in cased)
    before = everything(parts)
    answer = client.get(filled(rule, written))
    assert answer.status_code == 200
    assert answer.text.lower() == client.get(filled(rule, token)).text.lower()
    assert everything(parts) == before


def test_no_letter_of_another_alphabet_stands_for_one_of_ours(client: FlaskClient, tokens: dict[str, str]) -> None:
    """A Kelvin sign, for one, is folded to a k."""
    for purpose in ("u", "confirm", "topic"):
        token = tokens[purpose]
        for place, letter in enumerate(token):
            for like in LOOKALIKES[letter]:
                changed = quote(token[:place] + like + token[place + 1 :])
                assert client.get(f"/{purpose}/{changed}").status_code == 404
