"""The register of consents is append-only: nobody but privacy changes or deletes what stands in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

import newsletter
from factories import make_newsletter, make_reader
from newsletter.bootstrap import Parts
from newsletter.operations.run_due import run_due
from newsletter.subscriptions import leaving
from newsletter.subscriptions.models import Consent, ConsentText, EndReason
from newsletter.web.app import create_app

REGISTER = {"Consent", "ConsentText"}
SOURCE = Path(newsletter.__file__).parent
MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if "privacy" not in path.relative_to(SOURCE).parts]


def changes_in(source: str) -> list[str]:
    """Return the calls that change or delete rows of the register, and what raw SQL says of its tables."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            named = {each.id for each in node.args if isinstance(each, ast.Name)}
            if name in {"update", "delete"} and named & REGISTER:
                found.append(ast.unparse(node))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.lower().split()
            pairs = {" ".join(words[place : place + 2]) for place in range(len(words))}
            pairs |= {" ".join(words[place : place + 3]) for place in range(len(words))}
            found += sorted(pairs & {"update consent", "update consent_text"})
            found += sorted(pairs & {"delete from consent", "delete from consent_text"})
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_outside_privacy_changes_the_register(module: Path) -> None:
    assert changes_in(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "update(Consent).where(x)",
        "work.session.execute(delete(ConsentText))",
        "text('DELETE FROM consent WHERE id = 1')",
        "sa.update(Consent)",
    ],
)
def test_the_guard_sees_a_change(source: str) -> None:
    assert changes_in(source)


def test_only_privacy_may_touch_it_and_it_never_touches_the_texts() -> None:
    for module in (SOURCE / "privacy").glob("*.py"):
        assert not [each for each in changes_in(module.read_text(encoding="utf-8")) if "ConsentText" in each]


def test_nothing_that_a_person_does_changes_a_row_of_it(parts: Parts) -> None:
    with changes() as changed:
        _live(parts)
    assert changed == []
    with changes() as changed, parts.database.work() as work:
        work.session.scalars(select(Consent)).first().language = "en"  # type: ignore[union-attr]
    assert changed


@contextmanager
def changes() -> Iterator[list[object]]:
    """Note what is changed in the register meanwhile."""
    changed: list[object] = []

    def look(session: Session, _context: UOWTransaction, _instances: object) -> None:
        every = [*session.dirty, *session.deleted]
        changed.extend(each for each in every if isinstance(each, Consent | ConsentText) and session.is_modified(each))

    def look_at_statement(state: ORMExecuteState) -> None:
        if (state.is_update or state.is_delete) and state.bind_mapper in {inspect(Consent), inspect(ConsentText)}:
            changed.append(state.statement)

    event.listen(Session, "before_flush", look)
    event.listen(Session, "do_orm_execute", look_at_statement)
    try:
        yield changed
    finally:
        event.remove(Session, "before_flush", look)
        event.remove(Session, "do_orm_execute", look_at_statement)


def _live(parts: Parts) -> None:
    """Sign up, confirm, be mailed, change, leave, come back."""
    make_newsletter(parts)
    reader = make_reader(parts, "salma@example.org")
    client: FlaskClient = create_app(parts).test_client()
    link = parts.links.preferences(reader.subscriber_id, at=parts.clock.now()).removeprefix("http://lettre.test")
    form = {"shown": "hebdo", "topics.hebdo": "services", "language.hebdo.1": "ar", "frequency.hebdo": "daily"}
    assert client.post(link, data=form).status_code == 200
    run_due(parts.postroom)
    token = parts.links.unsubscribe_token(reader.id, 0)
    with parts.database.work() as work:
        leaving.leave(work, token=token, links=parts.links, reason=EndReason.PAGE, text_shown="Leave.")
    undo = parts.links.undo_token(reader.id, at=parts.clock.now())
    assert client.post(f"/undo/{undo}").status_code == 200
