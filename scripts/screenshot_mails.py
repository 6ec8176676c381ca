"""Draw sample mails as pictures: python scripts/screenshot_mails.py FOLDER.

French, Arabic and English; 800 and 375 pixels wide; light and dark. The parts are written beside the pictures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from playwright.sync_api import Browser, Route, sync_playwright

from newsletter.base.languages import LANGUAGES, language
from newsletter.base.resources import resource
from newsletter.mail.rendering import MailTemplates, Rendered

SITE = resource("templates").parent / "newsletter" / "demo" / "site"
ORIGIN = "https://lettre.ministere.example"
ATOM = "{http://www.w3.org/2005/Atom}"
MARKER = "a7k2" * 10
WIDTHS = (800, 375)
CHROMIUM = Path("/usr/bin/chromium")


def main(folder: Path) -> None:
    """Render the samples and draw each in every width and scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    templates = MailTemplates()
    with sync_playwright() as playwright:
        own = CHROMIUM if CHROMIUM.exists() else None
        browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        for code in LANGUAGES:
            for mail, context in samples(code).items():
                rendered = templates.render(mail, language=code, context=context)
                write(folder, f"{mail}.{code}", rendered)
                draw(browser, folder, f"{mail}.{code}", rendered)
                print(f"{mail}.{code}: {rendered.subject} ({len(rendered.html.encode()):,} octets)")
        browser.close()


def write(folder: Path, name: str, rendered: Rendered) -> None:
    (folder / f"{name}.txt").write_text(f"{rendered.subject}\n\n{rendered.text}", encoding="utf-8")
    (folder / f"{name}.html").write_text(rendered.html, encoding="utf-8")


def draw(browser: Browser, folder: Path, name: str, rendered: Rendered) -> None:
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 700}, device_scale_factor=1.5)
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.route("**/*", answer)
            page.set_content(rendered.html, wait_until="networkidle")
            page.screenshot(path=folder / f"{name}.{width}.{scheme}.png", full_page=True)
            page.close()


def answer(route: Route) -> None:
    """Serve the demo's pictures and nothing else: no sample reaches the network."""
    picture = SITE / "media" / route.request.url.rpartition("/")[2]
    if picture.suffix == ".png" and picture.exists():
        route.fulfill(path=picture)
    else:
        route.abort()


def samples(code: str) -> dict[str, Mapping[str, object]]:
    """Return a context for each mail, made of the demo's own texts."""
    told = json.loads((SITE / "newsletter.json").read_text(encoding="utf-8"))
    common: dict[str, object] = {
        "newsletter": {
            "name": told["names"][code],
            "institution": told["institution"][code],
            "postal_address": told["postal_address"][code],
            "cndp_reference": told["cndp_reference"],
            "accent": "#0B5D3B",
            "promise": told["promise"][code],
        },
        "home_url": f"{ORIGIN}/{code}/",
        "preferences_url": f"{ORIGIN}/p/{MARKER}",
    }
    names = [told["names"][code]]
    found: dict[str, Mapping[str, object]] = {
        "digest": common
        | {
            "date": date(2026, 11, 23),
            "topics": topics(told["topics"], code),
            "more": 3,
            "archive_url": f"{ORIGIN}/archive/hebdo/{code}/7",
            "unsubscribe_url": f"{ORIGIN}/u/{MARKER}",
        },
        "confirmation": common
        | {
            "newsletters": names,
            "confirm_url": f"{ORIGIN}/confirm/{MARKER}",
            "never_url": f"{ORIGIN}/never/{MARKER}",
            "days": 7,
        },
        "already_subscribed": common | {"newsletters": names, "hours": 1},
        "preferences_link": common | {"newsletters": names, "hours": 1},
        "change_address": common
        | {
            "address": "s…i@gmail.com",
            "change_address_url": f"{ORIGIN}/address/{MARKER}",
            "never_url": f"{ORIGIN}/never/{MARKER}",
            "hours": 24,
        },
        "address_changed": common
        | {"address": "s…a@menara.ma", "newsletters": names, "contact": "contact@lettre.ministere.example"},
        "address_in_use": common | {"address": "s…i@gmail.com", "newsletters": names, "hours": 1},
    }
    return found | {"digest_light": found["digest"]}


def topics(told: Sequence[Mapping[str, Any]], code: str) -> list[dict[str, object]]:
    """Return the demo's articles by topic, with one in another language among them."""
    own = sorted(articles(code), key=lambda each: not each["image_url"])  # one with a picture leads
    other = articles("fr" if code == "en" else "en")
    own.insert(1, next(each for each in other if each["slug"] == "services" and not each["image_url"]))
    of = {topic["slug"]: [each for each in own if each["slug"] == topic["slug"]][:3] for topic in told}
    return [{"name": topic["names"][code], "articles": of[topic["slug"]]} for topic in told]


def articles(code: str) -> list[dict[str, object]]:
    root = ET.parse(SITE / f"feed.{code}.xml").getroot()
    return [article(entry, code) for entry in root.iter(f"{ATOM}entry")]


def article(entry: ET.Element, code: str) -> dict[str, object]:
    links = {
        str(link.get("rel")): str(link.get("href"))
        for link in entry.iter(f"{ATOM}link")
        if link.get("hreflang") in {None, code}
    }
    return {
        "slug": entry.find(f"{ATOM}category").attrib["term"],  # type: ignore[union-attr]
        "title": entry.findtext(f"{ATOM}title"),
        "url": links["alternate"].replace("{{site}}", ORIGIN),
        "summary": entry.findtext(f"{ATOM}summary"),
        "date": datetime.fromisoformat(str(entry.findtext(f"{ATOM}published"))).date(),
        "image_url": links.get("enclosure", "").replace("{{site}}", ORIGIN),
        "image_alt": "zellij",
        "language": code,
        "direction": language(code).direction,
        "language_name": language(code).name,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
