"""Recognising who wrote a file by its header, and what a row of it says. Pure: nothing is checked against us here.

Only the address is taken of a person: names and all else that a file holds of somebody stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from newsletter.base.errors import InvalidInput
from newsletter.subscribers.models import SuppressionReason
from newsletter.subscriptions.exchange.cells import read_moment, unguard
from newsletter.subscriptions.models import EndReason, Form, SubscriptionState

ADDRESS_COLUMNS = (
    "address", "email", "e mail", "email address", "e mail address", "mail", "subscriber email",
    "adresse", "adresse email", "adresse e mail", "adresse mail", "adresse électronique", "courriel",
    "البريد الإلكتروني", "البريد الالكتروني",
)  # fmt: skip
OURS = (
    "address", "newsletter", "state", "languages", "topics", "frequency", "form", "created_at", "confirmed_at",
    "ended_at", "end_reason", "paused_until", "consent_language", "consent_form_version", "consent_text_hash",
    "consent_at",
)  # fmt: skip
_PLAIN = frozenset(
    {"state", "languages", "language", "topics", "frequency", "form", "created_at", "confirmed_at", "ended_at"}
)
_MAILCHIMP = frozenset({"member_rating", "optin_time", "confirm_time", "leid", "euid", "unsub_time", "clean_time"})
_STATES = frozenset(
    {
        "status",
        "statut",
        "état",
        "subscribed",
        "unsubscribed",
        "unsubscribed_at",
        "opt out",
        "optout",
        "opt_out",
        "bounced",
    }
)
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[\w.:+-]{1,40}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,4})?", re.ASCII)


W = TypeVar("W", bound=StrEnum)


class Format(StrEnum):
    """Who wrote a file."""

    OURS = "ours"
    LISTMONK = "listmonk"
    MAILCHIMP = "mailchimp"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Said:
    """What a row says of one subscription: empty where it says nothing.

    `closes` is why the other system wrote to this address no more, `ended_at` since when; `is_elsewhere` names another
    newsletter; `not_for_us` says why the other system itself did not write to it.
    """

    address: str
    state: SubscriptionState | None = None
    closes: SuppressionReason | None = None
    newsletter: str = ""
    languages: Sequence[str] = ()
    topics: Sequence[str] = ()
    frequency: str = ""
    form: Form = Form.DIGEST
    created_at: datetime | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    paused_until: datetime | None = None
    spoken: str = ""
    form_version: str | None = None
    text_hash: str | None = None
    consent_at: datetime | None = None
    not_for_us: str = ""


class Unreadable(Exception):
    """Why a row cannot be taken, in words that are safe to show."""


Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recognised:
    """How to read the rows of a file. `columns` is empty where it has no header: then the first cell is the address."""

    format: Format
    columns: Sequence[str]
    taken: frozenset[str]
    address: str
    read: Callable[[Cells, str], Said]
    left_out: Sequence[str] = ()  # columns that nothing is taken from, as they are written

    def said(self, cells: Sequence[str]) -> Said:
        """Read a row.

        :raises Unreadable: if it says what cannot be read
        """
        if not self.columns:
            return self.read({}, cells[0].strip() if cells else "")
        extra = cells[len(self.columns) :]
        if len(cells) < len(self.columns) or any(cell.strip() for cell in extra):
            columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
            raise Unreadable(f"{columns} where the header has {len(self.columns)}")
        named: dict[str, str] = {}
        for name, cell in zip(self.columns, cells, strict=False):
            named.setdefault(name, cell.strip())
        return self.read(named, named[self.address])


def recognise(first: Sequence[str], *, named: Format | None, file_name: str) -> tuple[Recognised, bool]:
    """Say how to read a file by its first row, and whether that row is a header; `named` is what the operator says.

    :raises InvalidInput: if no column holds addresses, or the file is not of the format named
    """
    columns = [_name(cell) for cell in first]
    if any("@" in cell for cell in first):
        return _without_header(named), False
    address = next((name for name in ADDRESS_COLUMNS if name in columns), None)
    if address is None:
        if len(first) == 1 and named in {None, Format.PLAIN}:
            return _without_header(named), False
        raise InvalidInput("no column holds addresses: one must be called address or email", code="no_address_column")
    found = named or _guess(set(columns))
    _require_columns(found, set(columns))
    how = _READERS[found](columns, address, file_name)
    left_out = [cell.strip() for cell, name in zip(first, columns, strict=True) if name not in {*how.taken, address}]
    return replace(how, left_out=[name for name in left_out if name]), True


def _name(cell: str) -> str:
    """Write a column's name in one way; those of machines keep their underscores."""
    name = " ".join(cell.strip().lstrip("\ufeff").lower().split())
    return name if "_" in name else name.replace("-", " ")


