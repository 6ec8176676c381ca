"""What the real servers of these tests have in common: the tree each lives in, its doors, and what arrived there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from smtp_faults import CERTIFICATE

REPOSITORY = Path(__file__).resolve().parents[2]
TREES = REPOSITORY / ".venv" / "mail-servers"
USER, PASSWORD = "editor", "s3cret-of-the-tests"
DOMAIN = "readers.test"
READER_NAMES = re.compile(r"reader[0-9]+@readers[.]test")
LARGEST = 1_000_000  # octets that each server takes
STARTING = 20.0  # seconds that a server may need
READER = 62_599  # the user who owns the arrived mails; no user of this machine


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail at the end of its way, with CRLF, and the trace headers that the server put in front."""

    recipient: str
    sender: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Doors:
    """The ports of a server: neither TLS nor AUTH; both, with STARTTLS; both, with TLS from the start; LMTP."""

    plain: int
    submission: int
    implicit: int
    lmtp: int = 0  # none

    @classmethod
    def free(cls) -> Self:
        """Find three ports that nobody listens on."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls(*ports)


class RealServer(ABC):
    """A server of somebody else's on loopback; takes readerN@readers.test, says 4xx to later@, 5xx to all others.

    It refuses the sender refused@news.test, and after the dot what comes from spam@news.test.
    """

    name: ClassVar[str]
    auth: ClassVar[Mapping[str, str]]  # the mechanism that it offers at each door
    mails_per_connection: ClassVar[Mapping[str, int]] = {}  # after so many mails at a door it says 421, or 452 4.5.3
    breaks_tls: bool = False  # it offers TLS, and no handshake ever succeeds
    version: str
    doors: Doors

    @abstractmethod
    def start(self) -> None:
        """Run it; returns when it listens at all doors."""

    @abstractmethod
    def stop(self) -> None:
        """End it, and clear away what it wrote."""

    @abstractmethod
    def arrived(self) -> Sequence[Arrived]:
        """Return what it has delivered up to now."""

    def die(self) -> None:
        """Be killed, and be started again by nobody."""
        raise NotImplementedError

    def rise(self) -> None:
        """Start again after death, with what was left behind."""
        raise NotImplementedError

    @abstractmethod
    def log(self) -> str:
        """Return what it said, for people."""


class Tree:
    """A copy of an unpacked server that a process can be chrooted into; all it writes stays in there."""

    def __init__(self, name: str) -> None:
        script = REPOSITORY / "scripts" / "mail_servers.sh"
        unpacked = subprocess.run(["sh", str(script), name], capture_output=True, text=True, check=False)
        assert unpacked.returncode == 0, unpacked.stderr
        assert os.geteuid() == 0, f"{name} gives its processes to several users: only root can run its tests"
        running = TREES / "running"
        running.mkdir(exist_ok=True)
        _clear_away(running)
        self.version = (TREES / name / ".complete").read_text().strip()
        self.root = Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=running))
        shutil.copytree(TREES / name, self.root, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
        self.root.chmod(0o755)
        self._device("null", 1, 3)
        self._device("urandom", 1, 9)
        self._device("random", 1, 8)
        self.folder("tmp", mode=0o1777)
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/tls.pem", CERTIFICATE.read_text(), mode=0o600)
        self._processes: list[subprocess.Popen[bytes]] = []

    def users(self, names: Sequence[str], groups: Sequence[str] = ()) -> dict[str, int]:
        """Let these users, and their groups, exist in here besides root and reader; returns their numbers."""
        numbers = {"root": 0, "nobody": 65_534, "reader": READER}
        numbers |= {name: READER - 50 + place for place, name in enumerate([*names, *groups])}
        lines = [f"{name}:x:{numbers[name]}:{numbers[name]}::/:/bin/sh" for name in numbers if name not in groups]
        self.write("etc/passwd", "\n".join([*lines, ""]))
        self.write("etc/group", "".join(f"{name}:x:{number}:\n" for name, number in numbers.items()))
        return numbers

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: int = 0) -> None:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # it may be a link to the file of all copies
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        os.chown(file, owner, owner)

    def folder(self, path: str, *, owner: int = 0, group: int | None = None, mode: int = 0o755) -> Path:
        """Make a folder, and those above it."""
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, owner, owner if group is None else group)
        folder.chmod(mode)
        return folder

    def run(self, *command: str, given: str = "") -> str:
        """Run a program of the tree, and return what it printed."""
        done = subprocess.run(
            ["chroot", str(self.root), *command], input=given, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, *command: str, doors: Doors) -> None:
        """Run a program of the tree until `stop`; returns when it listens."""
        with (self.root / "output").open("ab") as output:
            process = subprocess.Popen(
                ["chroot", str(self.root), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            )
        self._processes.append(process)
        for port in (doors.plain, doors.submission, doors.implicit):
            self._await_door(process, port)

    def kill(self) -> None:
        """End every process that lives in here at once, as a fault of the machine would."""
        while found := _chrooted_in(self.root):
            for each in found:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            for process in self._processes:
                process.wait(10)
        self._processes.clear()

    def stop(self) -> None:
        """End what was started, and clear away."""
        for process in self._processes:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def said(self) -> str:
        return (self.root / "output").read_text(encoding="utf-8", errors="replace")

    def _await_door(self, process: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert process.poll() is None, f"it ended at once: {self.said()}"
                assert time.monotonic() < until, f"nobody listens on port {port}: {self.said()}"
                time.sleep(0.05)
            else:
                return

    def _device(self, name: str, major: int, minor: int) -> None:
        self.folder("dev")
        path = self.root / "dev" / name
        os.mknod(path, 0o020666, os.makedev(major, minor))
        path.chmod(0o666)


class Inbox:
    """The maildir of all readers; the server wrote the recipient into a header, and the sender into Return-Path."""

    def __init__(self, tree: Tree, recipient_header: bytes) -> None:
        self._new = tree.root / "var/mail/inbox/new"
        self._header = recipient_header
        self._read: dict[str, Arrived] = {}

    def arrived(self) -> list[Arrived]:
        """Return all that is in there."""
        files = list(self._new.iterdir()) if self._new.exists() else []
        for file in files:
            if file.name not in self._read:  # a file appears there when it is complete, and never changes
                data = file.read_bytes().replace(b"\n", b"\r\n")
                self._read[file.name] = Arrived(_address(data, self._header), _address(data, b"Return-Path"), data)
        return [self._read[file.name] for file in files]


def _address(data: bytes, header: bytes) -> str:
    found = re.search(rb"^%s: *<?([^<>\r]*)" % header, data, re.IGNORECASE | re.MULTILINE)
    return found[1].decode() if found else ""


def _clear_away(folder: Path) -> None:
    """Remove what tests left that were killed themselves."""
    for tree in folder.glob("*-*-*"):
        if not Path("/proc", tree.name.split("-")[1]).exists():
            for each in _chrooted_in(tree):
                os.kill(each, signal.SIGKILL)
            shutil.rmtree(tree, ignore_errors=True)


def _chrooted_in(root: Path) -> list[int]:
    """Find the processes that live in this tree, children of children that their server left behind."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and (folder / "root").readlink().is_relative_to(root):
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found
