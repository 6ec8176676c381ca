"""Turns a mail's templates and plain data into its three parts; once per edition, never per reader.

templates/emails/<mail>/{subject.txt,body.txt,body.html} share the sheets in templates/emails/_base/. Each body.html
tells at its top what its context holds; all of them need:

    newsletter     {name, institution, postal_address, cndp_reference (may be ""), accent (#hex), promise (may be "")}
    home_url       the institution's sign-up page in this language

Contexts are plain: mappings, sequences, strings, numbers, dates. A missing key raises, a key too many is ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup, escape

from newsletter.base import languages
from newsletter.base.errors import InvalidInput
from newsletter.base.languages import LRI, PDI, RLI
from newsletter.base.resources import resource

WIDTH = 72  # columns of the text part
CONTRAST = 4.5  # WCAG 2.2 AA for text of any size
DARK_CONTRAST = 6.0  # small coloured letters on dark paper need more than the minimum
PAPER, DARK_PAPER = "#FBFAF7", "#16181A"
LRM, RLM = "\u200e", "\u200f"

Direction = Literal["ltr", "rtl"]

_BLANKS = re.compile(r"[ \t\r\n\f\v\x1c-\x1f\x85\u2028\u2029]+")  # not the non-breaking ones: French needs them
_CUT, _CUT_HTML = "\ufdd0", "<!--cut-->"  # a character that is none (Unicode 23.7), so no text holds it
_LINE_ENDS = re.compile(rf"[\n{_CUT}]{{3,}}")
_FOREIGN = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), ord(_CUT)))
_LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff\u2d30-\u2d7f"
# What an Arabic line would turn round or tear apart: Latin runs and addresses, numbers with a sign or a percentage,
# telephone numbers, references of three groups such as 2-26-530.
_LTR_RUNS = re.compile(
    rf"[\d#@]*[{_LATIN}](?:[^\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]*[{_LATIN}\d/+#])?"
    r"|(?<![\w.,])[+\-\u2212\u00b1]\d(?:[\d .,/\u00a0\u202f-]*\d)?(?:[ \u00a0\u202f]?%)?"
    r"|\b\d+(?:[.,]\d+)?[ \u00a0\u202f]?%|\b\d+(?:[-/]\d+){2,}\b|\b0\d(?:[ .\u00a0\u202f-]?\d\d){4}\b"
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a mail: the subject on one line, the text with LF line ends, the HTML with its styles inlined."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """The parts of a mail, the text and the HTML cut where its templates say that they may be."""

    subject: str
    text: Sequence[str]
    html: Sequence[str]


class MailTemplates:
    """The mails of one folder of templates, compiled once per process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._environment = _environment(folder or resource("templates") / "emails")
        self._inliner = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)

    def render(self, mail: str, *, language: str, context: Mapping[str, object]) -> Rendered:
        """Render the mail called `mail` for the readers of `language`.

        The markers at the end of its addresses come out as they went in, in the text and in the HTML.

        :raises InvalidInput: if we do not speak the language, or the accent is no colour
        :raises jinja2.UndefinedError: if the context lacks a key
        """
        pieces = self.render_pieces(mail, language=language, context=cleaned(context))
        return Rendered(pieces.subject, "".join(pieces.text), "".join(pieces.html))

    def render_pieces(self, mail: str, *, language: str, context: Mapping[str, object]) -> Pieces:
        """Render a mail as `render` does, of a context that is `cleaned`, and leave its pieces apart.

        White space may be added at the end of a piece; in a text, in front of its last line end.
        """
        spoken = languages.language(language)
        data = {**context, "language": spoken.code, "direction": spoken.direction, "cut": _CUT}
        data["subject"] = subject = self.subject(mail, language=language, context=data)
        text = _LINE_ENDS.sub(_one_blank_line, self.part(f"{mail}/body.txt", data)).strip("\n") + "\n"
        html = self._inlined(self.part(f"{mail}/body.html", data))
        return Pieces(subject, text.split(_CUT), html.split(_CUT_HTML))

    def subject(self, mail: str, *, language: str, context: Mapping[str, object]) -> str:
        """Render the subject alone, of a context that is `cleaned`."""
        spoken = languages.language(language)
        data = {**context, "language": spoken.code, "direction": spoken.direction}
        return one_line(self.part(f"{mail}/subject.txt", data))

    def part(self, template: str, context: Mapping[str, object]) -> str:
        """Render one template of a context that is `cleaned` and names language and direction."""
        return self._environment.get_template(template).render(context)

    def _inlined(self, html: str) -> str:
        inlined = self._inliner.inline(html)
        head, opening, rest = inlined.partition("<head><style>")
        if not opening:
            return inlined
        # The inliner puts what cannot be inlined first; the charset must stand within the first 1,024 bytes.
        kept, _, rest = rest.partition("</style>")
        return f"{head}<head>{rest.replace('</head>', f'<style>{kept.strip()}</style></head>', 1)}"


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default_for_string=False),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "cut": _cut,
        "isolate": _isolate,
        "ltr": _ltr,
        "palette": palette,
        "runs": runs,
        "spoken_date": _spoken_date,
        "spoken_language": _spoken_language,
        "underlined": _underlined,
        "wrap": _wrap,
    }
    return environment


