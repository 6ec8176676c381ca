"""A language that nobody speaks: every message of ours with accents, longer, and between ⟦ and ⟧."""

from __future__ import annotations

from pathlib import Path

from newsletter.base.catalogue import PLACE
from newsletter.base.languages import DOMAINS
from scripts.catalogues import Identity, messages_of

_ACCENTS = str.maketrans("aceginosuyACEIOU", "åçéğîñöšûýÅÇÉÎÖÛ")
_HEBREW = str.maketrans({chr(letter): chr(0x05D0 + (letter % 27)) for letter in range(ord("a"), ord("z") + 1)})
OPENED, CLOSED = "⟦", "⟧"


def pseudo(text: str, *, is_rtl: bool = False) -> str:
    """Translate a message: its places stay, its letters are others, it is a third longer and in brackets."""
    said = PLACE.split(text)  # words and places by turns
    table, places = _HEBREW if is_rtl else _ACCENTS, said[1::2]
    words = [(each.lower() if is_rtl else each).translate(table) for each in said[::2]]
    joined = words[0] + "".join(f"%({place})s{word}" for place, word in zip(places, words[1:], strict=True))
    longer = "·" * (len("".join(words)) // 3)
    return f"{OPENED}{joined}{longer}{CLOSED}"


def write_language(folder: Path, code: str, *, name: str, direction: str, locale: str, also: str = "") -> None:
    """Write the two catalogues of the made-up language; `also` are further headers."""
    folder.mkdir(parents=True, exist_ok=True)
    for domain in DOMAINS:
        head = (
            f'msgid ""\nmsgstr ""\n"Language: {code}\\n"\n"X-Name: {name}\\n"\n"X-Direction: {direction}\\n"\n'
            f'"X-Locale: {locale}\\n"\n{also}"Content-Type: text/plain; charset=utf-8\\n"\n'
            '"Plural-Forms: nplurals=3; plural=(n==0 ? 0 : n==1 ? 1 : 2);\\n"\n'
        )
        entries = (_entry(identity, is_rtl=direction == "rtl") for identity in messages_of(domain))
        (folder / f"{domain}.{code}.po").write_text("\n".join([head, *entries]), encoding="utf-8")


def _entry(identity: Identity, *, is_rtl: bool) -> str:
    said = [_quoted(pseudo(text, is_rtl=is_rtl)) for text in identity]
    if len(identity) == 1:
        return f"msgid {_quoted(identity[0])}\nmsgstr {said[0]}\n"
    ids = f"msgid {_quoted(identity[0])}\nmsgid_plural {_quoted(identity[1])}\n"
    return f"{ids}msgstr[0] {said[1]}\nmsgstr[1] {said[0]}\nmsgstr[2] {said[1]}\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def said_outside(text: str) -> str:
    """Return what stands in no brackets; they may stand in each other."""
    depth, outside = 0, []
    for letter in text:
        depth += letter == OPENED
        if depth == 0:
            outside.append(letter)
        depth -= letter == CLOSED
        assert depth >= 0, text
    assert depth == 0, text
    return "".join(outside)
