"""What each HTTP provider is told of a mail, and what its own words mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from http_faults import provider
from newsletter.base.clock import SetClock
from newsletter.base.errors import InvalidInput
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.brevo.backend import BrevoApi
from newsletter.mail.providers.http.api import Answer, Api
from newsletter.mail.providers.http.fields import Mailbox, read_fields
from newsletter.mail.providers.mailgun.backend import MailgunApi
from newsletter.mail.providers.postmark.backend import PostmarkApi
from newsletter.mail.providers.ses.backend import SesApi
from newsletter.mail.providers.ses.signing import Signer
from newsletter.mail.registry import backend_from_url

SES = SesApi(Signer("AKIDEXAMPLE", "secret", "eu-west-3"), "email.eu-west-3.amazonaws.com")
MAILGUN = MailgunApi("lettre.example.ma", "eu", "key")
POSTMARK = PostmarkApi("broadcast", "token")
BREVO = BrevoApi("key")
MAIL = (
    "From: =?utf-8?b?2KfZhNmG2LTYsdip?= <lettre@example.ma>\r\n"
    'To: "Reader, A." <r@example.org>\r\n'
    "Subject: =?utf-8?b?2KfZhNmG2LQ=?=\r\n =?utf-8?b?2LHYqQ==?=\r\n"
    "Reply-To: help@example.ma\r\nDate: Mon, 16 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@example.ma>\r\n"
    "List-Id: =?utf-8?b?w6k=?= <a-ar.list-id.example.ma>\r\nList-Unsubscribe: <https://x/u/TOKEN>,\r\n <mailto:u@x>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nDKIM-Signature: v=1; b=x\r\n"
    "MIME-Version: 1.0\r\nContent-Language: ar\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n"
    "--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6kNCg==\r\n"
    '--B\r\nContent-Type: text/html; charset="utf-8"\r\n\r\n<p>é</p>\r\n--B--\r\n'
).encode()


def mail(data: bytes = MAIL, recipient: str = "r@example.org") -> Message:
    return Message(1, "bounce@example.ma", recipient, (data,))


def test_a_mail_is_taken_apart_without_loss() -> None:
    fields = read_fields(mail())
    assert fields.sender == Mailbox("النشرة", "lettre@example.ma")
    assert fields.recipient == Mailbox("Reader, A.", "r@example.org")
    assert fields.reply_to == Mailbox("", "help@example.ma")
    assert fields.subject == "النشرة"
    assert (fields.text, fields.html) == ("é\n", "<p>é</p>")
    assert fields.headers == [
        ("Message-ID", "<1@example.ma>"),
        ("List-Id", "=?utf-8?b?w6k=?= <a-ar.list-id.example.ma>"),
        ("List-Unsubscribe", "<https://x/u/TOKEN>, <mailto:u@x>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Content-Language", "ar"),
    ]


def test_the_recipient_is_that_of_the_envelope_whatever_to_says() -> None:
    assert read_fields(mail(recipient="other@example.org")).recipient == Mailbox("", "other@example.org")


@pytest.mark.parametrize(
    "data",
    [
        b"To: r@example.org\r\n\r\nno sender\r\n",
        b"From: a@b.c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xff\r\n",
        b"From: a@b.c\r\nContent-Type: text/plain; charset=no-such\r\n\r\nx\r\n",
        b"From: a@b.c\r\nContent-Type: application/pdf\r\n\r\nx\r\n",
        b'From: a@b.c\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nx\r\n',
        b"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\na\r\n--B\r\n\r\nb\r\n--B--\r\n",
    ],
)
def test_what_an_api_cannot_express_fails_alone(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_fields(mail(data))
    for name in ("postmark", "brevo"):
        with provider(name) as (running, _server, url), backend_from_url(url, home=Path("/")).open() as channel:
            good = Message(2, "", "r@example.org", (MAIL,))
            verdicts = send_all(channel, [mail(data), good])
            assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, Outcome.ACCEPTED]
            assert verdicts[0].reason == "relay_cannot"
            assert len(running.mails) == 1


@pytest.mark.parametrize("api", [SES, POSTMARK, BREVO])
def test_an_address_outside_of_ascii_fails_where_the_provider_takes_none(api: Api) -> None:
    with pytest.raises(InvalidInput):
        api.item(Message(1, "", "قارئ@example.org", (MAIL,), smtputf8=True))


def test_postmark_is_told_every_field_and_to_track_nothing() -> None:
    content = json.loads(POSTMARK.item(mail()))
    headers = {each["Name"]: each["Value"] for each in content.pop("Headers")}
    assert content == {
        "From": '"النشرة" <lettre@example.ma>',
        "To": '"Reader, A." <r@example.org>',
        "ReplyTo": "help@example.ma",
        "Subject": "النشرة",
        "TextBody": "é\n",
        "HtmlBody": "<p>é</p>",
        "MessageStream": "broadcast",
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    assert headers["Message-ID"] == "<1@example.ma>"
    assert headers["X-PM-KeepID"] == "true"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_brevo_is_told_every_field() -> None:
    content = json.loads(BREVO.item(mail()))
    headers = content.pop("headers")
    assert content == {
        "sender": {"name": "النشرة", "email": "lettre@example.ma"},
        "to": [{"name": "Reader, A.", "email": "r@example.org"}],
        "replyTo": {"email": "help@example.ma"},
        "subject": "النشرة",
        "textContent": "é\n",
        "htmlContent": "<p>é</p>",
    }
    assert headers["List-Unsubscribe"] == "<https://x/u/TOKEN>, <mailto:u@x>"
    assert all(value.isascii() for value in headers.values())


def test_mailgun_is_told_to_track_nothing() -> None:
    body = MAILGUN.item(mail())
    for option in (b"o:tracking", b"o:tracking-clicks", b"o:tracking-opens"):
        assert b'name="%s"\r\n\r\nno\r\n' % option in body


def test_ses_forwards_bounces_to_the_return_path_and_is_told_to_track_nothing() -> None:
    api = SesApi(SES.signer, SES.host, "newsletter")
    content = json.loads(api.item(mail()))
    assert content["FeedbackForwardingEmailAddress"] == "bounce@example.ma"
    assert content["ConfigurationSetName"] == "newsletter"
    assert set(content["ConfigurationOverrides"]["Tracking"].values()) == {"DISABLED"}
    assert "FeedbackForwardingEmailAddress" not in json.loads(api.item(Message(1, "", "r@example.org", (MAIL,))))


def test_a_signature_equals_the_published_example() -> None:
    """The request to IAM that AWS works through in its description of Signature Version 4."""
    signer = Signer("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "iam")
    headers = {"Host": "iam.amazonaws.com", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    moment = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signed = signer.headers("GET", "/?Action=ListUsers&Version=2010-05-08", headers, b"", moment=moment)
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_a_request_to_ses_is_dated_by_the_clock() -> None:
    api = SesApi(SES.signer, SES.host, clock=SetClock(datetime(2026, 11, 16, 9, tzinfo=UTC)))
    headers = api.request([b"{}"]).headers
    assert headers["X-Amz-Date"] == "20261116T090000Z"
    assert "/20261116/eu-west-3/ses/aws4_request" in headers["Authorization"]


def ses(kind: str, text: str, status: int = 400) -> Answer:
    return Answer(status, {"x-amzn-errortype": kind}, json.dumps({"message": text}).encode())


def said(status: int, **content: object) -> Answer:
    return Answer(status, {}, json.dumps(content).encode())


UNVERIFIED = "Email address is not verified. The following identities failed the check in region EU-WEST-3: a@b.c"


@pytest.mark.parametrize(
    ("api", "answer", "outcome", "reason"),
    [
        (SES, ses("TooManyRequestsException", "Maximum sending rate exceeded.", 429), Outcome.DEFERRED, "throttled"),
        (SES, ses("TooManyRequestsException", "Daily message quota exceeded", 429), Outcome.STOP, "quota_exceeded"),
        (SES, ses("ThrottlingException", "Rate exceeded"), Outcome.DEFERRED, "throttled"),
        (SES, ses("MessageRejected", UNVERIFIED), Outcome.STOP, "sender_refused"),
        (SES, ses("MessageRejected", "Email content contains a virus"), Outcome.FAILED, "policy"),
        (SES, ses("MailFromDomainNotVerifiedException", "x"), Outcome.STOP, "sender_refused"),
        (SES, ses("AccountSuspendedException", "x"), Outcome.STOP, "account_suspended"),
        (SES, ses("BadRequestException", "Missing final '@domain'"), Outcome.FAILED, "address_refused"),
        (SES, ses("BadRequestException", "Message length is more than 1"), Outcome.FAILED, "policy"),
        (SES, ses("InvalidSignatureException", "Signature expired", 403), Outcome.STOP, "auth_refused"),
        (SES, ses("NotFoundException", "Configuration set x does not exist", 404), Outcome.STOP, "server_refuses"),
        (MAILGUN, said(400, message="from parameter is not a valid address"), Outcome.STOP, "sender_refused"),
        (MAILGUN, said(400, message="something else"), Outcome.FAILED, "policy"),
        (MAILGUN, said(404, message="Domain not found"), Outcome.STOP, "server_refuses"),
        (
            BREVO,
            said(400, code="invalid_parameter", message="valid sender email required"),
            Outcome.STOP,
            "sender_refused",
        ),
        (BREVO, said(402, code="payment_required", message="x"), Outcome.STOP, "quota_exceeded"),
        (BREVO, said(400, code="missing_parameter", message="subject is missing"), Outcome.FAILED, "policy"),
        (POSTMARK, said(401, ErrorCode=10, Message="token"), Outcome.STOP, "auth_refused"),
        (POSTMARK, said(422, ErrorCode=405, Message="credits"), Outcome.STOP, "quota_exceeded"),
        (POSTMARK, said(422, ErrorCode=300, Message="Invalid 'From' address"), Outcome.STOP, "sender_refused"),
    ],
)
def test_the_words_of_a_provider_are_understood(api: Api, answer: Answer, outcome: Outcome, reason: str) -> None:
    (ruling,) = api.judge(1, answer)
    assert (ruling.outcome, ruling.reason) == (outcome, reason)
    assert ruling.code is not None


def test_postmark_answers_each_mail_of_a_request_in_its_place() -> None:
    content = [
        {"ErrorCode": 0, "Message": "OK", "MessageID": "a"},
        {"ErrorCode": 406, "Message": "You tried to send to a recipient that has been marked as inactive."},
        {"ErrorCode": 300, "Message": "Invalid 'To' address: 'x'."},
        {"ErrorCode": 300, "Message": "Invalid something"},
        {"Message": "Message accepted, but delivery may be delayed.", "MessageID": "b"},
    ]
    answer = Answer(200, {}, json.dumps(content).encode())
    rulings = POSTMARK.judge(5, answer)
    assert [(each.outcome, each.reason) for each in rulings] == [
        (Outcome.ACCEPTED, "accepted"),
        (Outcome.FAILED, "suppressed_by_provider"),
        (Outcome.FAILED, "address_refused"),
        (Outcome.FAILED, "policy"),
        (Outcome.ACCEPTED, "accepted"),
    ]
    assert {each.outcome for each in POSTMARK.judge(4, answer)} == {Outcome.UNCERTAIN}, "whose answers are these?"


@pytest.mark.parametrize("answer", [said(413), said(422, ErrorCode=300, Message="Invalid")])
def test_no_mail_fails_for_the_company_it_was_sent_in(answer: Answer) -> None:
    assert {each.outcome for each in POSTMARK.judge(3, answer)} == {Outcome.DEFERRED}
    assert {each.outcome for each in POSTMARK.judge(1, answer)} == {Outcome.FAILED}


@pytest.mark.parametrize("api", [SES, MAILGUN, POSTMARK, BREVO])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"id": 7}',
        b"[1]",
        b"\xff",
        b"[[]]",
        b'{"MessageId": ""}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_an_answer_of_any_form_is_judged(api: Api, body: bytes) -> None:
    for status in (200, 201, 400, 422, 500):
        (ruling,) = api.judge(1, Answer(status, {}, body))
        assert ruling.outcome is not Outcome.ACCEPTED or body == b'{"id": 7}'
