"""Feeds in encodings that they do not declare, or declare wrongly."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.articles.encodings import decoded
from newsletter.articles.feeds import parse_feed
from newsletter.base.errors import InvalidInput

FRENCH = "L’été à Fès : « déjà » 30 % d’œuvres exposées où l’on paie 5 €"
ARABIC = "وزارة الصحة تعلن عن انطلاق الحملة الوطنية للتلقيح"
RUSSIAN = "Правительство приняло закон о здравоохранении"
GREEK = "Η κυβέρνηση ενέκρινε νομοσχέδιο για την υγεία"
HEBREW = "הממשלה אישרה הצעת חוק על בריאות הציבור"
JAPANESE = "政府は公衆衛生に関する法案を採択した"


def feed(title: str, declared: str | None = None) -> str:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    return (
        f"{declaration}<rss><channel><item><title>{title}</title><link>https://x.example/</link></item></channel></rss>"
    )


def title_of(data: bytes, content_type: str | None = None) -> str:
    (entry,) = parse_feed(data, url="https://x.example/feed", content_type=content_type).entries
    return entry.title


@pytest.mark.parametrize("title", [FRENCH, ARABIC, RUSSIAN, GREEK, HEBREW, JAPANESE])
@pytest.mark.parametrize(
    "declared", [None, "utf-8", "iso-8859-1", "windows-1256", "us-ascii", "utf-16", "no-such-thing", "zlib"]
)
def test_utf8_is_read_whatever_it_declares(title, declared):
    assert title_of(feed(title, declared).encode()) == title
    assert title_of(feed(title, declared).encode(), "text/xml; charset=iso-8859-1") == title
    assert title_of(b"\xef\xbb\xbf" + feed(title, declared).encode()) == title


@pytest.mark.parametrize("title", [FRENCH, ARABIC])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("declared", [None, "utf-16", "utf-8"])
def test_wide_encodings_are_read_with_mark_and_without(title, encoding, declared):
    assert title_of(feed(title, declared).encode(encoding)) == title


@pytest.mark.parametrize("declared", [None, "utf-8", "iso-8859-1", "windows-1252", "windows-1256"])
def test_windows_1252_is_read_whatever_it_declares(declared):
    assert title_of(feed(FRENCH, declared).encode("cp1252")) == FRENCH


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ARABIC, "cp1256"),
        (ARABIC, "iso8859-6"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GREEK, "cp1253"),
        (HEBREW, "cp1255"),
    ],
)
@pytest.mark.parametrize("declares", [None, "utf-8", "iso-8859-1", "its own"])
def test_letters_beyond_latin_are_told_by_how_often_they_come(text, encoding, declares):
    declared = encoding if declares == "its own" else declares
    assert title_of(feed(text, declared).encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp"])
def test_east_asian_encodings_are_read_if_declared(encoding):
    assert title_of(feed(JAPANESE, encoding).encode(encoding)) == JAPANESE


def test_the_header_counts_where_the_document_says_nothing():
    assert title_of(feed("Łódź").encode("iso8859-2"), 'text/xml; charset="iso-8859-2"') == "Łódź"
    assert title_of(feed("Łódź", "iso-8859-2").encode("iso8859-2"), "text/xml; charset=utf-8") == "Łódź"


def test_single_letters_of_windows_1252_in_utf8_are_read():
    data = feed(FRENCH + " déjà", "utf-8").encode().replace("déjà".encode(), "déjà".encode("cp1252"), 1)
    assert title_of(data) == FRENCH + " déjà"
    assert title_of(b"\xef\xbb\xbf" + data) == FRENCH + " déjà"


def test_letters_that_were_cut_in_half_are_dropped():
    data = feed(ARABIC + "§", "utf-8").encode().replace("§".encode(), "ة".encode()[:1])
    assert title_of(data) == ARABIC
    data = feed(FRENCH + "§", "utf-8").encode().replace("§".encode(), "’".encode()[:2])
    assert title_of(data) == FRENCH


@pytest.mark.parametrize("text", [FRENCH, ARABIC, "L’été, déjà", "L’été 🎉"])
def test_a_double_encoding_is_taken_back(text):
    once = "".join(
        bytes([octet]).decode("latin-1" if octet in b"\x81\x8d\x8f\x90\x9d" else "cp1252")
        for octet in feed(text).encode()
    )
    assert title_of(once.encode()) == text


@pytest.mark.parametrize(
    "text", ["CAFÉ®", "À bientôt", "Â", "«É»", "Sur le web, « Ã© » veut dire é", ARABIC, JAPANESE, "€ ™ © ®"]
)
def test_what_is_encoded_once_is_left_alone(text):
    assert decoded(feed(text).encode()) == feed(text)


def test_a_gzip_file_is_unpacked():
    assert title_of(gzip.compress(feed(ARABIC).encode())) == ARABIC


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (gzip.compress(feed(ARABIC).encode())[:-20], "breaks off"),
        (b"\x1f\x8bnonsense" * 9, "packing is broken"),
        (gzip.compress(bytes(60_000_000), 1), "larger than 50 MB"),
    ],
)
def test_a_gzip_file_that_is_broken_or_a_bomb_is_refused(data, cause):
    with pytest.raises(InvalidInput, match=cause):
        parse_feed(data, url="https://x.example/feed")


@given(st.binary() | st.text().map(lambda text: text.encode("utf-16")), st.none() | st.text(max_size=30))
def test_any_bytes_are_decoded_to_text_that_can_be_encoded(data, content_type):
    decoded(data, content_type=content_type).encode()


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=50))
def test_utf8_with_a_mark_is_decoded_to_what_it_says_or_to_what_was_meant(text):
    assert decoded(b"\xef\xbb\xbf" + text.encode()) == decoded(text.encode().removeprefix(b"\xef\xbb\xbf"))
