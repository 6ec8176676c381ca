"""What a person agrees to by signing up: for what the address serves, who answers for it, which rights there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from newsletter.newsletters.models import Newsletter
from newsletter.web.frame import letterhead
from newsletter.web.speech import Said, gettext, said

LAW = "09-08"


@dataclass(frozen=True, slots=True)
class Rights:
    """To whom one turns, and under which reference; `institution` where there are several."""

    contact: str
    reference: str
    institution: Said | None


def consent(newsletters: Sequence[Newsletter]) -> str:
    """Write all that the form says beside its button, as the register keeps it."""
    return " ".join([agreement(newsletters), *(_sentence(each) for each in rights(newsletters))])


def agreement(newsletters: Sequence[Newsletter]) -> str:
    """Write what a person agrees to by pressing the button."""
    institution = letterhead(newsletters)
    if institution is None:
        return gettext(
            "By subscribing you agree to receive the newsletters chosen. Your address serves for nothing else."
        )
    return gettext(
        "By subscribing you agree to receive the newsletters chosen. Your address serves for nothing else. "
        "Responsible: %(institution)s.",
        institution=institution.text,
    )


def rights(newsletters: Sequence[Newsletter]) -> list[Rights]:
    """Return to whom one turns about these newsletters, each once."""
    owner = attrgetter("owner")
    groups = [list(group) for _, group in groupby(sorted(newsletters, key=owner), key=owner)]
    return [
        Rights(
            contact=group[0].owner,
            reference=next((each.cndp_reference for each in group if each.cndp_reference), ""),
            institution=said(group[0].institution) if len(groups) > 1 else None,
        )
        for group in groups
    ]


def _sentence(about: Rights) -> str:
    text = gettext(
        "You may see, correct or erase what is kept about you, or object to its use (law %(law)s): "
        "write to %(contact)s.",
        law=LAW,
        contact=about.contact,
    )
    if about.institution is not None:
        text = f"{about.institution.text} — {text}"
    if about.reference:
        text += " " + gettext("CNDP reference: %(reference)s", reference=about.reference)
    return text
