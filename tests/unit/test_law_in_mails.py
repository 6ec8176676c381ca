"""Law 09-08 on paper: each mail says who is responsible, what the address serves for, which rights there are."""

from __future__ import annotations

import re

import pytest
from rendering_samples import LANGUAGES, MAILS, SITE, Context, context, templates

from newsletter.base.resources import resource

RIGHTS = {
    "fr": ("ne sert qu’à vous écrire", "y accéder", "corriger", "effacer"),
    "ar": ("لا يُستعمل عنوانكم إلا لمراسلتكم", "الولوج", "تصحيحه", "حذفه"),
    "en": ("serves only to write to you", "see it", "correct it", "erased"),
}
FOLDERS = sorted(path.name for path in (resource("templates") / "emails").iterdir() if not path.name.startswith("_"))
ISOLATES = str.maketrans("", "", "\u2066\u2067\u2068\u2069\u200e\u200f")


def words(text: str) -> str:
    """Return a text as it is read: without marks of direction, each space one, the hyphen an ordinary one."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).translate(ISOLATES).replace("\u2011", "-").split())


def context_of(mail: str, language: str) -> Context:
    """Return what a mail is rendered with; those about an address share theirs."""
    if mail in MAILS:
        return context(mail, language)
    return context("preferences_link", language) | {
        "newsletters": ["L’hebdo"],
        "address": "s…i@gmail.com",
        "contact": "contact@example.ma",
        "change_address_url": f"{SITE}/address/token",
        "preferences_url": f"{SITE}/preferences/token",
        "never_url": f"{SITE}/never/token",
        "hours": 24,
    }


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mail", FOLDERS)
def test_both_parts_say_what_the_law_asks(mail: str, language: str) -> None:
    given = context_of(mail, language)
    rendered, newsletter = templates().render(mail, language=language, context=given), given["newsletter"]
    for part in (rendered.text, rendered.html):
        said = words(part)
        for each in (newsletter["institution"], newsletter["cndp_reference"], "09-08", *RIGHTS[language]):
            assert each in said, (mail, language, each)
        for each in newsletter["postal_address"].replace("،", ",").split(","):
            assert each.strip() in said.replace("،", ","), (mail, language, each)
