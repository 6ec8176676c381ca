"""Questions about newsletters, and the counter's two movements."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select, update
from sqlalchemy.orm import selectinload

from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.newsletters.models import Counter, Newsletter, Topic


def current_sequence(work: Work) -> int:
    """Return the sequence of the newest availability that can be seen."""
    return work.session.execute(select(Counter.value)).scalar_one()


def next_sequences(work: Work, count: int) -> range:
    """Take the next `count` sequences; the counter stays locked until this work ends, so take them last."""
    last = work.session.execute(
        update(Counter).values(value=Counter.value + count).returning(Counter.value)
    ).scalar_one()
    return range(last - count + 1, last + 1)


def all_newsletters(work: Work) -> Sequence[Newsletter]:
    """Return every newsletter with its topics and rhythms."""
    return work.session.scalars(_complete().order_by(Newsletter.id)).all()


def by_slug(work: Work, slug: str) -> Newsletter:
    """Return a newsletter.

    :raises NotFound: if there is none of that name
    """
    found = work.session.scalars(_complete().where(Newsletter.slug == slug)).one_or_none()
    if found is None:
        raise NotFound(f"there is no newsletter “{slug}”", code="unknown_newsletter")
    return found


def by_id(work: Work, newsletter_id: int) -> Newsletter:
    """Return a newsletter with its topics and rhythms.

    :raises NotFound: if there is none of that number
    """
    found = work.session.scalars(_complete().where(Newsletter.id == newsletter_id)).one_or_none()
    if found is None:
        raise NotFound(f"there is no newsletter {newsletter_id}", code="unknown_newsletter")
    return found


def topics(work: Work) -> dict[int, Topic]:
    """Return all topics by their number."""
    return {topic.id: topic for topic in work.session.scalars(select(Topic))}


def _complete() -> Select[Newsletter]:
    return select(Newsletter).options(selectinload(Newsletter.topics), selectinload(Newsletter.rhythms))