def _guess(columns: set[str]) -> Format:
    if {"address", "newsletter", "state", "consent_at"} <= columns:
        return Format.OURS
    if len(columns & _MAILCHIMP) >= 2:
        return Format.MAILCHIMP
    if {"email", "status"} <= columns and columns & {"attributes", "uuid"}:
        return Format.LISTMONK
    if "state" not in columns and (unread := sorted(columns & _STATES)):
        raise InvalidInput(
            f"the column “{unread[0]}” may say who left, and is not ours: call it state, with active, pending or ended "
            "in it, or leave it out",
            code="unread_state",
        )
    return Format.PLAIN


def _require_columns(found: Format, columns: set[str]) -> None:
    wanted = {Format.OURS: set(OURS), Format.LISTMONK: {"email", "status"}}.get(found, set())
    if missing := sorted(wanted - columns):
        raise InvalidInput(f"a file of the format “{found}” has a column “{missing[0]}”", code="missing_column")
    if found is Format.MAILCHIMP and not columns & _MAILCHIMP:
        raise InvalidInput("a file of the format “mailchimp” has a column “CONFIRM_TIME”", code="missing_column")


def _without_header(named: Format | None) -> Recognised:
    if named not in {None, Format.PLAIN}:
        raise InvalidInput(f"a file of the format “{named}” begins with a header", code="no_header")
    return Recognised(Format.PLAIN, (), frozenset(), "", lambda _, address: Said(address))


def _ours(columns: Sequence[str], address: str, _file_name: str) -> Recognised:
    def read(cells: Cells, mailed: str) -> Said:
        return _own_row({name: unguard(cell) for name, cell in cells.items()}, unguard(mailed))

    return Recognised(Format.OURS, columns, frozenset(OURS), address, read)


def _plain(columns: Sequence[str], address: str, _file_name: str) -> Recognised:
    return Recognised(Format.PLAIN, columns, _PLAIN, address, _own_row)


def _own_row(cells: Cells, address: str) -> Said:
    return Said(
        address=address,
        state=_word(SubscriptionState, cells, "state"),
        newsletter=cells.get("newsletter", ""),
        languages=(cells.get("languages") or cells.get("language", "")).replace(",", " ").split(),
        topics=cells.get("topics", "").replace(",", " ").split(),
        frequency=cells.get("frequency", ""),
        form=_word(Form, cells, "form") or Form.DIGEST,
        created_at=_moment(cells, "created_at"),
        confirmed_at=_moment(cells, "confirmed_at"),
        ended_at=_moment(cells, "ended_at"),
        end_reason=_word(EndReason, cells, "end_reason"),
        paused_until=_moment(cells, "paused_until"),
        spoken=_matching(_LANGUAGE, cells, "consent_language") or "",
        form_version=_matching(_VERSION, cells, "consent_form_version"),
        text_hash=_matching(_HASH, cells, "consent_text_hash"),
        consent_at=_moment(cells, "consent_at"),
    )


_LISTMONK_STATES = {
    "confirmed": SubscriptionState.ACTIVE,
    "unconfirmed": SubscriptionState.PENDING,
    "unsubscribed": SubscriptionState.ENDED,
    "": None,
}


