"""From a mail URL to a provider: ours by their schemes, those of other distributions by their entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from newsletter.base.errors import ConfigError, NewsletterError
from newsletter.base.plugins import Plugin, find_plugin, plugin_names
from newsletter.mail.port import MailBackend
from newsletter.mail.providers.brevo.backend import brevo_from_url
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.failover.backend import FailoverBackend
from newsletter.mail.providers.maildir.backend import MaildirBackend
from newsletter.mail.providers.mailgun.backend import mailgun_from_url
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.providers.postmark.backend import postmark_from_url
from newsletter.mail.providers.roundrobin.backend import RoundRobinBackend
from newsletter.mail.providers.sendmail.backend import sendmail_from_url
from newsletter.mail.providers.ses.backend import ses_from_url
from newsletter.mail.providers.smtp.url import SMTP_SCHEMES, smtp_from_url

PLUGINS = "newsletter.mail_backends"  # the group of entry points; a name is a scheme, what it names a Maker

Maker = Callable[[SplitResult, Path], MailBackend]

_PORT = ("open", "describe", "check")


def backend_from_url(url: str, *, home: Path) -> MailBackend:
    """Make the provider that a mail URL names.

    :raises ConfigError: saying what is wrong with the URL, never its password
    """
    scheme = url.partition(":")[0].strip().lower()
    if scheme in _SEVERAL:
        inner = _inner_urls(scheme, url.partition(":")[2].strip())
        return _SEVERAL[scheme](tuple(backend_from_url(each, home=home) for each in inner))
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (reading it is what raises)
    except ValueError:
        raise ConfigError("the mail URL cannot be read: its host or port is malformed") from None
    make = _OURS.get(parts.scheme)
    if make is not None:
        return make(parts, home)
    plugin = find_plugin(PLUGINS, parts.scheme) if parts.scheme else None
    if plugin is None:
        known = (f"{each}://" for each in (*_OURS, *plugin_names(PLUGINS)))
        several = (f"{each}:(…|…)" for each in _SEVERAL)
        raise ConfigError(f"the mail URL begins with none of {', '.join((*known, *several))}")
    return _from_plugin(plugin, parts, home)


def _inner_urls(scheme: str, text: str) -> list[str]:
    """Cut `(URL|URL|…)` at the bars that stand in no inner parentheses."""
    form = f"the mail URL {scheme}: should be {scheme}:(URL|URL), with ( ) | of a password written as %28 %29 %7C"
    if not (text.startswith("(") and text.endswith(")")):
        raise ConfigError(form)
    found, depth = [""], 0
    for character in text[1:-1]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            raise ConfigError(form)
        if character == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += character
    if depth or len(found) < 2 or not all(each.strip() for each in found):
        raise ConfigError(form)
    return [each.strip() for each in found]


def _from_plugin(plugin: Plugin, parts: SplitResult, home: Path) -> MailBackend:
    make = plugin.load()
    said = f"the mail backend {parts.scheme}:// of {plugin.distribution}"
    if not callable(make):
        raise ConfigError(f"{said} is not made by a function")
    try:
        made = make(parts, home)
    except NewsletterError:
        raise
    except Exception as error:  # noqa: BLE001 (a stranger's code; its text may hold the password)
        raise ConfigError(f"{said} cannot be made ({type(error).__name__})") from None
    is_whole = all(callable(getattr(made, each, None)) for each in _PORT)
    if not is_whole or not isinstance(getattr(made, "name", None), str):
        raise ConfigError(f"{said} lacks something of the port: name, {', '.join(_PORT)}")
    return made  # type: ignore[no-any-return]


def _maildir(parts: SplitResult, home: Path) -> MailBackend:
    _refuse_options(parts)
    if parts.netloc:
        raise ConfigError("the mail URL of a maildir is maildir:// or maildir:///absolute/path, with three slashes")
    return MaildirBackend(Path(unquote(parts.path)) if parts.path.strip("/") else home / "mail")


def _without_place(make: Callable[[], MailBackend]) -> Maker:
    def make_it(parts: SplitResult, _home: Path) -> MailBackend:
        _refuse_options(parts)
        if parts.netloc or parts.path.strip("/"):
            raise ConfigError(f"the mail URL {parts.scheme}:// takes nothing after it")
        return make()

    return make_it


def _refuse_options(parts: SplitResult) -> None:
    if parts.query or parts.fragment:
        raise ConfigError(f"the mail URL {parts.scheme}:// takes nothing after ? or #")


def _anywhere(make: Callable[[SplitResult], MailBackend]) -> Maker:
    return lambda parts, _home: make(parts)


_OURS: dict[str, Maker] = {
    "maildir": _maildir,
    "console": _without_place(lambda: ConsoleBackend(sys.stdout)),
    "memory": _without_place(MemoryBackend),
    **dict.fromkeys(SMTP_SCHEMES, _anywhere(smtp_from_url)),
    "sendmail": _anywhere(sendmail_from_url),
    "ses": _anywhere(ses_from_url),
    "postmark": _anywhere(postmark_from_url),
    "mailgun": _anywhere(mailgun_from_url),
    "brevo": _anywhere(brevo_from_url),
}
_SEVERAL: dict[str, Callable[[tuple[MailBackend, ...]], MailBackend]] = {
    "failover": FailoverBackend,
    "roundrobin": RoundRobinBackend,
}
