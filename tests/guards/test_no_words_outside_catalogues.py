"""What a page or mail says stands in the catalogues: no template and no code holds a sentence of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import newsletter.web
from newsletter.base.resources import resource

TEMPLATES = resource("templates")
WEB = Path(newsletter.web.__path__[0])
MARKING = {"_", "gettext", "ngettext", "N_", "translate", "translate_number"}
SPOKEN_ATTRIBUTES = {"alt", "title", "aria-label", "aria-description", "placeholder", "label", "summary"}
FILLED = "\ufffc"  # stands for what an expression writes
DEMO = TEMPLATES / "web" / "demo"  # runs on the machine of whoever tries it, in English
# The document of the API is for those who write programs, in English; what a person is told goes through gettext.
OF_PROGRAMS = {"api/document.py", "api/schemas.py", "api/examples.py"}

pages = sorted(path for path in TEMPLATES.rglob("*.html") if DEMO not in path.parents)
texts = sorted(TEMPLATES.rglob("*.txt"))
code = sorted(path for path in WEB.rglob("*.py") if path.relative_to(WEB).as_posix() not in OF_PROGRAMS)


def has_words(text: str) -> bool:
    return bool(re.search(r"[^\W\d_]", re.sub(r"&\w+;", "", text)))


def is_sentence(text: str) -> bool:
    return " " in text.strip() and bool(re.search(r"[A-Z]", text)) and bool(re.search(r"[a-z]{2}", text))


class Spoken(HTMLParser):
    """Gathers the words of a template that are in no expression: texts, and the attributes that are seen or heard."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._silent += tag in {"style", "script"}
        spoken = [attributes[name] for name in SPOKEN_ATTRIBUTES & attributes.keys()]
        spoken += [value for name, value in attributes.items() if name.startswith("data-") and " " in value.strip()]
        if tag == "button" or attributes.get("type") in {"submit", "button", "reset"}:
            spoken.append(attributes.get("value", ""))
        self.found += [each for each in spoken if has_words(each)]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        if attributes := re.findall(r'[a-z-]+="[^"]*"', data):  # of a macro that writes a part of a tag
            self.handle_starttag("i", re.findall(r'([a-z-]+)="([^"]*)"', data))
            data = re.sub("|".join(map(re.escape, attributes)), "", data)
        if not self._silent and has_words(data):
            self.found.append(data.strip())


def written(node: nodes.Node) -> Iterator[str]:
    """Write a template without what fills it: its own text, and the strings that its expressions may write."""
    for output in node.find_all(nodes.Output):
        for part in output.nodes:
            yield part.data if isinstance(part, nodes.TemplateData) else "".join(choices(part))


def choices(part: nodes.Expr) -> Iterator[str]:
    if isinstance(part, nodes.Const):
        yield str(part.value)
    elif isinstance(part, nodes.CondExpr):
        yield from choices(part.expr1)
        yield from choices(part.expr2) if part.expr2 else ()
    elif isinstance(part, (nodes.Concat, nodes.List, nodes.Tuple)):
        yield from (
            text for each in (part.nodes if isinstance(part, nodes.Concat) else part.items) for text in choices(each)
        )
    elif isinstance(part, nodes.Filter) and part.node is not None:
        yield from choices(part.node)
    else:
        yield FILLED


