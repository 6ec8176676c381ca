"""`newsletter embed`: HTML to paste into the institution's site."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from command_line import SUNDAY, Command

ORIGIN = {"NEWSLETTER_EMBED_ORIGINS": "https://www.example.ma"}


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]

    def hidden(self) -> list[tuple[str, str]]:
        return [(each["name"], each["value"]) for each in self.all("input") if each.get("type") == "hidden"]


@pytest.fixture
def rich(newsletter: Command) -> Command:
    """The command after `init`, with a newsletter of two languages and topics."""
    newsletter("init")
    newsletter(
        *("newsletters", "add", "hebdo", "--name", "fr=L'hebdo <du> lundi", "--name", "ar=الأسبوعية", "--at", SUNDAY),
        *("--topic", "sante:fr=Santé,ar=الصحة", "--topic", "regions:fr=Régions,ar=الجهات", "--cndp", "D-000/2026"),
        *("--weekly", "monday@08:00", "--daily", "07:00"),
    )
    return newsletter


def test_the_snippet_is_a_form_that_leads_to_our_page(rich: Command) -> None:
    answer = rich("embed", "--newsletter", "hebdo", "--language", "fr")
    page = Elements(answer.stdout)
    (form,) = page.all("form")
    assert (form["action"], form["method"]) == ("http://127.0.0.1:8000/fr/subscriptions", "post")
    assert (form["lang"], form["dir"]) == ("fr", "ltr")
    assert page.hidden() == [("form", "embedded-1"), ("newsletters", "hebdo"), ("language", "fr")]
    assert "L&#39;hebdo &lt;du&gt; lundi" in answer.stdout
    for said in ("Vous pouvez consulter", "D-000/2026", "09-08", "contact@"):
        assert said in answer.stdout
    assert [each["src"] for each in page.all("script")] == ["http://127.0.0.1:8000/static/embed.js"]


def test_the_snippet_holds_no_style_and_no_script_of_its_own(rich: Command) -> None:
    page = Elements(rich("embed", "--newsletter", "hebdo", "--language", "ar").stdout)
    assert not page.all("style")
    for _, attributes in page.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert all(each.startswith("newsletter-") for each in attributes.get("class", "").split())
        assert attributes.get("id", "newsletter-").startswith("newsletter-")
    (form,) = page.all("form")
    assert (form["lang"], form["dir"]) == ("ar", "rtl")


def test_topics_and_a_frequency_are_asked_for_by_name(rich: Command) -> None:
    chosen = ("--topics", "sante", "--frequency", "daily", "--no-script")
    page = Elements(rich("embed", "--newsletter", "hebdo", "--language", "fr", *chosen).stdout)
    assert page.hidden()[3:] == [("frequency", "daily"), ("shown_topics", "hebdo"), ("topics.hebdo", "sante")]
    assert not page.all("script")


def test_a_frame_shows_our_page(rich: Command) -> None:
    answer = rich("embed", "--newsletter", "hebdo", "--language", "fr", "--frame", **ORIGIN)
    (frame,) = Elements(answer.stdout).all("iframe")
    assert frame["src"] == "http://127.0.0.1:8000/fr/embed?newsletters=hebdo"
    assert "hebdo" in frame["title"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--newsletter", "none", "--language", "fr"), "there is no newsletter “none”"),
        (("--newsletter", "hebdo", "--language", "tlh"), "unknown language “tlh”"),
        (("--newsletter", "hebdo", "--language", "en"), "“hebdo” has no language “en”: it has fr, ar"),
        (("--newsletter", "hebdo", "--language", "en", "--frame"), "“hebdo” has no language “en”"),
        (("--newsletter", "hebdo", "--language", "fr", "--topics", "sante,sport"), "“hebdo” has no topic “sport”"),
        (("--newsletter", "hebdo", "--language", "fr", "--frequency", "monthly"), "no frequency “monthly”"),
    ],
)
def test_what_there_is_not_is_told(rich: Command, arguments: tuple[str, ...], said: str) -> None:
    answer = rich("embed", *arguments, expect=65)
    assert said in answer.stderr
    assert not answer.stdout


@pytest.mark.parametrize("more", [(), ("--frame",)])
def test_the_site_that_must_be_set_is_named(rich: Command, more: tuple[str, ...]) -> None:
    asked = ("embed", "--newsletter", "hebdo", "--language", "fr", *more)
    assert "NEWSLETTER_EMBED_ORIGINS" in rich(*asked).stderr
    assert not rich(*asked, **ORIGIN).stderr
    assert not rich(*asked[:5], "--no-script").stderr
