"""Questions about sources, articles and availabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from newsletter.articles.models import Article, Availability, Source
from newsletter.base.errors import NotFound
from newsletter.db.database import Work
from newsletter.db.parameters import in_chunks


def sources(work: Work) -> Sequence[Source]:
    """Return every source with its newsletter, oldest first."""
    return work.session.scalars(select(Source).options(joinedload(Source.newsletter)).order_by(Source.id)).all()


def source(work: Work, source_id: int, *, lock: bool = False) -> Source:
    """Return a source; with `lock`, one work at a time takes from it.

    :raises NotFound: if there is none of that number
    """
    wanted = select(Source).where(Source.id == source_id)
    found = work.session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if found is None:
        raise NotFound(f"there is no source {source_id}")
    return found


def article(work: Work, article_id: int) -> Article:
    """Return an article.

    :raises NotFound: if there is none of that number
    """
    found = work.session.get(Article, article_id)
    if found is None:
        raise NotFound(f"there is no article {article_id}")
    return found


def articles(work: Work, article_ids: Iterable[int]) -> dict[int, Article]:
    """Return articles by their number."""
    return {
        row.id: row
        for some in in_chunks(article_ids)
        for row in work.session.scalars(select(Article).where(Article.id.in_(some)))
    }


def known_of_source(work: Work, source_id: int, external_ids: Iterable[str]) -> dict[str, Article]:
    """Return the articles of a source that are known already, by their external id."""
    return {
        row.external_id: row
        for some in in_chunks(external_ids)
        for row in work.session.scalars(
            select(Article).where(Article.source_id == source_id, Article.external_id.in_(some))
        )
    }


def by_urls(work: Work, urls: Iterable[str]) -> dict[str, Article]:
    """Return articles by their address, the oldest where several share one."""
    return {
        row.url: row
        for some in in_chunks(urls)
        for row in work.session.scalars(select(Article).where(Article.url.in_(some)).order_by(Article.id.desc()))
    }


def of_group(work: Work, group_id: int) -> Sequence[Article]:
    """Return the versions of a group, oldest first."""
    return work.session.scalars(select(Article).where(Article.group_id == group_id).order_by(Article.id)).all()


def topics_of(work: Work, article_id: int) -> Sequence[int]:
    """Return the topics under which an article can be given, in the order in which they came."""
    rows = work.session.scalars(
        select(Availability.topic_id).where(Availability.article_id == article_id).order_by(Availability.sequence)
    )
    return list(dict.fromkeys(rows))


def recent(work: Work, *, limit: int) -> Sequence[Article]:
    """Return the newest articles first."""
    return work.session.scalars(select(Article).order_by(Article.id.desc()).limit(limit)).all()
