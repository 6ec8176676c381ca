"""Which language a text is in, whatever it claims."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.articles.detection import detect_language, primary_language

FRENCH = "Le conseil de gouvernement a adopté jeudi un projet de loi sur la santé publique."
ENGLISH = "The council of government adopted a bill on public health on Thursday."
ARABIC = "صادق مجلس الحكومة يوم الخميس على مشروع قانون يتعلق بالصحة العمومية."
PERSIAN = "رئیس جمهوری ایران گفت که گزارش کامل این نشست منتشر می‌شود."
URDU = "وزیراعظم نے کہا ہے کہ حکومت عوام کے لیے نئے منصوبے شروع کرے گی۔"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (FRENCH, "fr"),
        (ENGLISH, "en"),
        (ARABIC, "ar"),
        (PERSIAN, "fa"),
        (URDU, "ur"),
        ("ⵜⴰⵎⴰⵣⵉⵖⵜ ⵜⵓⵜⵍⴰⵢⵜ", "zgh"),
        ("O conselho de ministros aprovou uma lei sobre a saúde pública.", "pt"),
        ("El consejo de ministros aprobó una ley sobre la salud pública.", "es"),
        ("Правительство приняло закон о здравоохранении", "ru"),
        ("정부는 공중 보건에 관한 법안을 채택했다", "ko"),
        ("政府は公衆衛生に関する法案を採択した", "ja"),
        ("政府通过了一项公共卫生法案", "zh"),
        ("Η κυβέρνηση ενέκρινε νομοσχέδιο", "el"),
        ("הממשלה אישרה הצעת חוק", "he"),
    ],
)
@pytest.mark.parametrize("claimed", [None, "en-us", "fr_FR", "ar"])
def test_a_clear_text_is_in_its_language_whatever_it_claims(text, language, claimed):
    assert detect_language(text, claimed=claimed) == language


def test_arabic_with_latin_names_or_foreign_letters_is_arabic():
    assert detect_language("Graph Theory جسور كونيغسبيرغ و", claimed="en-us") == "ar"
    assert detect_language("قال پوتين إن مدينة أڭادير جميلة", claimed="en") == "ar"
    assert detect_language("المدینة التي نعرفها حالیا كالینینغراد", claimed=None) == "ar"


def test_a_text_too_short_to_tell_is_in_the_language_it_claims():
    assert detect_language("Huh?", claimed="en-US") == "en"
    assert detect_language("Forum", claimed="fr") == "fr"
    assert detect_language("2026", claimed="fr_MA") == "fr"
    assert detect_language("تهران", claimed="fa") == "fa"


def test_without_a_claim_a_short_text_is_in_the_first_expected_language_of_its_script():
    assert detect_language("Forum", claimed=None, expected=("ar", "en", "fr")) == "en"
    assert detect_language("الرباط", claimed=None, expected=("fr", "ar")) == "ar"
    assert detect_language("", claimed=None, expected=("fr", "ar")) == "fr"


def test_a_claim_in_another_script_counts_for_nothing():
    assert detect_language("Forum", claimed="ar", expected=("fr",)) == "fr"
    assert detect_language("الرباط", claimed="fr") == "ar"


def test_addresses_are_in_no_language():
    assert (
        detect_language("خبر https://example.org/the-first-story-of-all-the-long-stories a@example.org", claimed=None)
        == "ar"
    )


@pytest.mark.parametrize(
    ("claim", "code"),
    [("fr-MA", "fr"), ("ar_MA", "ar"), ("ENG", "en"), ("fre", "fr"), (" fr ", "fr"), ("zgh-Tfng", "zgh"), ("nn", "no")]
    + [(claim, None) for claim in ("", None, "French", "x-default", "e", "*")],
)
def test_a_claim_is_read_as_its_primary_subtag(claim, code):
    assert primary_language(claim) == code


@settings(max_examples=50)
@given(st.text(max_size=50), st.none() | st.text(max_size=8))
def test_any_text_is_in_some_language(text, claimed):
    code = detect_language(text, claimed=claimed)
    assert 2 <= len(code) <= 3
    assert code.isascii()
    assert code.islower()
