"""The digest lane: who must no longer get an issue, its bytes, and the watermarks that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from newsletter.base.errors import NewsletterError
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed, Settled, Uncomposable
from newsletter.deliveries.letters import list_unsubscribe, message_to
from newsletter.deliveries.models import GIVEN_STATES, OPEN_STATES
from newsletter.issues import actions, queries
from newsletter.issues.compiling import CompiledEdition, compile_edition
from newsletter.mail.port import Message
from newsletter.mail.rendering import MailTemplates
from newsletter.subscribers.models import Purpose
from newsletter.subscribers.queries import closed_among

_KEPT = 64


class DigestLane:
    """Composes digests by filling editions that are compiled once per process."""

    def __init__(self, *, links: Links, templates: MailTemplates) -> None:
        self._links = links
        self._templates = templates
        self._compiled: dict[int, CompiledEdition] = {}

    def refused(self, work: Work, rows: Sequence[Claimed]) -> Mapping[int, str]:
        """Refuse readers who left since the planning, and addresses that were closed."""
        ended = queries.ended_among(work, [row.subscription_id for row in rows if row.subscription_id is not None])
        closed = closed_among(work, {row.subscriber_id for row in rows}, purpose=Purpose.NEWS)
        reasons = {row.id: "suppressed" for row in rows if row.subscriber_id in closed}
        return reasons | {row.id: "ended" for row in rows if row.subscription_id in ended}

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Uncomposable]:
        """Compose the mail of each row."""
        addresses = queries.addresses(work, {row.subscriber_id for row in rows})
        return [self._message(work, row, addresses.get(row.subscriber_id)) for row in rows]

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        """Move the watermark of whoever was, or may have been, given the issue; mend what waits to go again."""
        queries.raise_watermarks(work, [result.row for result in results if result.state in GIVEN_STATES])
        waiting = {result.row.content_id for result in results if result.state in OPEN_STATES}
        actions.mend(work, edition_ids=[number for number in waiting if number is not None])

    def _message(self, work: Work, row: Claimed, address: tuple[str, bool] | None) -> Message | Uncomposable:
        if address is None or row.content_id is None or row.subscription_id is None:
            return Uncomposable(row.id, "reader_erased")
        try:
            edition = self._edition(work, row.content_id)
            token = self._links.unsubscribe_token(row.subscription_id, row.batch_id)
            return message_to(
                row,
                address=address[0],
                needs_smtputf8=address[1],
                compiled=edition.message,
                blanks={
                    "unsubscribe": token,
                    "manage": self._links.manage_token(row.subscription_id, row.batch_id),
                },
                head=edition.head,
                links=self._links,
                now=work.now,
                more_headers=[list_unsubscribe(self._links, edition.head, token)],
            )
        except NewsletterError as error:
            return Uncomposable(row.id, f"cannot_compose: {error.code}"[:60])

    def _edition(self, work: Work, edition_id: int) -> CompiledEdition:
        if edition_id not in self._compiled:
            if len(self._compiled) >= _KEPT:
                self._compiled.pop(next(iter(self._compiled)))
            edition = queries.edition(work, edition_id)
            self._compiled[edition_id] = compile_edition(work, edition, links=self._links, templates=self._templates)
        return self._compiled[edition_id]
