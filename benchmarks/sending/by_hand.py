"""The loop that one would write by hand, a measured process of its own: Jinja, EmailMessage, smtplib, SQLAlchemy.

Each reader is read from the database, each mail rendered, built and sent over one connection; nothing is written down.
"""

from __future__ import annotations

import email.policy
import json
import smtplib
import sys
from dataclasses import asdict
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from jinja2 import Environment, Template
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.sending import content
from benchmarks.sending.ground import settings
from benchmarks.sending.measure import Meter
from benchmarks.sending.reference import NotInlined, Reference, as_template, reference
from newsletter.bootstrap import Parts, build
from newsletter.mail.rendering import Rendered
from newsletter.subscribers.models import Subscriber


class Loop:
    """What the loop holds from mail to mail.

    It renders our own templates anew for each mail, and leaves their style sheet in the head. Flat, its template is the
    issue itself, translated and with the sheet inlined, so that Jinja fills in little more than articles and links: the
    least that such a loop can cost.
    """

    def __init__(self, parts: Parts, *, encoding: str, is_flat: bool) -> None:
        self._parts = parts
        self._encoding = encoding
        self._issue: Reference = reference(parts)
        self._flat: tuple[Template, Template] | None = None
        self._templates = parts.templates if is_flat else NotInlined()
        rendered = self._rendered(1)
        self._subject = rendered.subject
        if is_flat:
            links = self._issue.links(parts, 1)
            self._flat = (
                self._template(rendered.text, links, is_html=False),
                self._template(rendered.html, links, is_html=True),
            )
            if self._bodies(1) != (rendered.text, rendered.html):
                raise RuntimeError("the flat template does not render what the real one does")

    def _template(self, rendered: str, links: dict[str, object], *, is_html: bool) -> Template:
        environment = Environment(autoescape=is_html, keep_trailing_newline=True)
        return environment.from_string(as_template(rendered, self._issue.articles, links, is_html=is_html))

    def _rendered(self, reader_id: int) -> Rendered:
        return self._issue.rendered(self._parts, reader_id, templates=self._templates)

    def _bodies(self, reader_id: int) -> tuple[str, str]:
        if self._flat is None:
            rendered = self._rendered(reader_id)
            return rendered.text, rendered.html
        values = self._issue.links(self._parts, reader_id) | {"articles": self._issue.articles}
        text, html = self._flat
        return text.render(values), html.render(values)

    def mail(self, reader: Subscriber) -> EmailMessage:
        """Make one reader's mail."""
        text, html = self._bodies(reader.id)
        way_out = self._issue.links(self._parts, reader.id)["unsubscribe_url"]
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"] = f"وزارة المثال <{content.SLUG}@{content.DOMAIN}>"
        mail["To"] = reader.address
        mail["Subject"] = self._subject
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=content.DOMAIN)
        mail["List-Unsubscribe"] = f"<{way_out}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(text, cte=self._encoding)
        mail.add_alternative(html, subtype="html", cte=self._encoding)
        return mail


def main() -> None:
    order = json.loads(sys.argv[1])
    parts = build(settings(order["url"], "memory://", home=Path(order["home"])))
    loop = Loop(parts, encoding=order["encoding"], is_flat=order["is_flat"])
    print("ready", flush=True)
    sys.stdin.readline()
    meter = Meter()
    sent = 0
    with smtplib.SMTP("127.0.0.1", order["port"]) as server, Session(parts.database.engine) as session:
        if order["starttls"]:
            server.starttls()
        for reader in session.scalars(select(Subscriber).order_by(Subscriber.id).limit(order["mails"])):
            sender = f"bounce+{reader.id}@{content.DOMAIN}"
            server.send_message(loop.mail(reader), sender, [str(reader.address)], ["BODY=8BITMIME"])
            sent += 1
    print(json.dumps(asdict(meter.stop(sent))), flush=True)


if __name__ == "__main__":
    main()
