"""What stories begin with: a newsletter, readers who confirmed, mails as their programs see them."""

from __future__ import annotations

import email.policy
from collections.abc import Sequence
from datetime import time
from email.message import EmailMessage
from email.parser import BytesParser

from newsletter.base.addresses import read_address
from newsletter.bootstrap import Parts
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic, add_newsletter
from newsletter.newsletters.models import Frequency, Newsletter
from newsletter.subscribers.queries import by_address
from newsletter.subscriptions import actions, queries
from newsletter.subscriptions.models import Request, Subscription

NAMES = {"fr": "L’hebdo", "ar": "الأسبوعية", "en": "The Weekly"}
INSTITUTION = {"fr": "Ministère de l’Exemple", "ar": "وزارة المثال", "en": "Ministry of Examples"}


def make_newsletter(parts: Parts, *, slug: str = "hebdo", languages: Sequence[str] = ("fr", "ar", "en")) -> Newsletter:
    """Add a newsletter with two topics that comes weekly (Monday, 08:00) and daily (07:00)."""
    with parts.database.work() as work:
        return add_newsletter(
            work,
            new=NewNewsletter(
                slug=slug,
                names=NAMES,
                institution=INSTITUTION,
                postal_address={"fr": "Rabat", "ar": "الرباط", "en": "Rabat"},
                cndp_reference="D-000/2026",
                mail_domain="lettre.example.ma",
                languages=languages,
                topics=[
                    NewTopic("services", {"fr": "Services", "ar": "الخدمات", "en": "Services"}),
                    NewTopic("regions", {"fr": "Régions", "ar": "الجهات", "en": "Regions"}),
                ],
                rhythms=[
                    NewRhythm(Frequency.WEEKLY, at=time(8), weekday=0),
                    NewRhythm(Frequency.DAILY, at=time(7)),
                ],
            ),
        )


def ask(parts: Parts, address: str, *, languages: Sequence[str] = ("fr",), slug: str = "hebdo") -> None:
    """Take the first step for somebody."""
    with parts.database.work() as work:
        actions.request_subscription(
            work,
            sign_up=actions.SignUp(
                address=address,
                newsletters=[slug],
                languages=languages,
                frequency=Frequency.WEEKLY,
                page_language=languages[0],
                text_shown="I agree.",
            ),
            address_key=parts.address_key,
        )


def make_reader(parts: Parts, address: str, *, languages: Sequence[str] = ("fr",), slug: str = "hebdo") -> Subscription:
    """Sign somebody up and let them confirm, without sending the confirmation."""
    ask(parts, address, languages=languages, slug=slug)
    with parts.database.work() as work:
        person = by_address(work, read_address(address))
        assert person is not None
        request = work.session.query(Request).filter_by(subscriber_id=person.id).order_by(Request.id.desc()).first()
        assert request is not None
        token = parts.links.confirm_token(request.id, at=work.now)
        actions.confirm(work, token=token, links=parts.links, text_shown="Confirm.")
        return queries.of_subscriber(work, person.id)[-1]


def parsed(data: bytes) -> EmailMessage:
    """Read a mail as a mail program does."""
    return BytesParser(policy=email.policy.default).parsebytes(data)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())
