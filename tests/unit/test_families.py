"""Families: every address belongs to one, and the words that the command line takes are theirs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from newsletter.base.families import FAMILIES, LONGEST_NAME, OTHERS, domains_of, family_of
from newsletter.deliveries.models import EVERY_FAMILY


def test_every_domain_is_of_its_own_family_only() -> None:
    domains = [domain for family in FAMILIES for domain in domains_of(family)]
    assert len(domains) == len(set(domains))
    for family in FAMILIES:
        for domain in domains_of(family):
            assert family_of(f"salma@{domain}") == family


def test_a_domain_is_read_as_mail_servers_do() -> None:
    assert family_of("Salma@GMail.Com") == "gmail"
    assert family_of('"a@b"@hotmail.fr') == "outlook"
    for other in ("salma@notgmail.com", "salma@gmail.com.example.org", "salma@mail.gmail.com"):
        assert family_of(other) == OTHERS


@given(st.text())
def test_any_text_has_a_family_that_is_known(text: str) -> None:
    assert family_of(text) in FAMILIES


def test_names_fit_into_the_database_and_none_means_all() -> None:
    assert len(FAMILIES) == len(set(FAMILIES))
    assert all(family == family.lower() and 0 < len(family) <= LONGEST_NAME for family in FAMILIES)
    assert EVERY_FAMILY not in FAMILIES
    assert domains_of(OTHERS) == domains_of("no such family") == ()