def _listmonk(columns: Sequence[str], address: str, _file_name: str) -> Recognised:
    taken = frozenset({"status", "subscription_status", "created_at", "updated_at"})
    return Recognised(Format.LISTMONK, columns, taken, address, _listmonk_row)


def _listmonk_row(cells: Cells, address: str) -> Said:
    changed_at, status = _moment(cells, "updated_at"), cells.get("status", "").lower()
    if status == "blocklisted":
        return Said(address, closes=SuppressionReason.STAFF, ended_at=changed_at)
    if status == "disabled":
        return Said(address, not_for_us="disabled in listmonk")
    if status not in {"enabled", ""}:
        raise Unreadable("unknown status")
    subscription = cells.get("subscription_status", "").lower()
    if subscription not in _LISTMONK_STATES:
        raise Unreadable("unknown subscription_status")
    state = _LISTMONK_STATES[subscription]
    ended_at = changed_at if state is SubscriptionState.ENDED else None
    return Said(address, state=state, created_at=_moment(cells, "created_at"), ended_at=ended_at)


def _mailchimp(columns: Sequence[str], address: str, file_name: str) -> Recognised:
    """Mailchimp writes a file for each status; the file's name and its columns say which."""
    taken = frozenset({"optin_time", "confirm_time", "unsub_time", "clean_time", "last_changed", "status"})
    if "clean_time" in columns or file_name.startswith("cleaned"):
        usual = "cleaned"
    elif "unsub_time" in columns or file_name.startswith("unsubscribed"):
        usual = "unsubscribed"
    else:
        usual = "non-subscribed" if file_name.startswith(("nonsubscribed", "non-subscribed")) else "subscribed"

    def read(cells: Cells, mailed: str) -> Said:
        return _mailchimp_row(cells, mailed, cells.get("status", "").lower() or usual)

    return Recognised(Format.MAILCHIMP, columns, taken, address, read)


def _mailchimp_row(cells: Cells, address: str, status: str) -> Said:
    asked, confirmed = _moment(cells, "optin_time"), _moment(cells, "confirm_time")
    if status == "cleaned":
        at = _moment(cells, "clean_time") or _moment(cells, "last_changed")
        return Said(address, closes=SuppressionReason.HARD_BOUNCE, ended_at=at)
    if status == "unsubscribed":
        at = _moment(cells, "unsub_time") or _moment(cells, "last_changed")
        return Said(
            address, SubscriptionState.ENDED, created_at=asked or confirmed, confirmed_at=confirmed, ended_at=at
        )
    if status in {"non-subscribed", "nonsubscribed", "transactional", "archived"}:
        return Said(address, not_for_us="not subscribed in Mailchimp")
    if status == "pending":
        return Said(address, SubscriptionState.PENDING, created_at=asked)
    if status != "subscribed":
        raise Unreadable("unknown status")
    return Said(address, created_at=asked or confirmed, confirmed_at=confirmed)


_READERS: Mapping[Format, Callable[[Sequence[str], str, str], Recognised]] = {
    Format.OURS: _ours,
    Format.LISTMONK: _listmonk,
    Format.MAILCHIMP: _mailchimp,
    Format.PLAIN: _plain,
}


def _moment(cells: Cells, name: str) -> datetime | None:
    try:
        return read_moment(cells.get(name, ""))
    except (ValueError, OverflowError):
        raise Unreadable(f"{name} is no moment such as 2026-11-30 08:00:00") from None


def _word(words: type[W], cells: Cells, name: str) -> W | None:
    try:
        return words(cells[name].lower()) if cells.get(name) else None
    except ValueError:
        raise Unreadable(f"unknown {name}") from None


def _matching(pattern: re.Pattern[str], cells: Cells, name: str) -> str | None:
    cell = cells.get(name, "")
    if cell and not pattern.fullmatch(cell):
        raise Unreadable(f"{name} is not as we write it")
    return cell or None
