"""Catalogues of messages: brings them up to what code and templates say, checks them, begins new ones.

    python scripts/catalogues.py check              what is missing or obsolete in each catalogue
    python scripts/catalogues.py extract [CODE …]   bring these catalogues up, or all; translations are kept
    python scripts/catalogues.py scaffold CODE      begin a language: its two files, with nothing translated yet

docs/languages.md has the steps.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Message
from babel.messages.extract import extract as extract_code
from babel.messages.plurals import get_plural
from jinja2.ext import babel_extract

import newsletter
from newsletter.base.catalogue import SCAFFOLD, Catalogue, forms, ids, mistake_in, read_catalogue, read_messages
from newsletter.base.errors import NewsletterError
from newsletter.base.languages import CATALOGUES, DOMAINS
from newsletter.base.resources import resource

KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2), "translate_number": (1, 2)}
PACKAGE = Path(newsletter.__path__[0])
TEMPLATES = resource("templates")
JINJA = {"pages": {"silent": "false"}, "mails": {"silent": "false", "trimmed": "true"}}  # as each is rendered
DEMO = TEMPLATES / "web" / "demo"  # shown on the machine of whoever tries it, in English

Identity = tuple[str, ...]  # the message, and its plural if it counts


@cache
def messages_of(domain: str) -> tuple[Identity, ...]:
    """Return what this domain says: by file, by line, each once."""
    found = dict.fromkeys(identity for path in sorted(_sources(domain)) for identity in _messages_in(path, domain))
    counting = {identity[0] for identity in found if len(identity) > 1}  # gettext keeps them as one message
    return tuple(identity for identity in found if len(identity) > 1 or identity[0] not in counting)


def _sources(domain: str) -> Iterator[Path]:
    if domain == "mails":
        yield from (path for path in (TEMPLATES / "emails").rglob("*") if path.suffix in {".html", ".txt"})
        return
    yield from (path for path in (TEMPLATES / "web").rglob("*.html") if DEMO not in path.parents)
    yield from (PACKAGE / "web").rglob("*.py")
    yield PACKAGE / "cli" / "describing.py"  # the topic of a newsletter that names none stands on its pages


def _messages_in(path: Path, domain: str) -> Iterator[Identity]:
    with path.open("rb") as file:
        if path.suffix == ".py":
            found = [message for _, message, _, _ in extract_code("python", file, keywords=KEYWORDS)]
        else:
            found = [message for _, _, message, _ in babel_extract(file, tuple(KEYWORDS), (), JINJA[domain])]
    for message in found:  # None where what is translated was marked elsewhere
        identity = (message,) if isinstance(message, str) else tuple(text for text in message or () if text)
        if identity:
            yield identity


def in_catalogue(path: Path) -> dict[Identity, Message]:
    """Return the messages of a .po file by what they translate."""
    return {ids(message): message for message in read_messages(path) if message.id}


def is_translated(message: Message | None) -> bool:
    return message is not None and any(forms(message)) and not message.fuzzy


def missing_in(catalogue: Catalogue) -> list[Identity]:
    """Return what is said and not translated."""
    found = in_catalogue(catalogue.path)
    return [identity for identity in messages_of(catalogue.domain) if not is_translated(found.get(identity))]


def obsolete_in(catalogue: Catalogue) -> list[Identity]:
    """Return what is translated and nowhere said."""
    return sorted(in_catalogue(catalogue.path).keys() - set(messages_of(catalogue.domain)))


def twice_in(path: Path) -> list[str]:
    """Return the messages that stand in a file more than once: only the last of them counts."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("msgid ")]
    return sorted({line for line in lines if lines.count(line) > 1})


def write(path: Path, head: str, domain: str, kept: Mapping[Identity, Message], *, plurals: int) -> None:
    """Write a catalogue: its head as it is, then every message in its order, with the translations that are kept."""
    entries = (_entry(identity, kept.get(identity), plurals) for identity in messages_of(domain))
    path.write_text("\n\n".join([head.strip(), *entries]) + "\n", encoding="utf-8")


def update(path: Path) -> None:
    """Bring a catalogue up; what it says of nothing any more is left out."""
    catalogue = read_catalogue(path)
    head, _, _ = path.read_text(encoding="utf-8").partition("\n\n")
    write(path, head, catalogue.domain, in_catalogue(path), plurals=read_messages(path).num_plurals)


def scaffold(folder: Path, code: str, *, name: str, direction: str, locale: str, plurals: str) -> list[Path]:
    """Begin a language; files that exist are not touched.

    :raises ConfigError: if the headers are not what a catalogue needs
    """
    made = []
    folder.mkdir(parents=True, exist_ok=True)
    for domain in DOMAINS:
        path = folder / f"{domain}.{code}.po"
        if path.exists():
            continue
        headers = {"Language": code, "X-Name": name, "X-Direction": direction, "X-State": SCAFFOLD}
        headers |= {"X-Locale": locale} if locale != code else {}
        headers |= {"MIME-Version": "1.0", "Content-Type": "text/plain; charset=utf-8"}
        headers |= {"Content-Transfer-Encoding": "8bit", "Plural-Forms": plurals}
        lines = [f"# What {domain} say, in {name}: not translated yet.", 'msgid ""', 'msgstr ""']
        path.write_text(
            "\n".join([*lines, *(f'"{key}: {value}\\n"' for key, value in headers.items()), ""]), encoding="utf-8"
        )
        try:
            read_catalogue(path)
        except NewsletterError:
            path.unlink()
            raise
        update(path)
        made.append(path)
    return made


