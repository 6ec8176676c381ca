"""The lanes of what answers a person's request: confirmations and notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from newsletter.base.addresses import masked
from newsletter.base.errors import NewsletterError
from newsletter.base.languages import named
from newsletter.base.links import CHANGE_ADDRESS_FOR, CONFIRM_FOR, PREFERENCES_FOR, Links
from newsletter.db.database import Work
from newsletter.deliveries.lanes import Claimed, Refused, Settled, Uncomposable
from newsletter.deliveries.letters import Letter, letterhead, message_to, request_letter, transactional_headers
from newsletter.mail.headers import encode_date
from newsletter.mail.port import Message
from newsletter.mail.rendering import MailTemplates
from newsletter.mail.template import compile_message, marker
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Purpose
from newsletter.subscribers.queries import closed_hashes
from newsletter.subscriptions import queries
from newsletter.subscriptions.address_change import newsletters_at
from newsletter.subscriptions.models import Request, RequestKind, Subscription, SubscriptionState

IN_USE = "address_in_use"  # what a new address is told that has subscriptions of its own
HOUR = timedelta(hours=1)
_KEPT = 256
_LINKS = {
    str(RequestKind.CONFIRMATION): ("confirm", "never"),
    str(RequestKind.ALREADY_SUBSCRIBED): ("preferences",),
    str(RequestKind.PREFERENCES_LINK): ("preferences",),
    str(RequestKind.CHANGE_ADDRESS): ("change_address", "never"),
    str(RequestKind.ADDRESS_CHANGED): (),
    IN_USE: ("preferences",),
}


@dataclass(frozen=True, slots=True)
class _Content:
    """What mails differ by, apart from the links: `asker` is the masked address that the person has or had."""

    mail: str
    newsletter_id: int
    language: str
    names: tuple[str, ...]
    asker: str = ""


class RequestLane:
    """Composes the mail of each kind of request; those that show no address are rendered once and then filled."""

    def __init__(self, *, links: Links, templates: MailTemplates) -> None:
        self._links = links
        self._templates = templates
        self._letters: dict[_Content, Letter] = {}

    def compose(self, work: Work, rows: Sequence[Claimed]) -> Sequence[Message | Refused | Uncomposable]:
        """Compose the mail of each row; refuse closed addresses, and who answered before the mail left."""
        requests = queries.requests(work, {row.occasion for row in rows})
        hashes = {_hash_of(request) for request in requests.values()}
        closed = closed_hashes(work, hashes, purpose=Purpose.CONFIRMATION)
        date = encode_date(work.now)
        return [self._message(work, row, requests.get(row.occasion), closed, date) for row in rows]

    def settled(self, work: Work, results: Sequence[Settled]) -> None:
        """Nothing follows: a request waits for the person."""

    def _message(
        self, work: Work, row: Claimed, request: Request | None, closed: set[str], date: bytes
    ) -> Message | Refused | Uncomposable:
        if request is None or (request.kind in _ELSEWHERE and request.address is None):
            return Uncomposable(row.id, "request_erased")
        if request.subscriber.address is None or _hash_of(request) in closed:
            return Refused(row.id, "suppressed")
        if request.answered_at is not None:
            return Refused(row.id, "answered")
        address = request.address or request.subscriber.address
        about = self._about(work, request)
        try:
            content = _content(request, about)
            return message_to(
                row,
                letter=self._letter(request, content),
                address=address,
                needs_smtputf8=not address.isascii(),
                bounce=self._links.bounce_token(row.id).encode(),
                blanks=self._blanks(work, request, content, about),
                date=date,
            )
        except NewsletterError as error:
            return Uncomposable(row.id, f"cannot_compose: {error.code}"[:60])

    def _about(self, work: Work, request: Request) -> Sequence[Subscription]:
        """Return what this mail speaks of: what is to be confirmed, or what its address is subscribed to."""
        if request.kind is RequestKind.CHANGE_ADDRESS:
            return newsletters_at(work, _hash_of(request))
        is_confirmation = request.kind is RequestKind.CONFIRMATION
        state = SubscriptionState.PENDING if is_confirmation else SubscriptionState.ACTIVE
        return queries.of_subscriber(work, request.subscriber_id, state)

    def _letter(self, request: Request, content: _Content) -> Letter:
        if content.asker:  # nobody else gets this one
            return self._render(request, content)
        if content not in self._letters:
            if len(self._letters) >= _KEPT:
                self._letters.clear()
            self._letters[content] = self._render(request, content)
        return self._letters[content]

    def _render(self, request: Request, content: _Content) -> Letter:
        head = letterhead(request.newsletter, content.language)
        widths = self._widths(content)
        markers = {name: marker(name, width) for name, width in widths.items()}
        context: dict[str, object] = {
            "language": content.language,
            "newsletter": newsletter_context(request.newsletter, content.language),
            "home_url": self._links.home(content.language),
            "newsletters": list(content.names),
            "address": content.asker,
            "contact": request.newsletter.owner,
        }
        rendered = self._templates.render(
            content.mail, language=content.language, context=context | self._link_context(markers)
        )
        headers = transactional_headers(head, subject=rendered.subject, kind=content.mail)
        return request_letter(head, self._links, compile_message(headers, rendered.text, rendered.html, widths))

    def _link_context(self, markers: dict[str, str]) -> dict[str, object]:
        """Return the links of a mail with their markers, and how long the first of them is good."""
        links, context = self._links, dict[str, object]()
        if "never" in markers:
            context["never_url"] = links.never_with(markers["never"])
        if "confirm" in markers:
            context |= {"confirm_url": links.confirm_with(markers["confirm"]), "days": CONFIRM_FOR.days}
        if "preferences" in markers:
            context |= {
                "preferences_url": links.preferences_with(markers["preferences"]),
                "hours": PREFERENCES_FOR // HOUR,
            }
        if "change_address" in markers:
            url, hours = (
                links.change_address_with(markers["change_address"]),
                CHANGE_ADDRESS_FOR.total_seconds() // 3600,
            )
            context |= {"change_address_url": url, "hours": int(hours)}
        return context

    def _widths(self, content: _Content) -> dict[str, int]:
        widths = {
            "confirm": self._links.confirm_width,
            "never": self._links.never_width,
            "preferences": self._links.preferences_width,
            "change_address": self._links.change_address_width,
        }
        return {name: widths[name] for name in _LINKS[content.mail]}

    def _blanks(
        self, work: Work, request: Request, content: _Content, about: Sequence[Subscription]
    ) -> dict[str, bytes]:
        # Who opens preferences out of a mail is who reads at the address that it went to.
        reader = about[0].subscriber_id if content.mail == IN_USE else request.subscriber_id
        made = {
            "confirm": lambda: self._links.confirm_token(request.id, at=work.now),
            "never": lambda: self._links.never_token(request.id),
            "preferences": lambda: self._links.preferences_token(reader, at=work.now),
            "change_address": lambda: self._links.change_address_token(request.id, at=work.now),
        }
        return {name: made[name]().encode() for name in _LINKS[content.mail]}


_ELSEWHERE = (RequestKind.CHANGE_ADDRESS, RequestKind.ADDRESS_CHANGED)  # these mails go to another address


def _hash_of(request: Request) -> str:
    """Return the keyed hash of the address that a request's mail goes to."""
    own = request.subscriber.address_hash
    return request.address_hash or own if request.address is not None else own


def _content(request: Request, about: Sequence[Subscription]) -> _Content:
    names = tuple(named(each.newsletter.names, [request.language]) for each in about)
    shows_address = request.kind in _ELSEWHERE
    return _Content(
        mail=IN_USE if request.kind is RequestKind.CHANGE_ADDRESS and about else str(request.kind),
        newsletter_id=request.newsletter_id,
        language=request.language,
        names=names or (named(request.newsletter.names, [request.language]),),
        asker=masked(request.subscriber.address or "") if shows_address else "",
    )


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