# The reader's language is part of each context, so that one environment serves all languages.


@pass_context
def _gettext(context: Context, message: str) -> str:
    return languages.translations(context["language"]).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return languages.translations(context["language"]).ngettext(singular, plural, number)


# Filters take what a missing key leaves behind, too: str() of it is what raises.


@pass_context
def _spoken_date(context: Context, day: date, *, with_year: bool = False) -> str:
    str(day)
    return languages.spoken_date(day, context["language"], with_year=with_year)


@pass_context
def _spoken_language(context: Context, code: str, own_name: str) -> str:
    """Name a language in the reader's own (anglais, الإنجليزية); `own_name` is for one that CLDR does not know."""
    written, own = str(code), str(own_name)
    name = languages.language_name(written, spoken=context["language"])
    return own if name == written else name


@pass_context
def _isolate(context: Context, value: object) -> str:
    """Keep a name or number from mixing with the line around it: a span in HTML, Unicode isolates in text."""
    text = str(value)
    own, around = direction_of_text(text), context["direction"]
    if own == around and not _mixed(text):
        return escape(text) if context.eval_ctx.autoescape else text
    return _isolated(context, text, own)


@pass_context
def _ltr(context: Context, value: object) -> str:
    """Isolate what is always written from left to right: an address, a reference number."""
    text = str(value)
    if context["direction"] == "ltr":
        return escape(text) if context.eval_ctx.autoescape else text
    return _isolated(context, text, "ltr")


@pass_context
def runs(context: Context, value: str, direction: str) -> str:
    """Isolate the runs that a right-to-left text would tear apart; text in the other direction stays as it is."""
    text, pieces, end = str(value), [], 0
    for run in _LTR_RUNS.finditer(text) if direction == "rtl" else ():
        pieces += [text[end : run.start()], _isolated(context, run[0], "ltr")]
        end = run.end()
    pieces.append(text[end:])
    return (Markup("") if context.eval_ctx.autoescape else "").join(pieces)


def _isolated(context: Context, text: str, direction: str) -> str:
    if context.eval_ctx.autoescape:
        return Markup(f'<span dir="{direction}">{escape(text)}</span>')  # noqa: S704 (escaped here: format is slow)
    return f"{RLI if direction == 'rtl' else LRI}{text}{PDI}"


@pass_context
def _wrap(context: Context, value: str, direction: str | None = None) -> str:
    """Set a paragraph of the text part: lines of at most 72 columns that run in `direction`, the mail's by default."""
    return "\n".join(_lines(value, direction or context["direction"]))


@pass_context
def _underlined(context: Context, value: str, mark: str = "-", direction: str | None = None) -> str:
    """Wrap a title and rule a line below it as long as its longest line."""
    lines = _lines(value, direction or context["direction"])
    rule = mark * max(columns(line) for line in lines)
    return "\n".join([*lines, _marked(rule, direction or context["direction"])])


def _lines(text: str, direction: str) -> list[str]:
    return [_marked(line, direction) for line in _closed(wrapped(one_line(str(text))))]


def _marked(line: str, direction: str) -> str:
    """Give a line that would be shown in the other direction a mark to go by; readers' programs decide line by line."""
    if direction_of_text(line) == direction:
        return line
    return (RLM if direction == "rtl" else LRM) + line


