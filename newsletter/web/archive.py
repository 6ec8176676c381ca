"""The archive: a newsletter's issues in a language, and each issue as it was mailed."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from newsletter.base.errors import NotFound
from newsletter.base.languages import LANGUAGES
from newsletter.db.database import Work
from newsletter.issues.archive import issues_of, page_of
from newsletter.newsletters import queries
from newsletter.newsletters.models import Newsletter
from newsletter.web.current import parts
from newsletter.web.frame import Alternate, page

ACCESS = "public"
blueprint = Blueprint("archive", __name__, url_prefix="/archive")


@blueprint.get("/<slug:newsletter>/<spoken:lang>/")
def index(newsletter: str, lang: str) -> ResponseReturnValue:
    with parts().database.reading() as work:
        found = _newsletter(work, newsletter, lang)
        return page(
            "archive/index.html",
            newsletters=[found],
            newsletter=found,
            alternates=_alternates(found, lang),
            issues=issues_of(work, newsletter_id=found.id, language=lang),
        )


@blueprint.get("/<slug:newsletter>/<spoken:lang>/<number:issue_id>")
def issue(newsletter: str, lang: str, issue_id: int) -> ResponseReturnValue:
    with parts().database.reading() as work:
        found = _newsletter(work, newsletter, lang)
        return page(
            "archive/issue.html",
            newsletters=[found],
            newsletter=found,
            alternates=_alternates(found, lang),
            issue=page_of(work, newsletter=found, language=lang, issue_id=issue_id),
            is_ours=_is_ours,
        )


def _newsletter(work: Work, slug: str, lang: str) -> Newsletter:
    """Return the newsletter.

    :raises NotFound: if there is none of that name, or it does not speak this language
    """
    found = queries.by_slug(work, slug)
    if lang not in found.languages:
        raise NotFound(f"“{slug}” does not come in “{lang}”", code="unknown_newsletter")
    return found


def _alternates(newsletter: Newsletter, lang: str) -> list[Alternate]:
    return [
        Alternate(LANGUAGES[code], url_for("archive.index", newsletter=newsletter.slug, lang=code))
        for code in newsletter.languages
        if code != lang and code in LANGUAGES
    ]


def _is_ours(url: str) -> bool:
    """Say whether a picture comes from this site: a page of ours loads nothing from another host."""
    ours, theirs = urlsplit(parts().links.base_url), urlsplit(url)
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
