"""The pages that only the demo has: the fictional ministry's site, and the mailbox of every mail that was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, render_template, send_from_directory
from jinja2 import StrictUndefined
from markupsafe import Markup

from newsletter.base.errors import NotFound
from newsletter.base.languages import LANGUAGES, direction_of
from newsletter.base.resources import resource
from newsletter.demo import mailbox, sample


@dataclass(slots=True)
class SampleSite:
    """The fictional site: its address, and the week it is in."""

    address: str
    week: int = 1


def create_demo_app(site: SampleSite, *, maildir: Path) -> Flask:
    """Build the application that is mounted at /demo while the demo runs, on loopback."""
    app = Flask("newsletter.demo", template_folder=str(resource("templates") / "web" / "demo"), static_folder=None)
    app.jinja_env.undefined = StrictUndefined
    _add_site(app, site)
    _add_mailbox(app, maildir)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; frame-src 'self'",
        )
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return app


def _add_site(app: Flask, site: SampleSite) -> None:
    @app.get("/site/<language>/")
    @app.get("/site/<language>/<slug>")
    def article(language: str, slug: str = "") -> str:
        if language not in sample.LANGUAGES:
            abort(404)
        published = [
            each
            for week in range(site.week, 0, -1)
            for each in sample.articles(site=site.address, week=week)
            if each.language == language
        ]
        found = next((each for each in published if slug and each.url.endswith(f"/{language}/{slug}")), None)
        if slug and found is None:
            abort(404)
        return render_template(
            "site.html",
            language=language,
            direction=direction_of(language),
            article=found,
            # Our own bundled text, not anybody's input.
            content=Markup(found.content) if found else "",  # noqa: S704
            articles=published,
            names={code: each.name for code, each in LANGUAGES.items()},
        )

    @app.get("/site/feed.<language>.xml")
    def feed(language: str) -> Response:
        if language not in sample.LANGUAGES:
            abort(404)
        return Response(sample.feed_bytes(language, site=site.address, week=site.week), mimetype="application/atom+xml")

    @app.get("/site/media/<name>")
    def media(name: str) -> Response:
        return send_from_directory(sample.FOLDER / "media", name)


def _add_mailbox(app: Flask, maildir: Path) -> None:
    def find(mail_id: str) -> mailbox.Mail:
        try:
            return mailbox.mail(maildir, mail_id)
        except NotFound:
            abort(404)

    @app.get("/mail/")
    def mails() -> str:
        return render_template("mailbox.html", mails=list(reversed(mailbox.mails(maildir))))

    @app.get("/mail/<mail_id>")
    def mail(mail_id: str) -> str:
        return render_template("mail.html", mail=find(mail_id))

    @app.get("/mail/<mail_id>/html")
    def html(mail_id: str) -> Response:
        response = Response(find(mail_id).html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; sandbox allow-popups "
            "allow-top-navigation-by-user-activation allow-forms"
        )
        return response