def _closed(lines: Sequence[str]) -> list[str]:
    """Close at each line's end the isolate that is open there and open it again on the next."""
    closed, opened = [], ""
    for line in lines:
        whole = opened + line
        last = max(whole.rfind(LRI), whole.rfind(RLI))
        opened = whole[last] if last > whole.rfind(PDI) else ""
        closed.append(whole + (PDI if opened else ""))
    return closed


def one_line(text: str) -> str:
    """Fold every blank and line end into one space; non-breaking spaces stay."""
    return _BLANKS.sub(" ", text).strip(" ")


def _one_blank_line(found: re.Match[str]) -> str:
    return "\n" * min(found[0].count("\n"), 2) + _CUT * found[0].count(_CUT)


def cleaned(context: Mapping[str, object]) -> dict[str, object]:
    """Return a context whose foreign text is fit for a mail."""
    return {name: _cleaned(value) for name, value in context.items()}


def _cleaned(value: object) -> object:
    """Take out of foreign text, however deep, what could break a line, an encoder or the order of words around it."""
    if isinstance(value, str):
        text = one_line(value).translate(_FOREIGN)
        text = "".join(each for each in text if unicodedata.category(each) not in {"Cc", "Cs"})
        return text.strip(" ") if any(unicodedata.category(each)[0] in "LNPS" for each in text) else ""
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(each) for each in value]
    return value


def _cut(value: str, limit: int) -> str:
    return cut(str(value), limit)


def cut(text: str, limit: int) -> str:
    """Shorten to at most `limit` characters, at a word where there is one, never inside a letter with its marks."""
    if len(text) <= limit:
        return text
    end = text.rfind(" ", limit // 2, limit)
    if end < 0:
        end = limit - 1
        while end > 1 and (columns(text[end]) == 0 or text[end - 1] == "\u200d"):
            end -= 1
    return text[:end].rstrip(" \u00a0,;:.،؛–—-") + "…"


def columns(text: str) -> int:
    """Count the columns that a line takes: marks and controls none, wide letters and emoji two."""
    marks = {"Mn", "Me", "Cf"}
    return sum(
        0 if unicodedata.category(each) in marks else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """Break a paragraph at its spaces; a word too long for a line, such as a URL, stays whole."""
    lines: list[str] = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and columns(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@lru_cache(maxsize=4096)
def direction_of_text(text: str) -> Direction:
    """Return the direction that programs give to a line: that of its first letter outside isolates (UAX 9, P2)."""
    depth = 0
    for each in text:
        kind = unicodedata.bidirectional(each)
        if kind in {"LRI", "RLI", "FSI"}:
            depth += 1
        elif kind == "PDI":
            depth = max(depth - 1, 0)
        elif not depth and kind in {"L", "R", "AL"}:
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


@lru_cache(maxsize=4096)
def _mixed(text: str) -> bool:
    kinds = {unicodedata.bidirectional(each) for each in text}
    return bool(kinds & {"R", "AL", "AN"}) and bool(kinds & {"L", "EN"})


def palette(accent: str) -> dict[str, str]:
    """Return the colours of a mail, its accent moved as far as it takes to be read on light and on dark paper.

    :raises InvalidInput: if the accent is not written as #rrggbb
    """
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", str(accent)):
        raise InvalidInput(f"“{accent}” is no colour: write it as #0B5D3B")
    return {
        "paper": PAPER,
        "ink": "#1D1F21",
        "quiet": "#5A5F66",
        "hairline": "#D9D6CE",
        "accent": _moved(accent, towards="#000000", against=PAPER, least=CONTRAST),
        "on_accent": "#FFFFFF",
        "underline": "#8E9299",
        "dark_paper": DARK_PAPER,
        "dark_ink": "#ECEAE4",
        "dark_quiet": "#A9ADB2",
        "dark_hairline": "#3A3E42",
        "dark_accent": _moved(accent, towards="#FFFFFF", against=DARK_PAPER, least=DARK_CONTRAST),
    }


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2), from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _moved(colour: str, *, towards: str, against: str, least: float) -> str:
    steps = (_mix(colour, towards, step / 40) for step in range(41))
    return next(each for each in steps if contrast(each, against) >= least)


def _mix(colour: str, other: str, share: float) -> str:
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02X}" for one, two in pairs)


def _luminance(colour: str) -> float:
    parts = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
