"""A network namespace for a partition, joined by a pair of interfaces, so that not even its kernel answers while it is
down.

Without it a suspended partition's kernel goes on completing TCP handshakes and acknowledging segments, because it is
the kernel of this machine. Needs root and ``ip`` of iproute2.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PREFIX = "lpmsim-"
INTERFACE = "lpms"
TEST_NETS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/24", "198.18.1.0/24", "198.19.0.0/24")
"""Addresses that are nobody's (RFC 5737, and RFC 2544 for benchmarks), unless this machine sits in one of them."""


class IsolationError(Exception):
    """The namespace cannot be made; the text says why and what to do."""


def _ip(*arguments: str) -> str:
    command = shutil.which("ip") or "/usr/sbin/ip"
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise IsolationError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class VethLink:
    """One namespace and its link. ``outside`` is this machine's address on it, ``inside`` the partition's."""

    name: str
    block: int
    network: str

    @property
    def outside(self) -> str:
        return str(_addresses(self.network, self.block)[0])

    @property
    def inside(self) -> str:
        return str(_addresses(self.network, self.block)[1])

    @classmethod
    def create(cls) -> VethLink:
        """Make a namespace with the first free pair of addresses out of a TEST-NET that this machine does not use."""
        if os.geteuid() != 0:
            raise IsolationError(
                "--isolate makes a network namespace, which needs root. Run it as root or leave it out."
            )
        if shutil.which("ip") is None:
            raise IsolationError("--isolate needs the command ip of iproute2.")
        sweep()
        network = free_network()
        for block in range(64):
            link = cls(f"{PREFIX}{os.getpid()}-{block}", block, network)
            if link._claim():
                link._connect()
                return link
        raise IsolationError("all 64 pairs of addresses are taken; see `ip netns list`.")

    def _claim(self) -> bool:
        """The name of the outer interface belongs to whoever makes it first."""
        try:
            _ip("netns", "add", self.name)
        except IsolationError as problem:
            if "exists" in str(problem):
                return False
            raise
        try:
            _ip("link", "add", f"{INTERFACE}{self.block}o", "type", "veth", "peer", "name", "en0", "netns", self.name)
        except IsolationError:
            _ip("netns", "delete", self.name)
            return False
        return True

    def _connect(self) -> None:
        try:
            _ip("address", "add", f"{self.outside}/30", "dev", f"{INTERFACE}{self.block}o")
            _ip("link", "set", f"{INTERFACE}{self.block}o", "up")
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
        for arguments in (("link", "delete", f"{INTERFACE}{self.block}o"), ("netns", "delete", self.name)):
            try:
                _ip(*arguments)
            except IsolationError:
                pass  # the interface goes with its namespace, or was never made


def _addresses(network: str, block: int) -> list[ipaddress.IPv4Address]:
    """The two addresses of a pair.

    >>> [str(address) for address in _addresses("192.0.2.0/24", 1)]
    ['192.0.2.5', '192.0.2.6']
    """
    pair = list(ipaddress.IPv4Network(network).subnets(new_prefix=30))[block]
    return list(pair.hosts())


def free_network() -> str:
    """The first TEST-NET that no route of this machine leads to, apart from our own."""
    routes = _ip("-4", "route", "show", "table", "all").splitlines()
    taken = [_network(route) for route in routes if f"dev {INTERFACE}" not in route]
    for name in TEST_NETS:
        wanted = ipaddress.IPv4Network(name)
        if not any(each.prefixlen and each.overlaps(wanted) for each in taken if each is not None):
            return name
    raise IsolationError(f"this machine uses all of {', '.join(TEST_NETS)} itself; leave --isolate out.")


def _network(route: str) -> ipaddress.IPv4Network | None:
    """The network of a line of ``ip route``; ``None`` when it is the default route or no address.

    >>> _network("192.0.2.0/24 dev eth0 proto kernel"), _network("default via 10.0.0.1")
    (IPv4Network('192.0.2.0/24'), None)
    """
    kinds = ("local", "broadcast", "unreachable", "blackhole", "multicast")
    word = next((word for word in route.split() if word not in kinds), "")
    try:
        return ipaddress.IPv4Network(word, strict=False)
    except ValueError:
        return None


def sweep() -> None:
    """Remove the namespaces of simulators that were killed."""
    for entry in Path("/run/netns").glob(f"{PREFIX}*"):
        owner, _, block = entry.name.removeprefix(PREFIX).partition("-")
        if owner.isdigit() and block.isdigit() and not Path("/proc", owner).exists():
            VethLink(entry.name, int(block), TEST_NETS[0]).remove()
