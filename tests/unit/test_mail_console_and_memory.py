from __future__ import annotations

import io
import threading

from newsletter.mail.headers import encode_header, encode_mailbox
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.console.backend import ConsoleBackend
from newsletter.mail.providers.memory.backend import MemoryBackend
from newsletter.mail.template import compile_message


def message(text: str, key: int = 1, recipient: str = "reader@example.org") -> Message:
    shared = [encode_mailbox("From", "الوزارة", "lettre@example.ma"), encode_header("Subject", "À la une")]
    compiled = compile_message(shared, text, "<p>html</p>", {})
    return Message(key, "bounce@example.ma", recipient, compiled.fill(encode_mailbox("To", "", recipient), {}))


def shown(text: str, stream: io.TextIOWrapper | io.StringIO) -> str:
    with ConsoleBackend(stream).open() as channel:
        assert [each.outcome for each in send_all(channel, [message(text)])] == [Outcome.ACCEPTED]
    stream.seek(0)
    return stream.read()


def test_the_console_shows_headers_and_text_as_a_person_reads_them() -> None:
    page = shown("مرحبا\nsecond line\n", io.StringIO())
    assert "bounce@example.ma → reader@example.org" in page
    assert "Subject: À la une\n" in page
    assert "From: الوزارة <lettre@example.ma>\n" in page
    assert "مرحبا\nsecond line\n" in page
    assert "html" not in page


def test_the_console_lets_no_control_character_reach_the_terminal() -> None:
    page = shown("a\x1b]0;title\x07b\x9bc\r\n", io.StringIO())
    assert "a�]0;title�b�c" in page


def test_a_console_that_cannot_show_arabic_shows_escapes() -> None:
    page = shown("مرحبا", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert "\\u0645\\u0631\\u062d\\u0628\\u0627" in page


def test_memory_decides_by_recipient_and_keeps_what_left() -> None:
    outcomes = {
        "a@example.org": Outcome.ACCEPTED,
        "d@example.org": Outcome.DEFERRED,
        "f@example.org": Outcome.FAILED,
        "u@example.org": Outcome.UNCERTAIN,
        "s@example.org": Outcome.STOP,
        "z@example.org": Outcome.ACCEPTED,
    }
    backend = MemoryBackend(outcomes.__getitem__)
    with backend.open() as channel:
        messages = [message("x", key, recipient) for key, recipient in enumerate(outcomes)]
        verdicts = send_all(channel, messages)
    assert [each.outcome for each in verdicts] == [*list(outcomes.values())[:5], Outcome.STOP]
    assert [each.recipient for each in backend.messages] == ["a@example.org", "u@example.org"]


def test_memory_is_shared_by_many_threads() -> None:
    backend = MemoryBackend()
    batch = [message("x", key) for key in range(50)]

    def send() -> None:
        with backend.open() as channel:
            assert all(each.outcome is Outcome.ACCEPTED for each in send_all(channel, batch))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(backend.messages) == 400
