"""The lanes of what answers a person's request: confirmations and notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.base.errors import NewsletterError
from newsletter.base.languages import named
from newsletter.base.links import CONFIRM_FOR, PREFERENCES_FOR, Links
from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed, Refused, Settled, Uncomposable
from newsletter.deliveries.letters import Letter, letterhead, message_to, request_letter, transactional_headers
from newsletter.mail.headers import encode_date
from newsletter.mail.port import Message
from newsletter.mail.rendering import MailTemplates
from newsletter.mail.template import compile_message, marker
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Purpose
from newsletter.subscribers.queries import closed_among
from newsletter.subscriptions import queries
from newsletter.subscriptions.models import Request, RequestKind, SubscriptionState

_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Key:
    """What mails of a kind differ by, apart from the person's own links."""

    kind: RequestKind
    newsletter_id: int
    language: str
    names: tuple[str, ...]


class RequestLane:
    """Composes confirmation, already_subscribed and preferences_link; each is rendered once and then filled."""

    def __init__(self, *, links: Links, templates: MailTemplates) -> None:
        self._links = links
        self._templates = templates
        self._letters: dict[_Key, Letter] = {}

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
        """Compose the mail of each row; refuse closed addresses, and who answered before the mail left."""
        closed = closed_among(work, {row.subscriber_id for row in rows}, purpose=Purpose.CONFIRMATION)
        requests = queries.requests(work, {row.occasion for row in rows})
        date = encode_date(work.now)
        return [
            Refused(row.id, "suppressed")
            if row.subscriber_id in closed
            else self._message(work, row, requests.get(row.occasion), date)
            for row in rows
        ]

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        """Nothing follows: a request waits for the person."""

    def _message(
        self, work: Work, row: Claimed, request: Request | None, date: bytes
    ) -> Message | Refused | Uncomposable:
        if request is None or request.subscriber.address is None:
            return Uncomposable(row.id, "request_erased")
        if request.answered_at is not None:
            return Refused(row.id, "answered")
        try:
            return message_to(
                row,
                letter=self._letter(work, request),
                address=request.subscriber.address,
                needs_smtputf8=request.subscriber.needs_smtputf8,
                bounce=self._links.bounce_token(row.id).encode(),
                blanks=self._blanks(work, request),
                date=date,
            )
        except NewsletterError as error:
            return Uncomposable(row.id, f"cannot_compose: {error.code}"[:60])

    def _letter(self, work: Work, request: Request) -> Letter:
        names = self._names(work, request)
        key = _Key(request.kind, request.newsletter_id, request.language, names)
        if key not in self._letters:
            if len(self._letters) >= _KEPT:
                self._letters.clear()
            self._letters[key] = self._render(request, names)
        return self._letters[key]

    def _render(self, request: Request, names: Sequence[str]) -> Letter:
        head = letterhead(request.newsletter, request.language)
        widths = self._widths(request)
        markers = {name: marker(name, width) for name, width in widths.items()}
        context: dict[str, object] = {
            "language": request.language,
            "newsletter": newsletter_context(request.newsletter, request.language),
            "home_url": self._links.home(request.language),
            "newsletters": list(names),
        }
        if request.kind is RequestKind.CONFIRMATION:
            context |= {
                "confirm_url": self._links.confirm_with(markers["confirm"]),
                "never_url": self._links.never_with(markers["never"]),
                "days": CONFIRM_FOR.days,
            }
        else:
            context |= {
                "preferences_url": self._links.preferences_with(markers["preferences"]),
                "hours": int(PREFERENCES_FOR.total_seconds() // 3600),
            }
        rendered = self._templates.render(str(request.kind), language=request.language, context=context)
        headers = transactional_headers(head, subject=rendered.subject, kind=str(request.kind))
        return request_letter(head, self._links, compile_message(headers, rendered.text, rendered.html, widths))

    def _widths(self, request: Request) -> dict[str, int]:
        if request.kind is RequestKind.CONFIRMATION:
            return {"confirm": self._links.confirm_width, "never": self._links.never_width}
        return {"preferences": self._links.preferences_width}

    def _blanks(self, work: Work, request: Request) -> dict[str, bytes]:
        if request.kind is RequestKind.CONFIRMATION:
            return {
                "confirm": self._links.confirm_token(request.id, at=work.now).encode(),
                "never": self._links.never_token(request.id).encode(),
            }
        return {"preferences": self._links.preferences_token(request.subscriber_id, at=work.now).encode()}

    def _names(self, work: Work, request: Request) -> tuple[str, ...]:
        """Return the newsletters that this mail speaks of: what is to be confirmed, or what is subscribed to."""
        is_confirmation = request.kind is RequestKind.CONFIRMATION
        state = SubscriptionState.PENDING if is_confirmation else SubscriptionState.ACTIVE
        found = queries.of_subscriber(work, request.subscriber_id, state)
        names = tuple(named(each.newsletter.names, [request.language]) for each in found)
        return names or (named(request.newsletter.names, [request.language]),)


def newsletter_context(newsletter: Newsletter, language: str) -> dict[str, str]:
    """Return what every mail's template may say of the newsletter."""
    return {
        "name": named(newsletter.names, [language]),
        "institution": named(newsletter.institution, [language]),
        "postal_address": named(newsletter.postal_address, [language]),
        "promise": named(newsletter.promises, [language]),
        "cndp_reference": newsletter.cndp_reference,
        "accent": newsletter.accent,
    }
