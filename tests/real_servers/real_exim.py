"""An Exim of our own: one maildir for all readers, the password in its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar

from real_parts import DOMAIN, LARGEST, PASSWORD, READER, USER, Arrived, Doors, Inbox, RealServer, Tree

from smtp_faults import CERTIFICATE

_CONFIGURATION = """\
primary_hostname = mx.test
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {plain} : {submission} : {implicit}
tls_on_connect_ports = {implicit}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{submission}}}{{*}}}}
tls_certificate = /etc/tls.pem
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}}}
message_size_limit = {largest}
smtp_accept_max = 60
smtp_accept_max_per_connection = ${{if eq{{$received_port}}{{{implicit}}}{{50}}{{0}}}}
smtp_accept_queue_per_connection = 0
rfc1413_query_timeout = 0s
acl_smtp_mail = mail
acl_smtp_rcpt = recipient
acl_smtp_data = data

begin acl
mail:
  deny senders = refused@news.test
       message = Sender is not welcome
  deny !authenticated = *
       condition = ${{if !eq{{$received_port}}{{{plain}}}}}
       message = Log in first
  accept
recipient:
  defer recipients = later@{domain}
        message = 4.7.1 Come back later
  deny !domains = {domain}
       message = relay not permitted
  require verify = recipient
  accept
data:
  deny senders = spam@news.test
       message = 5.7.1 This looks like spam
  accept

begin routers
readers:
  driver = accept
  domains = {domain}
  local_parts = ^reader[0-9]+\\$
  transport = inbox

begin transports
inbox:
  driver = appendfile
  directory = /var/mail/inbox
  maildir_format
  user = reader
  group = reader
  envelope_to_add
  return_path_add

begin retry
* * F,1h,1m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_advertise_condition = ${{if eq{{$received_port}}{{{submission}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_advertise_condition = ${{if eq{{$received_port}}{{{implicit}}}}}
"""


class Exim(RealServer):
    """One that offers AUTH LOGIN where TLS is from the start, and soon ends the connections there."""

    name = "exim"
    mails_per_connection: ClassVar[Mapping[str, int]] = {"implicit": 50}
    auth: ClassVar[Mapping[str, str]] = {"plain": "-", "submission": "PLAIN", "implicit": "LOGIN"}

    def __init__(self) -> None:
        self.doors = Doors.free()
        self._tree = Tree(self.name)
        self._inbox = Inbox(self._tree, b"Envelope-to")
        self.version = self._tree.version

    def start(self) -> None:
        tree = self._tree
        user = tree.users(["Debian-exim"])["Debian-exim"]
        tree.folder("var/spool/exim4", owner=user, mode=0o750)
        tree.folder("var/log/exim4", owner=user, mode=0o750)
        tree.folder("var/mail", owner=READER)
        tree.write("etc/tls.pem", CERTIFICATE.read_text(), owner=user, mode=0o600)
        configuration = _CONFIGURATION.format(
            domain=DOMAIN, largest=LARGEST, user=USER, password=PASSWORD, **asdict(self.doors)
        )
        tree.write("etc/exim4/exim4.conf", configuration)
        self.rise()

    def rise(self) -> None:
        self._tree.start("/usr/sbin/exim4", "-bdf", "-q1m", doors=self.doors)

    def die(self) -> None:
        self._tree.kill()

    def stop(self) -> None:
        self._tree.stop()

    def arrived(self) -> Sequence[Arrived]:
        return self._inbox.arrived()

    def log(self) -> str:
        logs = sorted((self._tree.root / "var/log/exim4").glob("*log"))
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs) + self._tree.said()
