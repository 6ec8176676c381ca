"""The settings: one typed, frozen object, read once from NEWSLETTER_* and from the home's secrets file."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from newsletter.base.errors import ConfigError

PREFIX = "NEWSLETTER_"
SECRETS_FILE = "secrets.env"
MINIMUM_KEY_LENGTH = 32


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.IGNORECASE)
_DKIM_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DkimKey:
    """Where a private key is, and where the DNS has its public half: at SELECTOR._domainkey.DOMAIN."""

    selector: str
    domain: str
    path: Path


class Settings(BaseSettings):
    """What an operator may set; docs/settings.md tells what each is for."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(
        Path("var"), description="Folder of the embedded database, the maildir, the backups and the secrets file"
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="`sqlite:///PATH` or `postgresql+psycopg://…`; empty: SQLite in the home"
    )
    mail_url: SecretStr = Field(
        SecretStr("maildir://"),
        description="Where mail goes: `maildir://`, `smtp+starttls://user:pass@host:587`, …: see docs/providers.md",
    )
    base_url: str = Field("http://127.0.0.1:8000", description="Public address of the site; every link starts with it")
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys of the links, separated by commas: the first signs, all verify; `init` makes one"
    )
    address_key: SecretStr = Field(
        SecretStr(""),
        description="Permanent key of the hashes of suppressed addresses; never change it; `init` makes it",
    )
    in_doubt: Literal["resend", "hold"] = Field(
        "resend",
        description="What happens to a mail whose answer was lost in a crash: sent again, or held for a person",
    )
    window: int = Field(
        32, ge=1, le=1000, description="Most mails of one sender on their way at once whose result is not yet written"
    )

    proxies: int = Field(
        0, ge=0, le=5, description="Reverse proxies of yours in front of the site: how far X-Forwarded-For is believed"
    )
    embed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Sites that may show the sign-up form: `https://www.example.ma`, separated by commas"
    )
    sign_ups_per_network: int = Field(
        30,
        ge=1,
        description="Sign-ups an hour from one network (/24 or /48) before proof of work is asked; 4 × refuses",
    )
    sign_ups_per_domain: int = Field(
        500, ge=1, description="Sign-ups an hour of addresses in one domain before proof of work is asked"
    )
    sign_ups_in_all: int = Field(5000, ge=1, description="Sign-ups an hour in all before proof of work is asked")
    answers_take: float = Field(
        0.05,
        ge=0,
        le=5,
        description="Seconds; an answer about an address takes a whole multiple, so that it tells nothing",
    )
    catalogues: Path | None = Field(
        None, description="Folder of further languages: a catalogue there adds one, see docs/languages.md"
    )

    dkim: str = Field(
        "",
        description="Keys that sign every mail: `SELECTOR:DOMAIN:/path/key.pem` for RSA, a comma, another for Ed25519",
    )

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(key.strip() for key in value.split(",") if key.strip()) if isinstance(value, str) else value

    @field_validator("embed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("embed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(each) for each in value):
            raise ValueError("write origins such as https://www.example.ma, without a path")
        return value

    @field_validator("secret_keys")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < MINIMUM_KEY_LENGTH for key in value):
            raise ValueError(f"each key needs at least {MINIMUM_KEY_LENGTH} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not (text.startswith(("sqlite:///", "postgresql+psycopg://")) and _has_usable_port(text)):
            raise ValueError("write sqlite:///PATH or postgresql+psycopg://user:password@host:port/name")
        return value

    @field_validator("base_url")
    @classmethod
    def _public_address(cls, value: str) -> str:
        parts = urlsplit(value)
        is_site = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
        if not is_site or not _has_usable_port(value):
            raise ValueError("write an address such as https://lettre.example.ma")
        return value.rstrip("/")

    @field_validator("dkim")
    @classmethod
    def _dkim_readable(cls, value: str) -> str:
        _dkim_keys(value)
        return value

    @property
    def dkim_keys(self) -> list[DkimKey]:
        return _dkim_keys(self.dkim)

    @property
    def database(self) -> str:
        """The database's URL, the embedded default filled in."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.home.resolve() / 'newsletter.db'}"

    @property
    def keys(self) -> list[str]:
        return [key.get_secret_value() for key in self.secret_keys]


def load_settings(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings: `overrides` first, then the environment, then the home's secrets file, then the defaults.

    :raises ConfigError: naming the setting that is unknown or wrong, never its value
    """
    environment = os.environ if environment is None else environment
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}: docs/settings.md lists the known ones")
    given: dict[str, object] = {known[name]: value for name, value in environment.items() if name in known}
    given.update(overrides)
    secrets_file = Path(str(given.get("home", "var"))) / SECRETS_FILE
    stored = {known[name]: value for name, value in _read_secrets(secrets_file).items() if name in known}
    try:
        return Settings.model_validate({**stored, **given})
    except ValidationError as error:
        causes = [
            f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise ConfigError("; ".join(causes)) from None


def make_secrets(home: Path) -> Path:
    """Create the home and its secrets file (mode 0600) if there is none; an existing one stays as it is.

    :raises ConfigError: if the home cannot be written
    """
    path = home / SECRETS_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    except OSError as error:
        raise ConfigError(f"the home {home} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(
            f"{PREFIX}SECRET_KEYS={secrets.token_urlsafe(48)}\n{PREFIX}ADDRESS_KEY={secrets.token_urlsafe(48)}\n"
        )
    return path


def _dkim_keys(text: str) -> list[DkimKey]:
    keys = []
    for each in text.split(",") if text else []:
        selector, _, rest = each.strip().partition(":")
        domain, _, path = rest.partition(":")
        if not (_DKIM_NAME.fullmatch(selector) and _DKIM_NAME.fullmatch(domain) and path):
            raise ValueError("write selector:domain:/path/to/key.pem, and after a comma a second key if there is one")
        keys.append(DkimKey(selector, domain, Path(path)))
    return keys


def _has_usable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