def handed_on(node: nodes.Node) -> Iterator[str]:
    """Return the sentences that a template hands to a macro, or keeps in a variable, untranslated."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MARKING:
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and is_sentence(node.value):
        yield node.value
    for child in node.iter_child_nodes():
        yield from handed_on(child)


def words_of_template(source: str, *, is_html: bool) -> list[str]:
    tree = Environment(extensions=["jinja2.ext.i18n"], autoescape=True, trim_blocks=True).parse(source)
    text = "".join(written(tree))
    if not is_html:
        return [*re.findall(r"[^\W\d_]+", text), *handed_on(tree)]
    reader = Spoken()
    reader.feed(text)
    reader.close()
    return [*reader.found, *handed_on(tree)]


def words_of_code(source: str) -> list[str]:
    return list(_sentences(ast.parse(source)))


def _sentences(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _is_silent(node.func)):
        return  # what an error says is for the log: a page has words of its own for its code
    if isinstance(node, ast.JoinedStr):
        whole = "".join(str(each.value) if isinstance(each, ast.Constant) else FILLED for each in node.values)
        yield from [whole] if is_sentence(whole) else []
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_sentence(node.value):
        yield node.value
    body = getattr(node, "body", None)
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(body, list) and isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not is_docstring and not isinstance(node, ast.JoinedStr):
            yield from _sentences(child)


def _is_silent(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in {"debug", "info", "warning", "error", "exception", *MARKING}
    return isinstance(function, ast.Name) and function.id in MARKING


@pytest.mark.parametrize("path", [*pages, *texts], ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_template_says_nothing_of_its_own(path: Path) -> None:
    assert words_of_template(path.read_text(encoding="utf-8"), is_html=path.suffix == ".html") == []


@pytest.mark.parametrize("path", code, ids=lambda path: str(path.relative_to(WEB)))
def test_code_of_the_pages_says_nothing_untranslated(path: Path) -> None:
    assert words_of_code(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((WEB / "static").glob("*.js")), ids=lambda path: path.name)
def test_a_script_says_only_what_its_page_hands_it(path: Path) -> None:
    assert words_of_script(path.read_text(encoding="utf-8")) == []


def words_of_script(source: str) -> list[str]:
    bare = re.sub(r"^\s*(//|\*|/\*).*$|(?<=[;{}),]) //.*$", "", source, flags=re.MULTILINE)
    return [text for _, text in re.findall(r"""(["'`])((?:(?!\1)[^\n\\]|\\.)*)\1""", bare) if is_sentence(text)]


def test_the_guard_sees_a_sentence_in_a_script() -> None:
    assert words_of_script("// It's a Comment\nx.textContent = 'Please wait'; // and more'") == ["Please wait"]
    assert words_of_script("x.textContent = form.dataset.checking; y = 'use strict'") == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        "<p>{{ name }} is here</p>",
        '<p>{{ "yes" if is_good else _("no") }}</p>',
        '<p>{{ ("Hello" ~ name)|upper }}</p>',
        '<img src="a.png" alt="Hello">',
        '<nav aria-label="{{ name }} menu">',
        '<input type="submit" value="Send">',
        '<button value="Send">{{ _("Send") }}</button>',
        '<input placeholder="name">',
        '<form data-checking="One moment">',
        '{% macro a() %} aria-label="Hello"{% endmacro %}',
        "{% block title %}Hello{% endblock %}",
        "{% if x %}<b>{% for y in x %}Hello{% endfor %}</b>{% endif %}",
        '{{ button(url, "Press here") }}',
        '{% set words = "Press Here" %}',
        "{% macro a() %}Hello{% endmacro %}",
    ],
)
def test_the_guard_sees_a_word_in_a_template(source: str) -> None:
    assert words_of_template(source, is_html=True)


@pytest.mark.parametrize(
    "source",
    [
        '<p>{{ _("Hello") }} · 12 &nbsp; {{ name }}</p>',
        "{% trans n=1 %}Hello{% endtrans %}",
        '<p class="{{ " lead" if x }}" lang="fr" id="hello">{# Hello #}<!-- Hello --></p>',
        "<style>p { color: red }</style>",
        '{{ ngettext("One thing", "Many Things", n) }}',
        '{{ problem_of(problems, "address") }}',
    ],
)
def test_the_guard_lets_pass_what_is_translated_or_not_seen(source: str) -> None:
    assert words_of_template(source, is_html=True) == []


def test_the_guard_sees_a_word_in_a_text_part() -> None:
    assert words_of_template('{{ _("Hello") }} Hello', is_html=False) == ["Hello"]


def test_the_guard_sees_a_sentence_in_code() -> None:
    assert words_of_code('x = f"Hello {name}, you are in"') == ["Hello \ufffc, you are in"]
    assert words_of_code('page("a.html", message="This is wrong.")') == ["This is wrong."]
    assert (
        words_of_code('"""Say it in words."""\ndef f():\n    """Say It twice."""\n    return gettext("Hello you")')
        == []
    )
    assert (
        words_of_code('log.error("It went %s", x)\nraise NotFound("There is none")\nPLAIN = {1: N_("As it Is")}') == []
    )
