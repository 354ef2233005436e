"""A network namespace for a partition, joined by a pair of interfaces, so that not even its kernel answers while it is down.

Without it a suspended partition's kernel goes on completing TCP handshakes and acknowledging segments, because it is the
kernel of this machine. Needs root and ``ip`` of iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "lpmsim-"


class IsolationError(Exception):
    """The namespace cannot be made; the text says why and what to do."""


def _ip(*arguments: str) -> None:
    command = shutil.which("ip") or "/usr/sbin/ip"
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise IsolationError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class VethLink:
    """One namespace and its link. ``outside`` is this machine's address on it, ``inside`` the partition's."""

    name: str
    block: int

    @property
    def outside(self) -> str:
        return f"192.0.2.{self.block * 4 + 1}"

    @property
    def inside(self) -> str:
        return f"192.0.2.{self.block * 4 + 2}"

    @classmethod
    def create(cls) -> VethLink:
        """Make a namespace with the first free pair of addresses out of 192.0.2.0/24 (TEST-NET)."""
        if os.geteuid() != 0:
            raise IsolationError(
                "--isolate makes a network namespace, which needs root. Run it as root or leave it out."
            )
        if shutil.which("ip") is None:
            raise IsolationError("--isolate needs the command ip of iproute2.")
        sweep()
        for block in range(64):
            link = cls(f"{PREFIX}{os.getpid()}-{block}", block)
            if link._claim():
                link._connect()
                return link
        raise IsolationError("all 64 pairs of addresses in 192.0.2.0/24 are taken; see `ip netns list`.")

    def _claim(self) -> bool:
        """The name of the outer interface belongs to whoever makes it first."""
        try:
            _ip("netns", "add", self.name)
        except IsolationError as problem:
            if "exists" in str(problem):
                return False
            raise
        try:
            _ip("link", "add", f"lpms{self.block}o", "type", "veth", "peer", "name", "en0", "netns", self.name)
        except IsolationError:
            _ip("netns", "delete", self.name)
            return False
        return True

    def _connect(self) -> None:
        try:
            _ip("address", "add", f"{self.outside}/30", "dev", f"lpms{self.block}o")
            _ip("link", "set", f"lpms{self.block}o", "up")
            _ip("-n", self.name, "address", "add", f"{self.inside}/30", "dev", "en0")
            _ip("-n", self.name, "link", "set", "lo", "up")
            self.up()
        except IsolationError:
            self.remove()
            raise

    def prefix(self) -> Sequence[str]:
        """Runs a command in the namespace, in the same process."""
        return (shutil.which("ip") or "/usr/sbin/ip", "netns", "exec", self.name)

    def down(self) -> None:
        """Take the partition's end down: what is sent to it is lost on the way, as in life."""
        _ip("-n", self.name, "link", "set", "en0", "down")

    def up(self) -> None:
        _ip("-n", self.name, "link", "set", "en0", "up")

    def remove(self) -> None:
        """Take everything away; what is not there is not missed."""
        for arguments in (("link", "delete", f"lpms{self.block}o"), ("netns", "delete", self.name)):
            try:
                _ip(*arguments)
            except IsolationError:
                pass  # the interface goes with its namespace, or was never made


def sweep() -> None:
    """Remove the namespaces of simulators that were killed."""
    for entry in Path("/run/netns").glob(f"{PREFIX}*"):
        owner, _, block = entry.name.removeprefix(PREFIX).partition("-")
        if owner.isdigit() and block.isdigit() and not Path("/proc", owner).exists():
            VethLink(entry.name, int(block)).remove()
