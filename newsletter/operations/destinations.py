"""Where mail goes, as its URL says: kept on this machine, to a relay, or to a provider in another country."""

from __future__ import annotations

import re
from collections.abc import Sequence

KEPT_HERE = frozenset({"maildir", "console", "memory"})
TO_A_SERVER = frozenset({"smtp", "smtp+starttls", "smtps", "lmtp"})
THROUGH_THIS_MACHINE = frozenset({"sendmail"})
ABROAD = {"ses": "Amazon SES", "mailgun": "Mailgun", "postmark": "Postmark", "brevo": "Brevo"}
SEVERAL = frozenset({"failover", "roundrobin"})
_INNER_SCHEME = re.compile(r"[(|]\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)


def schemes_of(mail_url: str) -> Sequence[str]:
    """Return the schemes of the ways that mail may take, those inside `failover:` and `roundrobin:` for these."""
    scheme = mail_url.partition(":")[0].strip().lower()
    if scheme not in SEVERAL:
        return [scheme]
    inner = (each.lower() for each in _INNER_SCHEME.findall(mail_url))
    return [each for each in dict.fromkeys(inner) if each not in SEVERAL]


def stays_here(mail_url: str) -> bool:
    """Say whether no mail leaves this machine at all."""
    return KEPT_HERE.issuperset(schemes_of(mail_url))


def providers_abroad(mail_url: str) -> Sequence[str]:
    """Return the names of the providers in other countries that mail may be handed to."""
    return [ABROAD[scheme] for scheme in schemes_of(mail_url) if scheme in ABROAD]


def unknown_ways(mail_url: str) -> Sequence[str]:
    """Return the schemes of other distributions, of which we do not know where they lead."""
    ours = KEPT_HERE | TO_A_SERVER | THROUGH_THIS_MACHINE | ABROAD.keys()
    return [scheme for scheme in schemes_of(mail_url) if scheme not in ours]


def looked_at(mail_url: str) -> str:
    """Say what a check has shown that found nothing wrong."""
    schemes = set(schemes_of(mail_url))
    if schemes <= KEPT_HERE:
        return "nothing leaves this machine (NEWSLETTER_MAIL_URL)"
    if schemes <= THROUGH_THIS_MACHINE:
        return "the program is there; only a mail shows more (newsletter doctor --send-test ADDRESS)"
    return "it answers" if len(schemes) == 1 else "all of them are well"
