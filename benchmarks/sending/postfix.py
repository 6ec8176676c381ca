"""A real Postfix of our own in a folder: its queue on this disk, what it takes thrown away; needs root."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sending.servers import Missing, Server, free_port, program, wait_for_banner

QUEUES = ("incoming", "active", "deferred")
DRAIN_SECONDS = 300

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = {owner}
setgid_group = {group}
myhostname = relay.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = discard:
relay_transport = discard:
local_transport = discard:
virtual_transport = discard:
smtputf8_enable = yes
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """An instance that is running; it may serve many runs."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder

    @contextmanager
    def rested(self) -> Iterator[Server]:
        """Give the server as it is when its queue is empty."""
        self._drain()
        yield Server(self.port)

    def _drain(self) -> None:
        due = time.monotonic() + DRAIN_SECONDS
        while any(each.is_file() for queue in QUEUES for each in (self._folder / "queue" / queue).rglob("*")):
            if time.monotonic() > due:
                raise RuntimeError("Postfix does not empty its queue")
            time.sleep(0.2)


@contextmanager
def postfix(folder: Path) -> Iterator[Postfix]:
    """Run a Postfix in this folder.

    :raises Missing: without root or the package
    """
    command = program("postfix")
    if os.getuid() != 0:
        raise Missing("a real Postfix needs root")
    port = free_port()
    for name in ("conf", "queue", "data", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    owner = pwd.getpwnam("postfix")
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    values = {"folder": folder, "owner": "postfix", "group": "postdrop", "port": port}
    (folder / "conf" / "main.cf").write_text(MAIN.format(**values), encoding="utf-8")
    (folder / "conf" / "master.cf").write_text(MASTER.format(**values), encoding="utf-8")
    _run(command, folder, "start")
    try:
        wait_for_banner(port)
        yield Postfix(folder, port)
    finally:
        _run(command, folder, "stop")


def _run(command: str, folder: Path, verb: str) -> None:
    done = subprocess.run([command, "-c", str(folder / "conf"), verb], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"postfix {verb}: {done.stderr.strip() or done.stdout.strip()}")
