"""A newsletter's logo: which pictures can be one, and keeping it."""

from __future__ import annotations

from sqlalchemy import delete

from newsletter.base.errors import InvalidInput
from newsletter.db.database import Work
from newsletter.newsletters.models import Logo, Newsletter

LARGEST = 100_000  # octets
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_SVG_BEGINNINGS = (b"<svg", b"<?xml", b"<!--", b"<!doctype svg")


def logo(work: Work, *, newsletter: Newsletter) -> bytes | None:
    """Return the octets of a newsletter's logo, if it has one."""
    found = work.session.get(Logo, newsletter.id) if newsletter.logo_type else None
    return None if found is None else found.content


def put_logo(work: Work, *, newsletter: Newsletter, content: bytes | None) -> None:
    """Give a newsletter this logo in place of the one it has; None takes that away. Safe to repeat.

    :raises InvalidInput: if it is no picture that pages can show, or too large
    """
    newsletter.logo_type = None if content is None else media_type_of(content)
    work.session.execute(delete(Logo).where(Logo.newsletter_id == newsletter.id))
    if content is not None:
        work.session.add(Logo(newsletter_id=newsletter.id, content=content))
    work.session.flush()


def media_type_of(content: bytes) -> str:
    """Return the media type of a picture, told from its first octets.

    :raises InvalidInput: if it is neither SVG, PNG, JPEG nor WebP, or too large
    """
    if len(content) > LARGEST:
        raise InvalidInput(f"the logo has {len(content):,} octets: at most {LARGEST:,} are taken")
    for signature, media_type in _SIGNATURES:
        if content.startswith(signature):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    beginning = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:2000].lower()
    if beginning.startswith(_SVG_BEGINNINGS) and b"<svg" in beginning:
        return "image/svg+xml"
    raise InvalidInput("the logo is neither an SVG, a PNG, a JPEG nor a WebP picture")
