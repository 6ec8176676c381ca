"""An OpenSMTPD of our own: one maildir for all readers, the password in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar

from real_parts import DOMAIN, LARGEST, PASSWORD, READER, USER, Arrived, Doors, Inbox, RealServer, Tree

_CONFIGURATION = """\
pki mx.test cert "/etc/tls.pem"
pki mx.test key "/etc/tls.pem"
smtp max-message-size "{largest}"
table passwords file:/etc/passwords
table everyone {{ "@" = "reader" }}
table readers {{ "^reader[0-9]+@readers[.]test$" }}
table later {{ "later@{domain}" }}
table refused {{ "refused@news.test" }}
filter "later" phase rcpt-to match rcpt-to <later> reject "451 4.7.1 Come back later"
filter "refused" phase mail-from match mail-from <refused> reject "550 5.7.1 Sender is not welcome"
table spam {{ "spam@news.test" }}
filter "spam" phase commit match mail-from <spam> reject "554 5.7.1 This looks like spam"
filter "all" chain {{ "later", "refused", "spam" }}
listen on 127.0.0.1 port {plain} hostname mx.test filter "all"
listen on 127.0.0.1 port {submission} hostname mx.test tls-require pki mx.test auth <passwords> filter "all"
listen on 127.0.0.1 port {implicit} hostname mx.test smtps pki mx.test auth <passwords> filter "all"
action "inbox" maildir "/var/mail/inbox" virtual <everyone>
match from any for rcpt-to regex <readers> action "inbox"
"""


class OpenSmtpd(RealServer):
    """One that has no PIPELINING, and takes a hundred mails on a connection.

    Versions before 7 offer TLS, and break it off where they were built with OpenSSL 3, as Debian 12 does: upstream's
    issue 1171. AUTH they offer only after it.
    """

    name = "opensmtpd"
    mails_per_connection: ClassVar[Mapping[str, int]] = {"plain": 100}
    auth: ClassVar[Mapping[str, str]] = {"plain": "-", "submission": "PLAIN", "implicit": "PLAIN"}

    def __init__(self) -> None:
        self.doors = Doors.free()
        self._tree = Tree(self.name)
        self._inbox = Inbox(self._tree, b"Delivered-To")
        self.version = self._tree.version
        self.breaks_tls = int(self.version.split(".")[0]) < 7

    def start(self) -> None:
        tree = self._tree
        user = tree.users(["opensmtpd", "opensmtpq"])
        tree.folder("var/lib/opensmtpd/empty")
        tree.folder("var/run")
        tree.folder("var/spool/smtpd", mode=0o711)
        tree.folder("var/mail", owner=READER)
        crypted = tree.run("/usr/libexec/opensmtpd/encrypt", PASSWORD).strip()
        tree.write("etc/passwords", f"{USER} {crypted}\n", owner=user["opensmtpd"], mode=0o600)
        configuration = _CONFIGURATION.format(domain=DOMAIN, largest=LARGEST, **asdict(self.doors))
        tree.write("etc/smtpd.conf", configuration, mode=0o600)
        self.rise()

    def rise(self) -> None:
        self._tree.start("/usr/sbin/smtpd", "-d", doors=self.doors)

    def die(self) -> None:
        self._tree.kill()

    def stop(self) -> None:
        self._tree.stop()

    def arrived(self) -> Sequence[Arrived]:
        return self._inbox.arrived()

    def log(self) -> str:
        return self._tree.said()
