"""Families of recipient domains: one company's mail servers stand behind each, and one set of limits."""

from __future__ import annotations

OTHERS = "others"
LONGEST_NAME = 20
_DOMAINS = {
    "gmail": ("gmail.com", "googlemail.com"),
    "outlook": (
        "outlook.com",
        "outlook.fr",
        "outlook.sa",
        "hotmail.com",
        "hotmail.fr",
        "hotmail.co.uk",
        "hotmail.es",
        "live.com",
        "live.fr",
        "live.ma",
        "msn.com",
    ),
    "yahoo": ("yahoo.com", "yahoo.fr", "yahoo.co.uk", "yahoo.es", "ymail.com", "rocketmail.com", "aol.com"),
    "apple": ("icloud.com", "me.com", "mac.com"),
    "proton": ("proton.me", "protonmail.com", "pm.me"),
    "orange": ("orange.fr", "wanadoo.fr"),
    "free": ("free.fr",),
    "menara": ("menara.ma", "iam.ma"),
}
FAMILIES = (*_DOMAINS, OTHERS)
_FAMILY_OF = {domain: family for family, domains in _DOMAINS.items() for domain in domains}


def family_of(address: str) -> str:
    """Return the family of an address's domain; all that we do not know are one."""
    return _FAMILY_OF.get(address.rpartition("@")[2].lower(), OTHERS)


def domains_of(family: str) -> tuple[str, ...]:
    """Return the domains that we know of a family."""
    return _DOMAINS.get(family, ())
