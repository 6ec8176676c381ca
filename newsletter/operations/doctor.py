"""The doctor: looks at the set-up and says what is well, what to know, and what must be mended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from newsletter.articles import queries as article_queries
from newsletter.base.clock import zone
from newsletter.base.config import SECRETS_FILE, Settings
from newsletter.base.errors import ConfigError, Unavailable
from newsletter.base.folders import require_writable
from newsletter.db import migrations
from newsletter.db.database import Database, Work
from newsletter.issues import queries as issue_queries
from newsletter.issues.models import IssueState
from newsletter.mail.port import MailBackend
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter
from newsletter.operations import destinations
from newsletter.operations.readiness import require_ready
from newsletter.privacy.erasures import ErasureLog
from newsletter.subscriptions.limits import confirmations

AFTER_THE_CHANGE = datetime(2026, 11, 23, 8, tzinfo=UTC)  # Morocco keeps UTC+0 all year since 20 September 2026
EXAMPLE_DOMAINS = (".example", ".invalid", ".test", ".localhost")


class Weight(StrEnum):
    """How much a finding matters."""

    FINE = "fine"
    NOTE = "note"  # good to know; nothing has to be done now
    LATER = "later"  # something outside does not answer
    MEND = "mend"  # the set-up must be mended


@dataclass(frozen=True, slots=True)
class Finding:
    """What the doctor found: about what, how much it matters, and the sentence for a person."""

    subject: str
    weight: Weight
    text: str


def examine(settings: Settings, database: Database, backend: MailBackend) -> Iterator[Finding]:
    """Look at everything; one check that fails does not keep the others from being made. Changes nothing."""
    yield Finding("settings", Weight.FINE, "every NEWSLETTER_* name is known, every value can be read")
    yield _checked("home", lambda: _home(settings))
    yield from _secrets(settings)
    yield _checked("erasures", lambda: _erasures(settings))
    yield _site_address(settings)
    answers = _checked("database", lambda: _database(database))
    yield answers
    if answers.weight is Weight.FINE and database.is_sqlite:
        yield _checked("SQLite", lambda: _sqlite(database))
    yield _time_zones()
    mail_url = settings.mail_url.get_secret_value()
    yield _checked("mail", lambda: _mail(backend, mail_url))
    yield from _abroad(mail_url)
    if answers.weight is Weight.FINE:
        with database.reading() as work:
            yield from _newsletters(work, settings)
            yield from _sources(work)
            yield from _issues(work)
            yield _sign_ups(work)


def is_public(settings: Settings) -> bool:
    """Say whether the site's address is one that readers can reach: whatever is not this machine's own."""
    host = urlsplit(settings.base_url).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(EXAMPLE_DOMAINS)


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    """Make a check that returns what is well and raises what is not."""
    try:
        return Finding(subject, Weight.FINE, check())
    except ConfigError as error:
        return Finding(subject, Weight.MEND, error.message)
    except Unavailable as error:
        return Finding(subject, Weight.LATER, error.message)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        return Finding(subject, Weight.MEND, f"the database cannot be used: {cause}")


def _home(settings: Settings) -> str:
    home = settings.home.resolve()
    if not home.is_dir():
        raise ConfigError(f"{home} does not exist: run `newsletter init`")
    require_writable(home)
    return f"{home} can be written"


def _secrets(settings: Settings) -> Iterator[Finding]:
    path = settings.home / SECRETS_FILE
    if not path.exists():
        yield Finding("secrets", Weight.FINE, "from the environment")
        return
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding("secrets", Weight.MEND, f"others can read {path} (mode {mode:04o}): chmod 600 {path}")
    elif not os.access(path, os.R_OK):
        yield Finding("secrets", Weight.MEND, f"{path} cannot be read by this user")
    else:
        yield Finding("secrets", Weight.FINE, f"{SECRETS_FILE} is its owner's alone (mode {mode:04o})")


def _erasures(settings: Settings) -> str:
    """Erasing a person writes here, so this user must be able to."""
    log = ErasureLog(settings.home)
    if damaged := log.damaged_lines():
        lines = ", ".join(map(str, damaged))
        raise ConfigError(f"{log.path}: line {lines} cannot be read: whose erasure it was must be found out by hand")
    if not log.path.exists():
        return "nobody was erased yet"
    mode = log.path.stat().st_mode & 0o777
    if not os.access(log.path, os.R_OK | os.W_OK):
        raise ConfigError(f"{log.path} cannot be written by this user: nobody can be erased")
    if mode & 0o077:
        raise ConfigError(f"others can read {log.path} (mode {mode:04o}): chmod 600 {log.path}")
    return f"{_counted(log.read(), 'address', 'addresses')} in {log.path.name}: keep it apart from the backups"


def _site_address(settings: Settings) -> Finding:
    if not is_public(settings):
        advice = "good for trying out; readers need NEWSLETTER_BASE_URL=https://…"
        return Finding("site", Weight.NOTE, f"{settings.base_url}: {advice}")
    if not settings.base_url.startswith("https://"):
        advice = "one-click unsubscribing (RFC 8058) and readers' safety need https"
        return Finding("site", Weight.MEND, f"{settings.base_url}: {advice}; mend NEWSLETTER_BASE_URL")
    return Finding("site", Weight.FINE, settings.base_url)


def _database(database: Database) -> str:
    require_ready(database)
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    return f"{kind} answers, and stands at the newest migration ({migrations.newest()})"


def _sqlite(database: Database) -> str:
    with database.reading() as work:
        journal = work.session.execute(text("PRAGMA journal_mode")).scalar_one()
        damage = work.session.execute(text("PRAGMA integrity_check(1)")).scalar_one()
        strays = work.session.execute(text("PRAGMA foreign_key_check")).first()
    if damage != "ok":
        raise ConfigError(f"the file is damaged ({str(damage).splitlines()[0]}): restore the last backup")
    if strays is not None:
        raise ConfigError(f"a row of table {strays[0]} points to one that is not there: restore the last backup")
    if journal != "wal":
        raise ConfigError(f"the journal mode is {journal}, not wal: this disk may be a network share, use a local one")
    return "the file is sound, write-ahead logging is on"


def _time_zones() -> Finding:
    offset = AFTER_THE_CHANGE.astimezone(zone("Africa/Casablanca")).utcoffset()
    if offset != timedelta(0):
        cause = f"tzdata is older than Morocco's change of September 2026 (it says UTC{_hours(offset)})"
        return Finding("time zones", Weight.MEND, f"{cause}: pip install --upgrade 'tzdata>=2026.3'")
    return Finding("time zones", Weight.FINE, "Africa/Casablanca is UTC+0 on 23 November 2026, as it should be")


def _hours(offset: timedelta | None) -> str:
    return f"{(offset or timedelta()).total_seconds() / 3600:+g}"


def _mail(backend: MailBackend, mail_url: str) -> str:
    backend.check()
    return f"{backend.describe()}: {destinations.looked_at(mail_url)}"


def _abroad(mail_url: str) -> Iterator[Finding]:
    for provider in destinations.providers_abroad(mail_url):
        duty = "a transfer abroad (law 09-08): settle it with the CNDP, and name it on the form"
        yield Finding("mail abroad", Weight.NOTE, f"readers' addresses go to {provider}: {duty}")
    for scheme in destinations.unknown_ways(mail_url):
        advice = "see in its documentation where mail goes; abroad, law 09-08 asks for more"
        yield Finding("mail abroad", Weight.NOTE, f"{scheme}:// is not ours: {advice}")


def _newsletters(work: Work, settings: Settings) -> Iterator[Finding]:
    newsletters = newsletter_queries.all_newsletters(work)
    if not newsletters:
        yield Finding("newsletters", Weight.NOTE, "there is none yet: newsletter newsletters add --help")
    for newsletter in newsletters:
        yield from _newsletter(newsletter, settings)


def _newsletter(newsletter: Newsletter, settings: Settings) -> Iterator[Finding]:
    missing = _missing(newsletter)
    is_nobodys = newsletter.mail_domain.endswith(EXAMPLE_DOMAINS)
    if missing:
        weight = Weight.MEND if is_public(settings) else Weight.NOTE
        yield Finding(newsletter.slug, weight, f"readers must be told {' and '.join(missing)} (law 09-08)")
    if is_nobodys and not destinations.stays_here(settings.mail_url.get_secret_value()):
        yield Finding(newsletter.slug, Weight.MEND, f"{newsletter.mail_domain} is no domain that mail can come from")
    elif not missing:
        yield Finding(newsletter.slug, Weight.FINE, f"complete; sent by {newsletter.sender}")


def _missing(newsletter: Newsletter) -> list[str]:
    """Return what the law wants said and nobody has filled in: reference, address, identity and purpose."""
    missing = [] if newsletter.cndp_reference.strip() else ["the CNDP reference"]
    told = {
        "the postal address": newsletter.postal_address,
        "who is responsible (--institution)": newsletter.institution,
        "what their address serves for (--promise)": newsletter.promises,
    }
    for what, texts in told.items():
        lacking = [code for code in newsletter.languages if not texts.get(code, "").strip()]
        if lacking:
            missing.append(f"{what} in {', '.join(lacking)}")
    return missing


def _sources(work: Work) -> Iterator[Finding]:
    sources = article_queries.sources(work)
    if not sources:
        yield Finding("sources", Weight.NOTE, "there is none yet: newsletter sources add URL-or-file")
        return
    troubled = [source for source in sources if source.last_error is not None]
    for source in troubled:
        yield Finding(f"source {source.id}", Weight.NOTE, str(source.last_error))
    if not troubled:
        yield Finding("sources", Weight.FINE, f"{_counted(sources, 'source')}, none in trouble")


def _issues(work: Work) -> Iterator[Finding]:
    held = issue_queries.in_state(work, IssueState.HELD)
    for number in held:
        issue = issue_queries.issue(work, number)
        advice = f"newsletter issues release {number}, or cancel {number}"
        yield Finding(f"issue {number}", Weight.NOTE, f"waits for a person (held: {issue.reason}): {advice}")
    for number in issue_queries.in_state(work, IssueState.PAUSED):
        yield Finding(
            f"issue {number}", Weight.NOTE, f"is paused: newsletter issues resume {number}, or cancel {number}"
        )
    if not held:
        yield Finding("issues", Weight.FINE, "none is held")


def _sign_ups(work: Work) -> Finding:
    lately = confirmations(work)
    if not lately.are_doubtful:
        return Finding("sign-ups", Weight.FINE, "confirmations are given as usual")
    figures = f"of {lately.mailed} confirmations mailed in a day, {lately.given} were given"
    advice = "somebody may be signing others up; until it passes, each sign-up needs a proof of work or its mail waits"
    return Finding("sign-ups", Weight.NOTE, f"{figures}: {advice}")


def _counted(things: Sized, name: str, plural: str = "") -> str:
    return f"{len(things)} {name if len(things) == 1 else plural or name + 's'}"
