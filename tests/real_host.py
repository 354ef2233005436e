"""A real OpenSSH server on loopback, whose whole process tree can be really stopped."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lpmkit.timeline import Clock, wait_until


@dataclass(frozen=True)
class Freeze:
    """The true stop of the tree: brackets around the stop and the resume, monotonic nanoseconds."""

    stop_before_ns: int
    stop_after_ns: int
    resume_before_ns: int
    resume_after_ns: int


class RealHost:
    """sshd with keys and configuration of its own; a ``with`` block."""

    def __init__(self, folder: Path, name: str = "realhost") -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        assert Path(sshd).exists(), "these tests need OpenSSH's server: apt-get install openssh-server"
        self.make_keys()
        self.ssh_config = folder / "ssh_config"
        self._more_config = ""
        self._sshd = sshd
        self.port = 0

    def make_keys(self) -> None:
        """Generate the host's key and one that it lets in."""
        for key in ("host_key", "client_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)], check=True)
        shutil.copy(self.folder / "client_key.pub", self.folder / "authorized")

    def server_lines(self) -> list[str]:
        """Lines of sshd_config: the host's keys, and what else is special about this server."""
        return [f"HostKey {self.folder}/host_key"]

    def host_key(self) -> str:
        """The host's key as a line of known hosts has it."""
        return (self.folder / "host_key.pub").read_text()

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.folder / "sshd_config").write_text(
            "\n".join(self.server_lines()) + f"\nPort {self.port}\nListenAddress 127.0.0.1\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\nPidFile none\nMaxSessions 50\n"
            # bash reads ~/.bashrc for what a remote login runs, except below another shell; a login's own things must
            # not hang a test
            "SetEnv SHLVL=1\n"
        )
        self.write_client_config(self.host_key())
        log = (self.folder / "sshd.log").open("wb")
        self._server = subprocess.Popen(
            [self._sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        assert wait_until(self._listens, clock=Clock(), timeout_s=20), (self.folder / "sshd.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        tree = self.tree()
        for pid in tree:
            _signal(pid, signal.SIGCONT)
        for pid in tree:
            _signal(pid, signal.SIGKILL)
        self._server.wait()

    def write_client_config(self, host_key: str) -> None:
        """The client's side: known hosts with ``host_key``, and an ssh config that uses it."""
        (self.folder / "known_hosts").write_text(f"{self.name} {host_key}")
        self.ssh_config.write_text(
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {getpass.getuser()}\n  "
            f"HostKeyAlias {self.name}\n"
            f"  IdentityFile {self.folder}/client_key\n  IdentitiesOnly yes\n  UserKnownHostsFile "
            f"{self.folder}/known_hosts\n"
            "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n" + self._more_config
        )

    def ask_for_openssh(self) -> None:
        """Let the client's configuration ask for what only OpenSSH does: an empty file of revoked host keys."""
        (self.folder / "revoked").touch()
        self._more_config = f"  RevokedHostKeys {self.folder}/revoked\n"
        self.write_client_config((self.folder / "host_key.pub").read_text())

    def tree(self) -> list[int]:
        """The server and everything below it, whichever session it put itself into."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            parents[int(entry.parent.name)] = int(fields[1])
        found = [self._server.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def stop(self) -> set[int]:
        """Stop the whole tree; returns the processes that stand still from now on, for `go_on`."""
        stopped: set[int] = set()
        while new := [pid for pid in self.tree() if pid not in stopped]:
            for pid in new:
                _signal(pid, signal.SIGSTOP)
            stopped.update(new)
        assert wait_until(lambda: all(_is_stopped(pid) for pid in stopped), clock=Clock(), timeout_s=30, every_s=0.0005)
        return stopped

    def go_on(self, stopped: Iterable[int]) -> None:
        for pid in stopped:
            _signal(pid, signal.SIGCONT)

    def freeze(self, seconds: float) -> Freeze:
        """Stop the whole tree for ``seconds``."""
        before = time.monotonic_ns()
        stopped = self.stop()
        after = time.monotonic_ns()
        time.sleep(seconds)
        resume_before = time.monotonic_ns()
        self.go_on(stopped)
        return Freeze(before, after, resume_before, time.monotonic_ns())

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "TtZ"
    except (FileNotFoundError, ProcessLookupError):
        return True
