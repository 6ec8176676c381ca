"""What we sign is what dkimpy verifies, whatever stands in the blanks."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_samples import context, templates

from newsletter.base.clock import SetClock
from newsletter.base.config import DkimKey, load_settings
from newsletter.base.errors import ConfigError
from newsletter.base.links import Links
from newsletter.bootstrap import build
from newsletter.deliveries.lanes import Claimed
from newsletter.deliveries.letters import Letter, Letterhead, message_to, request_letter, transactional_headers
from newsletter.issues.press import Press, Sheet, Shown
from newsletter.mail.dkim import Signer
from newsletter.mail.headers import encode_date, encode_header
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.signed import SignedBackend
from newsletter.mail.template import compile_message

MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LINKS = Links(base_url="https://lettre.example.ma", keys=["k" * 40])
ROW = Claimed(12, 1, 7, 9, 5, 0, "other")
SEVERAL = settings(max_examples=25, deadline=None)

url_safe = st.text(st.sampled_from("abcXYZ019._~-"), min_size=45, max_size=45)
bounces = st.text(st.sampled_from("abcxyz234567"), min_size=36, max_size=36)


def made(folder: Path, name: str, *command: str) -> Path:
    path = folder / name
    subprocess.run(["openssl", *command, "-out", str(path)], check=True, capture_output=True)
    return path


@cache
def folder() -> Path:
    return Path(mkdtemp(prefix="dkim-keys-"))


@pytest.fixture(scope="module", autouse=True)
def _cleared() -> Iterator[None]:
    yield
    rmtree(folder())


@cache
def rsa_key() -> DkimKey:
    path = made(folder(), "rsa.pem", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    return DkimKey("one", "example.ma", path)


@cache
def ed25519_key() -> DkimKey:
    return DkimKey("two.2026", "example.ma", made(folder(), "ed25519.pem", "genpkey", "-algorithm", "ED25519"))


@cache
def signer() -> Signer:
    return Signer([rsa_key(), ed25519_key()])


def dns(name: bytes, timeout: int = 5) -> bytes:
    keys = {f"{key.selector}._domainkey.{key.domain}.": key for key in (rsa_key(), ed25519_key())}
    found = load_pem_private_key(keys[name.decode()].path.read_bytes(), password=None)
    assert found
    kind, coded = ("rsa", (Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if found.__class__.__name__.startswith("Ed25519"):
        kind, coded = ("ed25519", (Encoding.Raw, PublicFormat.Raw))
    return f"v=DKIM1; k={kind}; p={b64encode(found.public_key().public_bytes(*coded)).decode()}".encode()


def verifies(data: bytes, index: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(data).verify(idx=index, dnsfunc=dns))
    except dkim.ValidationError:  # the hash of the body is another
        return False


def both_verify(data: bytes) -> bool:
    return verifies(data, 0) and verifies(data, 1)


def letterhead_of(language: str) -> Letterhead:
    newsletter = context("digest", language)["newsletter"]
    senders = ("lettre@example.ma", "bonjour@example.ma", "aide@example.ma")
    domains = ("lettre.example.ma", "hebdo.list-id.lettre.example.ma")
    return Letterhead("hebdo", newsletter["name"], newsletter["institution"], language, *senders, *domains)


@cache
def letter(language: str) -> Letter:
    newsletter = context("digest", language)["newsletter"]
    shown = Shown("Été : 12 démarches", "https://example.ma/1", "…", None, "", "", "fr", "ltr", "Français")
    sheet = Sheet(7, letterhead_of(language), tuple(newsletter.items()), date(2026, 11, 23))
    return Press(links=LINKS, templates=templates()).letter(sheet, [("Santé", shown)], more=0)


def digest(language: str, unsubscribe: str, manage: str, bounce: str, address: str = "salma@example.org") -> Message:
    return message_to(
        ROW,
        letter=letter(language),
        address=address,
        needs_smtputf8=not address.isascii(),
        bounce=bounce.encode(),
        blanks={"unsubscribe": unsubscribe.encode(), "manage": manage.encode()},
        date=encode_date(MOMENT),
    )


def sample(language: str = "fr", address: str = "salma@example.org") -> Message:
    return digest(language, "u" * 45, "m" * 45, "b" * 36, address)


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
@given(unsubscribe=url_safe, manage=url_safe, bounce=bounces)
@settings(max_examples=10, deadline=None)
def test_both_signatures_verify_whatever_stands_in_the_blanks(
    language: str, unsubscribe: str, manage: str, bounce: str
) -> None:
    message = digest(language, unsubscribe, manage, bounce)
    signed = signer().sign(message, moment=MOMENT)
    assert both_verify(signed.data)
    assert signed.data.endswith(message.data)
    assert signed.is_checked
    assert signed.parts[1:] == message.parts[1:]


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_the_answer_to_a_request_is_signed_as_well(language: str) -> None:
    head = replace(letterhead_of(language), confirmation_sender="inscription@example.ma")
    rendered = templates().render("confirmation", language=language, context=context("confirmation", language))
    headers = transactional_headers(head, subject=rendered.subject, kind="confirmation")
    answer = request_letter(head, LINKS, compile_message(headers, rendered.text, rendered.html, {}))
    message = message_to(
        ROW,
        letter=answer,
        address="salma@example.org",
        needs_smtputf8=False,
        bounce=b"b" * 36,
        blanks={},
        date=encode_date(MOMENT),
    )
    assert both_verify(signer().sign(message, moment=MOMENT).data)


def test_they_verify_after_the_dots_were_stuffed_and_taken_out_again() -> None:
    data = signer().sign(sample("ar"), moment=MOMENT).data
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    assert stuffed == data  # no line begins with a dot
    assert both_verify(stuffed.replace(b"\r\n..", b"\r\n."))


def test_they_verify_after_a_relay_folded_and_widened_the_headers() -> None:
    data = signer().sign(sample(), moment=MOMENT).data
    moved = data.replace(b"\r\nFeedback-ID: ", b"\r\nfeedback-id:\t \r\n ", 1).replace(b"\r\nTo: ", b"\r\nTO:", 1)
    assert moved != data
    assert both_verify(b"Received: from a by b\r\n" + moved + b"\r\n\r\n")


def test_the_lines_of_the_signatures_are_short_ascii_and_begin_with_no_dot() -> None:
    message = sample()
    data = signer().sign(message, moment=MOMENT).data
    added = data.removesuffix(message.data)
    assert added.count(b"DKIM-Signature:") == 2
    assert added.isascii()
    assert max(map(len, added.split(b"\r\n"))) <= 78
    assert not any(line.startswith(b".") for line in added.split(b"\r\n"))
    assert added.count(b"\n") == added.count(b"\r") == added.count(b"\r\n")


def test_every_header_is_signed_and_from_and_subject_once_more() -> None:
    message = sample()
    seal = signer().sign(message, moment=MOMENT).data.split(b"DKIM-Signature:")[1].replace(b"\r\n ", b"")
    tags = dict(tag.strip().split(b"=", 1) for tag in seal.split(b";"))
    names = tags[b"h"].split(b":")
    there = [
        line.partition(b":")[0].lower()
        for line in message.data.partition(b"\r\n\r\n")[0].split(b"\r\n")
        if not line.startswith(b" ")
    ]
    assert sorted(names) == sorted([*there, b"from", b"subject"])
    wanted = b"to message-id date list-unsubscribe list-unsubscribe-post list-id list-help list-owner list-archive"
    assert {*wanted.split(), b"feedback-id", b"mime-version", b"content-type", b"list-post"} < set(there)
    assert tags.keys() == {b"v", b"a", b"c", b"d", b"s", b"t", b"bh", b"h", b"b"}


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"To: salma", b"To: samir"),
        (b"\r\nSubject: ", b"\r\nSubject: x"),
        (b"/u/uuu", b"/u/uux"),
        (b"List-Unsubscribe-Post: List", b"List-Unsubscribe-Post: Lost"),
        (b"\r\nTo: ", b"\r\nFrom: evil@example.org\r\nTo: "),
        (b"\r\nTo: ", b"\r\nSubject: evil\r\nTo: "),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
        (b"--\r\n", b"--\r\nmore\r\n"),
    ],
)
def test_what_was_changed_or_added_does_not_verify(there: bytes, instead: bytes) -> None:
    data = signer().sign(sample(), moment=MOMENT).data
    assert there in data
    assert both_verify(data)
    changed = instead.join(data.rsplit(there, 1)) if there == b"--\r\n" else data.replace(there, instead, 1)
    assert not verifies(changed, 0)
    assert not verifies(changed, 1)


def test_one_octet_of_a_readers_own_body_is_part_of_the_hash() -> None:
    one = signer().sign(digest("fr", "u" * 45, "m" * 45, "b" * 36), moment=MOMENT)
    other = digest("fr", "u" * 44 + "x", "m" * 45, "b" * 36)
    assert not verifies(b"".join([one.parts[0], *other.parts[1:]]))


def test_a_mail_to_an_address_beyond_ascii_is_signed_and_still_not_called_checked() -> None:
    signed = signer().sign(sample(address="سلمى@example.org"), moment=MOMENT)
    assert both_verify(signed.data)
    assert not signed.is_checked
    assert signed.smtputf8


bodies = st.lists(
    st.sampled_from(["a", " ", "  ", "\t", "\r\n", "\r\n\r\n", "é", ".", "b=", "--\r\n", " \r\n"]), max_size=12
)


@given(bodies, st.integers(0, 40), st.integers(0, 3))
@SEVERAL
def test_a_message_of_another_make_is_signed_as_it_is_canonical(pieces: Sequence[str], cut: int, empty: int) -> None:
    headers = b"From: a@example.ma\r\nX-Folded: one \r\n\t two\r\n" + encode_header("Subject", "à la une") + b"\r\n"
    data = headers + "".join(pieces).encode() + b"\r\n" * empty
    parts = tuple(part for part in (data[:cut], data[cut:]) if part)
    assert both_verify(signer().sign(Message(1, "", "a@b.c", parts, is_checked=True), moment=MOMENT).data)


def test_a_spliced_message_is_signed_as_the_same_message_in_one_piece() -> None:
    message = sample()
    whole = Message(message.key, message.sender, message.recipient, (message.data,))
    rsa, _, _ = signer().sign(message, moment=MOMENT).data.partition(b"DKIM-Signature: v=1; a=ed25519")
    assert signer().sign(whole, moment=MOMENT).data.startswith(rsa)


def test_a_window_is_signed_as_each_of_its_mails() -> None:
    window = [sample("fr"), sample("ar"), sample("fr", "b@example.org")]
    assert signer().sign_all(window, moment=MOMENT) == [signer().sign(each, moment=MOMENT) for each in window]
    assert signer().sign_all([], moment=MOMENT) == []


def test_a_signed_backend_hands_over_signed_mails_and_gives_the_verdicts_back() -> None:
    memory = MemoryBackend()
    backend = SignedBackend(memory, signer=signer(), clock=SetClock(MOMENT))
    with backend.open() as channel:
        verdicts = send_all(channel, [sample()])
    assert [(verdict.key, verdict.outcome) for verdict in verdicts] == [(ROW.id, Outcome.ACCEPTED)]
    (received,) = memory.messages
    assert both_verify(received.data)
    assert b" t=1795420800;" in received.data
    assert "one._domainkey.example.ma" in backend.describe()
    assert backend.name == "memory"


def key_of(name: str, *command: str) -> DkimKey:
    return DkimKey("one", "example.ma", made(folder(), name, *command))


def test_a_key_that_cannot_be_used_is_a_config_error_that_names_the_file() -> None:
    rsa = ["genpkey", "-algorithm", "RSA", "-pkeyopt"]
    (folder() / "none.pem").write_text("nothing")
    for key, cause in (
        (DkimKey("one", "example.ma", folder() / "missing.pem"), "No such file"),
        (DkimKey("one", "example.ma", folder()), "cannot be read"),
        (DkimKey("one", "example.ma", folder() / "none.pem"), "PEM"),
        (key_of("short.pem", *rsa, "rsa_keygen_bits:1024"), "1024 bits"),
        (key_of("locked.pem", *rsa, "rsa_keygen_bits:2048", "-aes128", "-pass", "pass:secret"), "password"),
        (key_of("ec.pem", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "neither"),
    ):
        with pytest.raises(ConfigError, match=cause) as caught:
            Signer([key])
        assert str(folder()) in str(caught.value)
    for keys in ([], [ed25519_key()], [rsa_key(), rsa_key()]):
        with pytest.raises(ConfigError, match="one RSA key"):
            Signer(keys)


def test_no_key_shows_in_a_repr() -> None:
    secret = "".join(rsa_key().path.read_text().split("\n")[1:3])
    assert secret not in repr(vars(signer()))
    assert "PrivateKey" not in repr(signer())


def test_the_setting_names_selector_domain_and_file_of_each_key(tmp_path: Path) -> None:
    keys = [rsa_key(), ed25519_key()]
    text = ", ".join(f"{key.selector}:{key.domain}:{key.path}" for key in keys)
    base = {"NEWSLETTER_HOME": str(tmp_path), "NEWSLETTER_MAIL_URL": "memory://"}
    base |= {"NEWSLETTER_SECRET_KEYS": "k" * 40, "NEWSLETTER_ADDRESS_KEY": "a" * 40}
    found = load_settings(base | {"NEWSLETTER_DKIM": text})
    assert found.dkim_keys == keys
    assert "two.2026._domainkey.example.ma" in build(found).backend.describe()
    assert load_settings(base).dkim_keys == []
    for wrong in ("one", "one:example.ma", "one:exa mple.ma:/k.pem", ":example.ma:/k.pem", f"{text},", "a;b:c.ma:/k"):
        with pytest.raises(ConfigError, match="NEWSLETTER_DKIM"):
            load_settings(base | {"NEWSLETTER_DKIM": wrong})
    with pytest.raises(ConfigError, match="cannot be read"):
        build(load_settings(base | {"NEWSLETTER_DKIM": "one:example.ma:/nowhere/key.pem"}))