def _entry(identity: Identity, message: Message | None, plurals: int) -> str:
    comments = [f"# {comment}" for comment in message.user_comments] if message else []
    texts = forms(message) if message else ("",)
    if len(identity) == 1:
        return "\n".join([*comments, f"msgid {_quoted(identity[0])}", f"msgstr {_quoted(texts[0])}"])
    said = [*texts, *[""] * plurals][:plurals]
    lines = [f"msgid {_quoted(identity[0])}", f"msgid_plural {_quoted(identity[1])}"]
    return "\n".join([*comments, *lines, *(f"msgstr[{form}] {_quoted(text)}" for form, text in enumerate(said))])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _all(folder: Path, codes: Iterable[str]) -> list[Catalogue]:
    wanted = set(codes)
    found = [read_catalogue(path) for path in sorted(folder.glob("*.po"))]
    return [catalogue for catalogue in found if not wanted or catalogue.code in wanted]


def _check(folder: Path, codes: Iterable[str]) -> int:
    status = 0
    for catalogue in _all(folder, codes):
        path, messages = catalogue.path, in_catalogue(catalogue.path)
        missing, obsolete, twice = missing_in(catalogue), obsolete_in(catalogue), twice_in(path)
        plurals = read_messages(path).num_plurals
        mistakes = [(each, cause) for each in messages.values() if (cause := mistake_in(each, plurals=plurals))]
        state = "a scaffold" if catalogue.is_scaffold else "offered"
        print(f"{path.name}: {state}, {len(messages_of(catalogue.domain)) - len(missing)} translated,", end=" ")
        print(f"{len(missing)} missing, {len(obsolete)} obsolete")
        for kind, listed in (("missing", () if catalogue.is_scaffold else missing), ("obsolete", obsolete)):
            print(*(f"  {kind}: {identity[0]}\n" for identity in listed), sep="", end="")
        print(*(f"  twice: {line}\n" for line in twice), sep="", end="")
        print(*(f"  line {each.lineno}: {cause}\n" for each, cause in mistakes), sep="", end="")
        if obsolete or twice or mistakes or (missing and not catalogue.is_scaffold):
            status = 1
    return status


def _extract(folder: Path, codes: Iterable[str]) -> int:
    for catalogue in _all(folder, codes):
        obsolete = obsolete_in(catalogue)
        update(catalogue.path)
        print(f"{catalogue.path.name}: {len(messages_of(catalogue.domain))} messages,", end=" ")
        print(f"{len(missing_in(catalogue))} to translate, {len(obsolete)} left out")
        print(*(f"  left out: {identity[0]}\n" for identity in obsolete), sep="", end="")
    return 0


def _of_cldr(code: str) -> tuple[str, str, str]:
    """Return name, direction and rule of plurals as CLDR has them."""
    try:
        locale = Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return "", "ltr", "nplurals=2; plural=(n != 1);"
    name = (locale.get_language_name(code) or "").capitalize()
    plural = get_plural(code)
    return name, locale.text_direction, f"nplurals={plural.num_plurals}; plural={plural.plural_expr};"


def _begin(folder: Path, arguments: argparse.Namespace) -> int:
    (code,) = arguments.codes
    locale = arguments.locale or code
    name, direction, plurals = _of_cldr(locale)
    chosen = (arguments.name or name, arguments.direction or direction, arguments.plurals or plurals)
    if not chosen[0]:
        print(f"What is {code} called by those who speak it? Say it with --name, and --locale of a related one.")
        return 64
    for path in scaffold(folder, code, name=chosen[0], direction=chosen[1], locale=locale, plurals=chosen[2]):
        print(f"{path}: {len(in_catalogue(path))} messages to translate")
    return 0


def main(words: list[str] | None = None) -> int:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description="Brings catalogues up, checks them, begins new ones.")
    parser.add_argument("command", choices=("check", "extract", "scaffold"))
    parser.add_argument("codes", nargs="*", metavar="CODE", help="which languages (default: all)")
    parser.add_argument("--folder", type=Path, default=CATALOGUES, help="where the .po files are (default: ours)")
    parser.add_argument("--name", help="the language's name in itself")
    parser.add_argument("--direction", choices=("ltr", "rtl"))
    parser.add_argument("--locale", help="whose names of days, months and languages are used (default: CODE)")
    parser.add_argument("--plurals", help="a rule such as «nplurals=2; plural=(n != 1);»")
    arguments = parser.parse_intermixed_args(words)
    if arguments.command == "scaffold" and not re.fullmatch("[a-z]{2,3}", " ".join(arguments.codes)):
        parser.error("say one language: two or three letters, as in ISO 639")
    try:
        if arguments.command == "scaffold":
            return _begin(arguments.folder, arguments)
        return (_check if arguments.command == "check" else _extract)(arguments.folder, arguments.codes)
    except NewsletterError as error:
        print(error.message, file=sys.stderr)
        return 78


if __name__ == "__main__":
    sys.exit(main())
