"""Law 09-08 on screen: the form and every page about a person say who is responsible, what for, and which rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doors import good_tokens, purpose_of, rules_with_token
from flask import Flask
from flask.testing import FlaskClient
from pages import read
from sqlalchemy import select

from newsletter.bootstrap import Parts
from newsletter.subscriptions.models import Choice

INSTITUTION = {"fr": "Ministère de l’Exemple", "ar": "وزارة المثال", "en": "Ministry of Examples"}
PURPOSE = {
    "fr": ("ne sert à rien d’autre", "ne sert qu’à vous écrire"),
    "ar": ("لأي غرض آخر", "لا يُستعمل عنوانكم إلا"),
    "en": ("serves for nothing else", "serves only to write to you"),
}
RIGHTS = {"fr": "vous opposer", "ar": "التعرض", "en": "object to its use"}
FILES = {"own_data.export"}


def lacks(text: str, language: str) -> Iterator[str]:
    """Yield what the law asks for and a page does not say."""
    for each in (INSTITUTION[language], RIGHTS[language], "09-08", "D-000/2026", "contact@lettre.example.ma"):
        if each not in text:
            yield each
    if not any(each in text for each in PURPOSE[language]):
        yield "purpose"


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_the_form_says_it_beside_the_button(client: FlaskClient, language: str) -> None:
    page = read(client.get(f"/{language}/"))
    beside = page.by_id("consent")
    assert "form=" in beside.parents
    assert not list(lacks(beside.text, language))


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_each_page_behind_a_link_says_it(app: Flask, client: FlaskClient, parts: Parts, language: str) -> None:
    tokens = good_tokens(parts)
    with parts.database.work() as work:
        for choice in work.session.scalars(select(Choice)):
            choice.languages = [[language, 0]]
        for request in work.session.execute(select(Choice.metadata.tables["request"])).all():
            table = Choice.metadata.tables["request"]
            work.session.execute(table.update().where(table.c.id == request.id).values(language=language))
    looked_at = 0
    for rule in rules_with_token(app):
        if "GET" not in (rule.methods or set()) or rule.endpoint in FILES:
            continue
        values = {"token": tokens[purpose_of(rule)], "lang": language}
        values = {name: values[name] for name in rule.arguments}
        answer = client.get(app.url_map.bind("lettre.test").build(rule.endpoint, values, method="GET"))
        assert answer.status_code == 200, rule
        page = read(answer)
        assert page.language == language, rule
        assert not list(lacks(" ".join(page.one("body").text.split()), language)), rule
        looked_at += 1
    assert looked_at >= 9
