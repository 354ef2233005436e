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
    outside: str
    inside: str

    @classmethod
    def create(cls) -> VethLink:
        """Make a namespace with the first free pair of addresses out of 192.0.2.0/24 (TEST-NET)."""
        if os.geteuid() != 0:
            raise IsolationError("--isolate makes a network namespace, which needs root. Run it as root or leave it out.")
        if shutil.which("ip") is None:
            raise IsolationError("--isolate needs the command ip of iproute2.")
        for block in range(64):
            link = cls(f"lpmsim{block}", f"192.0.2.{block * 4 + 1}", f"192.0.2.{block * 4 + 2}")
            if link._claim():
                link._connect()
                return link
        raise IsolationError("all 64 pairs of addresses in 192.0.2.0/24 are taken; see `ip netns list`.")

    def _claim(self) -> bool:
        try:
            _ip("netns", "add", self.name)
        except IsolationError:
            return False
        return True

    def _connect(self) -> None:
        try:
            _ip("link", "add", f"{self.name}o", "type", "veth", "peer", "name", f"{self.name}i", "netns", self.name)
            _ip("address", "add", f"{self.outside}/30", "dev", f"{self.name}o")
            _ip("link", "set", f"{self.name}o", "up")
            _ip("-n", self.name, "address", "add", f"{self.inside}/30", "dev", f"{self.name}i")
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
        _ip("-n", self.name, "link", "set", f"{self.name}i", "down")

    def up(self) -> None:
        _ip("-n", self.name, "link", "set", f"{self.name}i", "up")

    def remove(self) -> None:
        """Take everything away; what is not there is not missed."""
        for arguments in (("link", "delete", f"{self.name}o"), ("netns", "delete", self.name)):
            try:
                _ip(*arguments)
            except IsolationError:
                pass  # the interface goes with its namespace, or was never made
