"""A Postfix of our own: virtual mailboxes in one maildir, passwords in Cyrus SASL's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar

from real_parts import DOMAIN, LARGEST, PASSWORD, READER, USER, Arrived, Doors, Inbox, RealServer, Tree

_MAIN = """\
compatibility_level = 3.6
myhostname = mx.test
mydestination =
mynetworks_style = host
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
queue_directory = /var/spool/postfix
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
alias_maps =
inet_protocols = ipv4
smtpd_peername_lookup = no
default_transport = error:no mail leaves this test
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = regexp:/etc/postfix/mailboxes
virtual_mailbox_base = /var/mail
virtual_uid_maps = static:{reader}
virtual_gid_maps = static:{reader}
virtual_mailbox_limit = 0
message_size_limit = {largest}
smtpd_delay_reject = no
refused_senders = check_sender_access inline:{{{{refused@news.test = REJECT}}}}
logged_in_senders = $refused_senders, permit_sasl_authenticated, reject
smtpd_sender_restrictions = $refused_senders
smtpd_recipient_restrictions =
    check_recipient_access inline:{{{{later@{domain} = 450 4.7.1 come back later}}}}, reject_unlisted_recipient
smtpd_relay_restrictions = reject_unauth_destination
smtpd_end_of_data_restrictions =
    check_sender_access inline:{{{{spam@news.test = REJECT 5.7.1 This looks like spam}}}}
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = /etc/postfix/sasl
smtpd_sasl_local_domain = mx.test
smtpd_tls_cert_file = /etc/tls.pem
smtpd_tls_key_file = /etc/tls.pem
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
"""
_MASTER = """\
{plain} inet n - n - - smtpd
{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {auth}
{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_path=implicit {auth}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
_AUTH = "-o smtpd_sasl_auth_enable=yes -o smtpd_sender_restrictions=$logged_in_senders"
_SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: {}\n"
_QUEUES = ["incoming", "active", "deferred", "bounce", "defer", "corrupt", "flush", "hold", "saved", "trace", "private"]


class Postfix(RealServer):
    """One with PIPELINING and everything else."""

    name = "postfix"
    auth: ClassVar[Mapping[str, str]] = {"plain": "-", "submission": "PLAIN", "implicit": "CRAM-MD5"}

    def __init__(self) -> None:
        self.doors = Doors.free()
        self._tree = Tree(self.name)
        self._inbox = Inbox(self._tree, b"Delivered-To")
        self.version = self._tree.version

    def start(self) -> None:
        tree = self._tree
        user = tree.users(["postfix"], ["postdrop"])
        doors = {name: f"127.0.0.1:{port}" for name, port in asdict(self.doors).items()}
        tree.write("etc/postfix/main.cf", _MAIN.format(domain=DOMAIN, reader=READER, largest=LARGEST))
        tree.write("etc/postfix/master.cf", _MASTER.format(auth=_AUTH, **doors))
        tree.write("etc/postfix/mailboxes", f"/^reader[0-9]+@{DOMAIN}$/ inbox/\n")
        tree.write("etc/postfix/sasl/smtpd.conf", _SASL.format("PLAIN LOGIN"))
        tree.write("etc/postfix/sasl/implicit.conf", _SASL.format("CRAM-MD5"))
        tree.run("/usr/sbin/saslpasswd2", "-p", "-c", "-u", "mx.test", USER, given=PASSWORD)
        for queue in _QUEUES:
            tree.folder(f"var/spool/postfix/{queue}", owner=user["postfix"], group=0, mode=0o700)
        tree.folder("var/spool/postfix/pid")
        tree.folder("var/spool/postfix/public", owner=user["postfix"], group=user["postdrop"], mode=0o710)
        tree.folder("var/spool/postfix/maildrop", owner=user["postfix"], group=user["postdrop"], mode=0o730)
        tree.folder("var/lib/postfix", owner=user["postfix"], mode=0o700)
        tree.folder("var/log")
        tree.folder("var/mail", owner=READER)
        (tree.root / "etc/sasldb2").chmod(0o644)
        self.rise()

    def rise(self) -> None:
        self._tree.start("/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-d", doors=self.doors)

    def die(self) -> None:
        self._tree.kill()

    def stop(self) -> None:
        self._tree.stop()

    def arrived(self) -> Sequence[Arrived]:
        return self._inbox.arrived()

    def log(self) -> str:
        log = self._tree.root / "var/log/postfix.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else self._tree.said()
