"""Which language a text is in: told from the text, since feeds and pages often claim a wrong one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from newsletter.base.languages import LANGUAGES, direction_of

_READ_AT_MOST = 1_000  # characters: more does not make the answer better
_SHORT = 20  # letters: below, the model guesses
_SURE = 0.6  # of what is likely at all
_RIVAL = 4  # a claim that is at most so many times less likely than the best guess is believed

# The languages a script is read as; of several, the model decides. The first is the common one.
_SCRIPTS = {
    script: languages.split()
    for script, _, languages in (
        line.strip().partition(": ")
        for line in """
        LATIN: en fr es pt it de nl ca gl eu ro pl cs sk sl hr hu sq tr az sv da no nn fi is et lv lt ga cy mt lb la af
        CYRILLIC: ru uk bg sr mk be kk ky mn tg tt ba
        DEVANAGARI: hi mr ne sa
        BENGALI: bn as
        CJK: zh
        HIRAGANA: ja
        KATAKANA: ja
        HANGUL: ko
        TIFINAGH: zgh
        HEBREW: he
        GREEK: el
        ARMENIAN: hy
        GEORGIAN: ka
        THAI: th
        ETHIOPIC: am
        TAMIL: ta
        TELUGU: te
        """.strip().splitlines()
    )
}
_COMMON = ("fr", "en", "es", "de", "it", "pt")  # what a text of few Latin letters may be, where nobody says what it is
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+|[@#]\w+")  # in no language
_ARABIC_ONLY = frozenset("يكىةأإؤ")
_NOT_ARABIC = frozenset("پچژگکیےٹڈڑںھہۆێەڕڵڤټډړږښڼۍېګځڅ")
_RIGHT_TO_LEFT = frozenset({"ARABIC", "HEBREW", "SYRIAC", "THAANA", "NKO"})
_IN_ARABIC_SCRIPT = ["ar", "fa", "ur", "ps", "ug"]

_SHORTER: dict[str, str] = dict(
    re.findall(
        r"(\w+)=(\w+)",
        "ara=ar ary=ar arz=ar arb=ar eng=en fra=fr fre=fr spa=es por=pt ita=it deu=de ger=de nld=nl dut=nl fas=fa"
        " per=fa urd=ur rus=ru tur=tr ber=zgh tzm=zgh nb=no nn=no iw=he",
    )
)


def primary_language(claim: str | None) -> str | None:
    """Return the primary subtag of a language tag as feeds write them (fr-MA, ar_MA, ENG), or None if it is none."""
    found = re.match(r"\s*([A-Za-z]{2,3})(?![A-Za-z])", claim or "")
    return _SHORTER.get(found[1].lower(), found[1].lower()) if found else None


def detect_language(text: str, *, claimed: str | None, expected: Sequence[str] = ()) -> str:
    """Return the primary subtag of the language of this text, by its script, then by its words.

    A text too short to tell is in the language it claims to be in, else in the first of the expected ones that has its
    script, else in the likeliest.
    """
    preferred = [code for code in map(primary_language, (claimed, *expected)) if code]
    words = _ADDRESS.sub(" ", text[:_READ_AT_MOST])
    letters = [letter for letter in words if letter.isalpha()]
    candidates = _candidates(letters, preferred)
    if claimed and (code := primary_language(claimed)) in LANGUAGES and _only_we_know(str(code), letters):
        return str(code)
    if candidates is None:
        return preferred[0] if preferred else "en"
    if len(candidates) == 1:
        return candidates[0]
    chosen = _likeliest(words, candidates, [code for code in preferred if code in candidates], len(letters))
    return _SHORTER.get(chosen, chosen)


def _candidates(letters: list[str], preferred: list[str]) -> list[str] | None:
    scripts = Counter(map(_script, letters))
    if not scripts:
        return None
    if 8 * (scripts["HIRAGANA"] + scripts["KATAKANA"]) > scripts["CJK"] > 0:
        return ["ja"]
    script = scripts.most_common(1)[0][0]
    if script != "ARABIC":
        return _SCRIPTS.get(script)
    if not _NOT_ARABIC.isdisjoint(letters):  # Arabic typed on another keyboard has some of these too
        return _IN_ARABIC_SCRIPT
    shared = _ARABIC_ONLY.isdisjoint(letters)
    return [preferred[0]] if shared and preferred and preferred[0] in _IN_ARABIC_SCRIPT else ["ar"]


def _only_we_know(code: str, letters: list[str]) -> bool:
    """Say whether a catalogue knows this language, the model does not, and the text is not in another's script."""
    if any(code in known for known in (*_SCRIPTS.values(), _IN_ARABIC_SCRIPT)):
        return False
    scripts = {_script(letter) for letter in letters}
    return (direction_of(code) == "rtl") == bool(scripts & _RIGHT_TO_LEFT)


def _likeliest(text: str, candidates: Sequence[str], preferred: list[str], letters: int) -> str:
    ranked = dict(_model().rank(text))
    ranked["ar"] += ranked["ary"] + ranked["arz"]  # Moroccan and Egyptian Arabic
    likelihood = {code: ranked.get(code, 0.0) for code in candidates}
    best = max(likelihood, key=likelihood.__getitem__)
    for code in preferred:
        if likelihood[code] * _RIVAL >= likelihood[best]:
            return code
    if letters >= _SHORT and likelihood[best] >= _SURE * max(sum(likelihood.values()), 0.5):
        return best
    if preferred:
        return preferred[0]
    common = [code for code in _COMMON if code in likelihood]
    strongest = max((likelihood[code] for code in common), default=0.0)
    return next((code for code in common if likelihood[code] * _RIVAL >= strongest), best)


@lru_cache(maxsize=10_000)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "NONE").split()[0]


@cache
def _model() -> LanguageIdentifier:
    """Loaded at the first question only: that takes most of a second."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
