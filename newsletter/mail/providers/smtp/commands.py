"""The commands of one mail, and its text as it goes over the wire (RFC 5321, 1870, 3461, 6152, 6531)."""

from __future__ import annotations

from newsletter.mail.port import Message, Outcome
from newsletter.mail.providers.smtp.opening import Decided, Offers
from newsletter.mail.providers.smtp.replies import Judgement

DOT = b".\r\n"


class Commands:
    """Writes the commands of mails for a server with these offers."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        self._most_octets = offers.most_octets
        self._has_size = "SIZE" in offers
        self._has_dsn = "DSN" in offers

    def envelope(self, message: Message) -> tuple[bytes, bytes]:
        """Return MAIL and RCPT with all that the server should know of this message.

        :raises Decided: if the server cannot take it
        """
        options, size = "", message.size
        if self._most_octets is not None and size > self._most_octets:
            text = f"the message has {size} octets, the server takes {self._most_octets}"
            raise Decided(Judgement(Outcome.STOP, "size_limit"), text)
        if self._has_size:
            options = f" SIZE={size}"
        if not message.is_checked and not all(part.isascii() for part in message.parts):
            options += self._need("8BITMIME", " BODY=8BITMIME")
        if message.smtputf8:
            options += self._need("SMTPUTF8", " SMTPUTF8")
        notify = ""
        if self._has_dsn:
            options += f" RET=HDRS ENVID={message.key}"
            notify = _notify(message.recipient)
        return (
            f"MAIL FROM:<{message.sender}>{options}\r\n".encode(),
            f"RCPT TO:<{message.recipient}>{notify}\r\n".encode(),
        )

    def _need(self, keyword: str, option: str) -> str:
        if keyword not in self._offers:
            raise Decided(Judgement(Outcome.FAILED, "relay_cannot"), f"the server does not offer {keyword}")
        return option


def _notify(recipient: str) -> str:
    """Ask to hear of failures, with the address as we know it (RFC 3461 section 4); one beyond ASCII names itself."""
    if not recipient.isascii():
        return " NOTIFY=FAILURE"
    return f" NOTIFY=FAILURE ORCPT=rfc822;{recipient.replace('+', '+2B').replace('=', '+3D')}"


def content(message: Message) -> list[bytes]:
    """Return the message up to its dot, dots doubled at the start of lines (RFC 5321 section 4.5.2)."""
    if message.is_checked:
        return [*message.parts, DOT]
    data = message.data.replace(b"\r\n.", b"\r\n..")
    return [b"." + data if data.startswith(b".") else data, DOT]
