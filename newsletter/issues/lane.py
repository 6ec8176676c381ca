"""The digest lane: who must no longer get an issue, its bytes, and the watermarks that follow."""

from __future__ import annotations

from collections.abc import Sequence

from newsletter.base.errors import NewsletterError
from newsletter.base.links import Links
from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed, Refused, Settled, Uncomposable
from newsletter.deliveries.letters import Letter, message_to
from newsletter.deliveries.models import GIVEN_STATES, OPEN_STATES
from newsletter.issues import actions, queries
from newsletter.issues.brakes import brake
from newsletter.issues.compiling import compile_edition
from newsletter.issues.press import Press
from newsletter.mail.headers import encode_date
from newsletter.mail.port import Message
from newsletter.mail.rendering import MailTemplates

_KEPT = 64


class DigestLane:
    """Composes digests by filling editions that are compiled once per process."""

    def __init__(self, *, links: Links, templates: MailTemplates) -> None:
        self._links = links
        self._press = Press(links=links, templates=templates)
        self._letters: dict[int, Letter] = {}

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
        """Compose the mail of each row; refuse readers who left since the planning, and addresses that were closed."""
        found = queries.recipients(work, [row.subscription_id for row in rows if row.subscription_id is not None])
        date = encode_date(work.now)
        return [self._message(work, row, found.get(row.subscription_id or 0), date) for row in rows]

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        """Move the watermark of whoever was, or may have been, given the issue; mend what waits to go again.

        An issue that is refused too often pauses itself.
        """
        queries.raise_watermarks(work, [result.row for result in results if result.state in GIVEN_STATES])
        waiting = {result.row.content_id for result in results if result.state in OPEN_STATES}
        actions.mend(work, edition_ids=[number for number in waiting if number is not None])
        brake(work, results)

    def _message(
        self, work: Work, row: Claimed, reader: queries.Recipient | None, date: bytes
    ) -> Message | Refused | Uncomposable:
        if reader is None or not reader.is_active:
            return Refused(row.id, "ended")
        if reader.is_closed or reader.address is None:
            return Refused(row.id, "suppressed")
        if row.content_id is None or row.subscription_id is None:
            return Uncomposable(row.id, "nothing_to_send")
        try:
            letter = self._letters.get(row.content_id) or self._compile(work, row.content_id)
            unsubscribe, manage, bounce = self._links.digest_tokens(row.id, row.subscription_id, row.batch_id)
            return message_to(
                row,
                letter=letter,
                address=reader.address,
                needs_smtputf8=reader.needs_smtputf8,
                bounce=bounce,
                blanks={"unsubscribe": unsubscribe, "manage": manage},
                date=date,
            )
        except NewsletterError as error:
            return Uncomposable(row.id, f"cannot_compose: {error.code}"[:60])

    def _compile(self, work: Work, edition_id: int) -> Letter:
        if len(self._letters) >= _KEPT:
            self._letters.pop(next(iter(self._letters)), None)
        edition = queries.edition(work, edition_id)
        letter = compile_edition(work, edition, press=self._press)
        self._letters[edition_id] = letter
        return letter
