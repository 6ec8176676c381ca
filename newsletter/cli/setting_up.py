"""`init`, `db` and `doctor`: setting up, keeping up, looking after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from newsletter.base.config import SECRETS_FILE, Settings, load_settings, make_secrets
from newsletter.base.errors import ConfigError, NotFound
from newsletter.bootstrap import Parts, build
from newsletter.cli.door import MEND_SET_UP, TRY_LATER, json_option, opened
from newsletter.cli.moving import copy
from newsletter.cli.printing import heading, say, show_json, show_lines
from newsletter.db import migrations
from newsletter.db.database import Database
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import STOPS_EVERY_CHANNEL, Outcome
from newsletter.newsletters import queries as newsletter_queries
from newsletter.operations.doctor import Finding, Weight, examine
from newsletter.operations.readiness import require_answer
from newsletter.operations.trial_mail import trial_mail

_MARKS: Mapping[Weight, str] = {Weight.FINE: "✓", Weight.NOTE: "!", Weight.LATER: "!", Weight.MEND: "!"}
_NEXT = (
    ('newsletter newsletters add hebdo --name "L\'hebdo"', "what one can subscribe to"),
    ("newsletter sources add URL-or-file", "where its articles come from"),
    ("newsletter serve", "the site, and confirmations"),
    ("newsletter run --due", "for cron, every five minutes"),
    ("newsletter doctor", "whether all is well"),
)


@click.command()
def init() -> None:
    """Make the home, its secrets and its database. Safe to repeat."""
    settings = load_settings()
    home, secrets_file = settings.home.resolve(), settings.home / SECRETS_FILE
    is_new = not home.exists()
    had_secrets = secrets_file.exists()
    _make_home(settings)
    parts = build(load_settings())
    try:
        before, after = _upgraded(parts.database)
    finally:
        parts.database.close()
    kept = "kept as they were" if had_secrets else "made now; keep a copy, apart from the backups"
    rows = [
        ("home", f"{home} ({'made now' if is_new else 'was there'})"),
        ("secrets", f"{secrets_file.resolve()} ({kept})" if secrets_file.exists() else "from the environment"),
        ("database", f"{_named(parts.database)} ({_moved(before, after)})"),
        ("mail", f"to {parts.backend.describe()} (NEWSLETTER_MAIL_URL)"),
        ("site", f"{settings.base_url} (NEWSLETTER_BASE_URL)"),
    ]
    show_lines(rows)
    heading("Next")
    show_lines(_NEXT)


@click.group()
def db() -> None:
    """Upgrade, back up or move the database."""


db.add_command(copy)


@db.command()
def upgrade() -> None:
    """Bring the database to the newest migration. Safe to repeat."""
    parts = build(load_settings())
    try:
        say(f"{_named(parts.database)}: {_moved(*_upgraded(parts.database))}")
    finally:
        parts.database.close()


@db.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
def backup(target: Path | None) -> None:
    """Write a consistent copy of the live SQLite database (default: into backups/ of the home)."""
    with opened() as parts:
        if target is None:
            folder = parts.settings.home / "backups"
            target = folder / f"newsletter-{parts.clock.now():%Y%m%dT%H%M%SZ}.db"
            if parts.database.is_sqlite:
                folder.mkdir(mode=0o700, exist_ok=True)
        if parts.database.is_sqlite and not target.parent.is_dir():
            raise NotFound(f"there is no folder {target.parent}")
        written = migrations.backup(parts.database, target)
    say(f"{written} ({written.stat().st_size:,} bytes; keep it apart from {SECRETS_FILE})")


@click.command()
@click.option("--send-test", metavar="ADDRESS", help="Send a small trial mail to this address, too.")
@json_option
def doctor(send_test: str | None, *, as_json: bool) -> None:
    """Look at the set-up: ✓ is well, ! asks for a look. Changes nothing."""
    parts = build(load_settings())
    try:
        findings = list(examine(parts.settings, parts.database, parts.backend))
        if send_test is not None:
            findings.append(_trial(parts, send_test))
    finally:
        parts.database.close()
    weights = {finding.weight for finding in findings}
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        show_lines([(_MARKS[finding.weight], finding.subject, finding.text) for finding in findings])
        say()
        say(_summary(findings))
    if Weight.MEND in weights:
        raise SystemExit(MEND_SET_UP)
    if Weight.LATER in weights:
        raise SystemExit(TRY_LATER)


def _make_home(settings: Settings) -> None:
    """Make what is missing; keys that the environment gives need no file."""
    if settings.keys and settings.address_key.get_secret_value():
        try:
            settings.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the home {settings.home} cannot be written: {error.strerror}") from None
    else:
        make_secrets(settings.home)


def _upgraded(database: Database) -> tuple[str | None, str | None]:
    require_answer(database)
    before = migrations.stands_at(database)
    migrations.upgrade(database)
    return before, migrations.newest()


def _moved(before: str | None, after: str | None) -> str:
    if before == after:
        return f"stands at the newest migration, {after}"
    return f"brought to migration {after}" if before is None else f"brought from migration {before} to {after}"


def _named(database: Database) -> str:
    return str(database.engine.url.database if database.is_sqlite else database.engine.url.render_as_string())


def _trial(parts: Parts, address: str) -> Finding:
    with parts.database.reading() as work:
        newsletters = newsletter_queries.all_newsletters(work)
        if not newsletters:
            raise NotFound("a trial mail goes out in the name of a newsletter: add one first")
        message = trial_mail(newsletters[0], address=address, now=work.now)
    with parts.backend.open() as channel:
        [verdict] = send_all(channel, [message])
    answer = " ".join(filter(None, [str(verdict.code or ""), verdict.text]))
    text = f"{verdict.outcome} by {parts.backend.describe()}" + (f": {answer}" if answer else "")
    match verdict.outcome:
        case Outcome.ACCEPTED:
            weight = Weight.FINE
        case Outcome.FAILED:
            weight = Weight.MEND
        case _:
            weight = Weight.MEND if verdict.reason in STOPS_EVERY_CHANNEL else Weight.LATER
    return Finding("trial mail", weight, text)


def _summary(findings: list[Finding]) -> str:
    mend = sum(finding.weight is Weight.MEND for finding in findings)
    later = sum(finding.weight is Weight.LATER for finding in findings)
    if not mend and not later:
        notes = sum(finding.weight is Weight.NOTE for finding in findings)
        return "All is well." if not notes else "Nothing has to be mended."
    said = []
    if mend:
        said.append(f"{mend} {'thing has' if mend == 1 else 'things have'} to be mended")
    if later:
        said.append(f"{later} {'does' if later == 1 else 'do'} not answer: try later")
    return "; ".join(said) + "."
