"""Taking articles in, giving them topics, pairing translations, withdrawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from newsletter.articles import queries
from newsletter.articles.feeds import Entry
from newsletter.articles.models import Article, Availability, Group, Source
from newsletter.base.errors import Conflict, InvalidInput
from newsletter.db.database import Work
from newsletter.newsletters import queries as newsletter_queries
from newsletter.newsletters.models import Newsletter


@dataclass(frozen=True, slots=True)
class Ingested:
    """What taking a feed in changed."""

    new: int
    corrected: int
    left_out: int


def add_source(work: Work, *, newsletter: Newsletter, url: str, topic: str | None = None) -> Source:
    """Add a place where articles come from; entries that name no topic get `topic` (default: the first).

    :raises InvalidInput: if the newsletter has no such topic
    :raises Conflict: if this source is there already
    """
    slugs = {each.slug: each.id for each in newsletter.topics}
    if topic is not None and topic not in slugs:
        raise InvalidInput(f"newsletter “{newsletter.slug}” has no topic “{topic}”: it has {', '.join(slugs)}")
    source = Source(
        newsletter_id=newsletter.id,
        topic_id=slugs[topic] if topic else newsletter.topics[0].id,
        url=url,
        created_at=work.now,
    )
    if work.session.scalar(select(Source.id).where(Source.newsletter_id == newsletter.id, Source.url == url)):
        raise Conflict(f"{url} is a source of “{newsletter.slug}” already")
    try:
        with work.session.begin_nested():
            work.session.add(source)
    except IntegrityError:
        raise Conflict(f"{url} is a source of “{newsletter.slug}” already") from None
    return source


def ingest(work: Work, *, source_id: int, entries: Sequence[Entry], left_out: int = 0) -> Ingested:
    """Take a feed's entries in: new ones become available now, changed ones are corrected. Safe to repeat and at once.

    An entry's language must be one that the newsletter speaks, else it is left out.
    """
    source = queries.source(work, source_id, lock=True)
    newsletter = newsletter_queries.by_id(work, source.newsletter_id)
    usable = [entry for entry in entries if entry.language in newsletter.languages]
    known = queries.known_of_source(work, source.id, [entry.external_id for entry in usable])
    corrected = sum(_correct(article, entry) for entry in usable if (article := known.get(entry.external_id)))
    # Oldest first, so that sequences follow publication where a feed is read for the first time.
    fresh = [entry for entry in reversed(usable) if entry.external_id not in known]
    articles = _add(work, source, fresh)
    _pair_translations(work, list(zip(articles, fresh, strict=True)))
    topics = _topics_by_category(newsletter)
    _make_available(
        work,
        [
            (article, topic)
            for article, entry in zip(articles, fresh, strict=True)
            for topic in _topics_of(entry, topics, source.topic_id)
        ],
    )
    source.last_success_at = work.now
    source.last_error = None
    return Ingested(len(articles), corrected, left_out + len(entries) - len(usable))


def note_failure(work: Work, *, source_id: int, cause: str) -> None:
    """Write down that a source could not be read."""
    source = queries.source(work, source_id)
    source.last_error = cause[:500]
    source.last_error_at = work.now


def add_topics(work: Work, *, article: Article, topic_ids: Iterable[int]) -> None:
    """Make an article available under further topics from now on. Safe to repeat."""
    present = set(queries.topics_of(work, article.id))
    _make_available(work, [(article, topic) for topic in dict.fromkeys(topic_ids) if topic not in present])


def pair(work: Work, *, article: Article, with_article: Article) -> None:
    """Make two articles versions of one piece: who was given either has been given it. Safe to repeat."""
    if article.group_id != with_article.group_id:
        for version in queries.of_group(work, article.group_id):
            version.group_id = with_article.group_id
    work.session.flush()


def unpair(work: Work, *, article: Article) -> None:
    """Make an article a piece of its own; whoever lacks one of the two pieces can be given it from now on.

    :raises Conflict: if it has no other version
    """
    others = [each for each in queries.of_group(work, article.group_id) if each.id != article.id]
    if not others:
        raise Conflict("this article has no other version")
    group = Group()
    work.session.add(group)
    work.session.flush()
    article.group_id = group.id
    work.session.flush()
    _carry(work, [article, *others])


def withdraw(work: Work, *, article: Article) -> None:
    """Take an article back: no mail composed from now on holds it. Safe to repeat."""
    article.withdrawn_at = article.withdrawn_at or work.now
    work.session.flush()


def reinstate(work: Work, *, article: Article) -> None:
    """Publish a withdrawn article again, for whoever was not given it. Safe to repeat."""
    if article.withdrawn_at is not None:
        article.withdrawn_at = None
        work.session.flush()
        _carry(work, [article])


def _add(work: Work, source: Source, entries: Sequence[Entry]) -> list[Article]:
    groups = [Group() for _ in entries]
    work.session.add_all(groups)
    work.session.flush()
    articles = [
        Article(
            group_id=group.id,
            source_id=source.id,
            external_id=entry.external_id[:1000],
            url=entry.link,
            language=entry.language,
            title=entry.title,
            summary=entry.summary,
            image_url=entry.image_url or "",
            image_alt=entry.image_alt[:500],
            published_at=entry.published_at,
            created_at=work.now,
        )
        for group, entry in zip(groups, entries, strict=True)
    ]
    work.session.add_all(articles)
    work.session.flush()
    return articles


def _correct(article: Article, entry: Entry) -> bool:
    """Take over what the source says now, and say whether readers would see a difference."""
    said = {
        "url": entry.link,
        "title": entry.title,
        "summary": entry.summary,
        "image_url": entry.image_url or "",
        "image_alt": entry.image_alt[:500],
    }
    changed = {name: value for name, value in said.items() if getattr(article, name) != value}
    for name, value in changed.items():
        setattr(article, name, value)
    if changed:
        article.version += 1
    return bool(changed)


def _pair_translations(work: Work, added: Sequence[tuple[Article, Entry]]) -> None:
    """Join new articles with the versions that they name, or that name them."""
    wanted = {url for _, entry in added for _, url in entry.translations}
    known = queries.by_urls(work, wanted)
    for article, entry in added:
        for _, url in entry.translations:
            other = known.get(url)
            if other is not None and other.language != article.language:
                pair(work, article=article, with_article=other)


def _topics_by_category(newsletter: Newsletter) -> dict[str, int]:
    """Return the topics by every word that a feed may use for them: the slug and each name, case folded."""
    return {
        word.casefold(): topic.id
        for topic in reversed(newsletter.topics)
        for word in (topic.slug, *topic.names.values())
    }


def _topics_of(entry: Entry, topics: Mapping[str, int], default: int) -> list[int]:
    named = [topics[word.casefold()] for word in entry.categories if word.casefold() in topics]
    return list(dict.fromkeys(named)) or [default]


def _make_available(work: Work, pairs: Sequence[tuple[Article, int]], *, carried: bool = False) -> None:
    """Append availabilities. Takes the counter, so call it last: it is locked until the work ends."""
    if not pairs:
        return
    for sequence, (article, topic_id) in zip(newsletter_queries.next_sequences(work, len(pairs)), pairs, strict=True):
        work.session.add(
            Availability(
                sequence=sequence,
                article_id=article.id,
                topic_id=topic_id,
                language=article.language,
                carried=carried,
                created_at=work.now,
            )
        )
    work.session.flush()


def _carry(work: Work, articles: Sequence[Article]) -> None:
    pairs = [(article, topic) for article in articles for topic in queries.topics_of(work, article.id)]
    _make_available(work, pairs, carried=True)
